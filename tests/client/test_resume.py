"""The Python client on a bad network: nothing lost, nothing twice, and no way back that is not one."""

import asyncio
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chat_server.client import Client, Disconnected, Missed, Position, SyncClient, Unanswered, Unsubscribed
from chat_server.client import backoff as backoff_module
from chat_server.clock import now_ms
from chat_server.errors import SHUTDOWN
from chat_server.events import MessagePosted
from chat_server.store import event_log
from chat_server.unit import Unit
from tests.client.program import run, settled, texts
from tests.house import House, Person
from tests.process import Process
from tests.scenarios.cutter import Cutter

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back sooner than in life: many cuts are to fit into a short test."""
    monkeypatch.setattr(backoff_module, "BASE_S", 0.02)
    monkeypatch.setattr(backoff_module, "CAP_S", 0.2)


@pytest.fixture
def cutter(house: House) -> Iterator[Cutter]:
    with Cutter(house.port) as found:
        yield found


def test_posts_and_events_survive_cuts_in_the_middle_of_anything(
    house: House, cutter: Cutter, ann: Person, bob: Person
) -> None:
    room_id, count, draw = ann.room(), 100, random.Random(7)
    bob.join(room_id)

    async def program() -> None:
        async with Client(cutter.url, ann.token) as ours, Client(cutter.url, bob.token) as theirs:
            events = theirs.follow(f"room:{room_id}")
            await settled(theirs)

            async def post() -> None:
                for index in range(count):
                    await ours.post(room_id, str(index))
                    if index % 10 == 0:
                        cutter.cut_after = draw.randrange(4000, 20_000)  # a connect and a post fit in
                        cutter.cut()
                cutter.cut_after = None

            async with asyncio.TaskGroup() as group:
                group.create_task(post())
                heard = await texts(events, count)

        assert heard == [str(index) for index in range(count)]
        assert cutter.cuts >= 10

    run(program, 60)
    stored = ann.get(f"/api/v1/rooms/{room_id}/messages", params={"limit": 200})["items"]
    assert [message["text"] for message in stored] == [str(index) for index in range(count)]


def test_more_than_a_recovery_gives_is_read_from_history(
    house: House, cutter: Cutter, ann: Person, bob: Person
) -> None:
    """Over 300 publications are missed: the server says `recovered: false`, the client pages."""
    room_id, count = ann.room(), 700
    bob.join(room_id)

    async def program() -> None:
        async with Client(house.url, ann.token) as ours, Client(cutter.url, bob.token) as theirs:
            rooms = theirs.follow_rooms()
            await settled(theirs)
            cutter.lead_to(1)
            cutter.cut()
            await asyncio.gather(*(ours.post(room_id, str(index)) for index in range(count)))
            cutter.lead_to(house.port)

            heard = await texts(rooms, count)
            await ours.post(room_id, "live again")

            assert sorted(heard, key=int) == [str(index) for index in range(count)]
            assert await texts(rooms, 1) == ["live again"]

    run(program, 60)


def test_many_rooms_catch_up_after_one_reconnect(house: House, cutter: Cutter, ann: Person) -> None:
    """More rooms than a connect recovers: the others are paged."""
    room_ids = [ann.room() for _ in range(30)]

    async def program() -> None:
        async with Client(cutter.url, ann.token) as client, Client(house.url, ann.token) as other:
            rooms = client.follow_rooms()
            await settled(client)
            cutter.lead_to(1)
            cutter.cut()
            for text in ("first", "second"):
                for room_id in room_ids:
                    await other.post(room_id, f"{text} in {room_id}")
            cutter.lead_to(house.port)

            heard = await texts(rooms, 60)

            assert sorted(heard) == sorted(f"{text} in {one}" for one in room_ids for text in ("first", "second"))

    run(program, 60)


def test_an_unsafe_command_that_was_cut_off_is_told(house: House, cutter: Cutter, ann: Person) -> None:
    async def program() -> None:
        async with Client(cutter.url, ann.token) as client:
            cutter.cut_after = 0
            asked = asyncio.ensure_future(client.rpc("rooms.create", {"name": "once", "kind": "public"}))
            await asyncio.sleep(0)
            cutter.cut()
            with pytest.raises(Unanswered):
                await asked

    run(program)


def test_a_server_that_leaves_is_waited_for(tmp_path: Path) -> None:
    """kill -9 and start again: followed to the last message, posts are answered in the end."""
    with Process(tmp_path / "data") as process:
        ann = process.person("ann")
        room_id = ann.room()

        async def program() -> None:
            async with Client(process.url, ann.token) as client:
                events = client.follow(f"room:{room_id}")
                await client.post(room_id, "before")
                await asyncio.to_thread(process.kill)
                meanwhile = asyncio.ensure_future(client.post(room_id, "meanwhile"))
                await asyncio.to_thread(process.start)
                await meanwhile
                await client.post(room_id, "after")

                assert await texts(events, 3) == ["before", "meanwhile", "after"]

        run(program, 40)


def test_a_position_of_before_a_restore_is_told_as_missed(house: House, ann: Person) -> None:
    room_id = ann.room()
    before = Position("another-epoch", 1)

    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            events = client.follow(f"room:{room_id}", since=before)
            missed = (await events.next()).event
            await client.post(room_id, "after")

            assert isinstance(missed, Missed)
            assert missed.after == before
            assert await texts(events, 1) == ["after"]

    run(program)


def forget_the_past(unit: Unit) -> None:
    """Trim every channel to its newest event."""
    after: str | None = ""
    while after is not None:
        after = event_log.trim(unit.transaction, now_ms() + 1000, after, channels_at_most=1000)


def test_what_the_log_no_longer_has_is_told_as_missed(house: House, ann: Person) -> None:
    room_id = ann.room()

    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            first = client.follow(f"room:{room_id}")
            await client.post(room_id, "taken")
            await texts(first, 1)
            position = first.positions[f"room:{room_id}"]
            first.close()
            for index in range(5):
                await client.post(room_id, str(index))
            house.write(forget_the_past)

            events = client.follow(f"room:{room_id}", since=position)
            missed = (await events.next()).event
            await client.post(room_id, "after")

            assert isinstance(missed, Missed)
            assert missed.after == position
            assert (await texts(events, 1))[-1] == "after"

    run(program)


def test_whoever_was_out_of_a_room_and_is_in_again_hears_all_of_it(house: House, ann: Person, bob: Person) -> None:
    """A member sees a room from its start, so a position of before is good, though it cannot be recovered from."""
    room_id = ann.room()
    bob.join(room_id)

    async def program() -> None:
        async with Client(house.url, bob.token) as client:
            events = client.follow(f"room:{room_id}")
            await client.post(room_id, "inside")
            assert await texts(events, 1) == ["inside"]
            bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)
            with pytest.raises(Unsubscribed):
                await texts(events, 1)
            ann.say(room_id, "while bob is outside")
            bob.join(room_id)

            again = client.follow(f"room:{room_id}", since=events.positions[f"room:{room_id}"])
            assert await texts(again, 1) == ["while bob is outside"]

    run(program)


def test_a_worker_that_drains_is_left_and_found_again(house: House, ann: Person) -> None:
    room_id = ann.room()

    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            events = client.follow(f"room:{room_id}")
            await settled(client)
            house.on_loop(lambda: [connection.close(SHUTDOWN) for connection in house.worker.manager])
            ann.say(room_id, "meanwhile")

            assert await texts(events, 1) == ["meanwhile"]

    run(program)


@contextmanager
def turning_away(status: str, times: int, then: int) -> Iterator[Cutter]:
    """A way to the port `then` that answers the first few connections with a status of HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Cutter(listener.getsockname()[1]) as way:

        def serve() -> None:
            for left in range(times, 0, -1):
                peer, _ = listener.accept()
                with peer:
                    peer.recv(65536)
                    if left == 1:
                        way.lead_to(then)
                    peer.sendall(f"HTTP/1.1 {status}\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".encode())

        thread = threading.Thread(target=serve)
        thread.start()
        yield way
        thread.join(10)


@pytest.mark.parametrize("status", ["503 Service Unavailable", "502 Bad Gateway", "429 Too Many Requests"])
def test_a_busy_server_is_given_the_time_it_asks_for(house: House, ann: Person, status: str) -> None:
    async def program() -> None:
        with turning_away(status, 1, house.port) as way:
            began = asyncio.get_running_loop().time()
            async with Client(way.url, ann.token) as client:
                assert client.is_connected
            assert asyncio.get_running_loop().time() - began >= 1.0

    run(program)


def test_a_handshake_that_is_forbidden_is_not_tried_again(house: House) -> None:
    async def program() -> None:
        with turning_away("403 Forbidden", 1, house.port) as way:
            with pytest.raises(Disconnected, match="403 Forbidden"):
                async with Client(way.url, "t"):
                    pass
            assert way.accepted <= 1

    run(program)


def test_a_program_without_a_loop_goes_on_over_cuts(cutter: Cutter, ann: Person) -> None:
    room_id = ann.room()

    with SyncClient(cutter.url, ann.token) as client:
        events = client.follow(f"room:{room_id}")
        for index in range(20):
            client.post(room_id, str(index))
            if index % 5 == 0:
                cutter.cut()
        found = [next(events) for _ in range(20)]

    assert [event.message.text for event in found if isinstance(event, MessagePosted)] == [str(i) for i in range(20)]
