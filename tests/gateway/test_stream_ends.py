import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.gateway.credentials import new_bot, ticket_of, token_for
from tests.gateway.slow import small_socket
from tests.gateway.streams import Stream
from tests.house import House, Person, Wire, until

pytestmark = pytest.mark.long

Houses = Callable[..., House]


def sse(person: Person, query: str = "", **headers: str) -> Stream:
    return Stream(f"{person.url}/sse?token={person.token}{query}", **headers)


def test_a_stream_says_that_its_credential_expired_and_ends(house: House, ann: Person) -> None:
    room_id = ann.room()
    with Stream(f"{ann.url}/sse?channels=room:{room_id}&token={token_for(house, ann, 2)}") as stream:
        stream.opened()
        ann.say(room_id, "heard")
        rest = stream.rest()

        assert [event.type for event in rest] == ["message.posted", "stream.expired"]
        assert rest[-1].id is None


def test_an_expired_stream_resumes_with_a_new_credential(house: House, ann: Person) -> None:
    room_id = ann.room()
    with Stream(f"{ann.url}/sse?channels=room:{room_id}&token={token_for(house, ann, 1)}") as stream:
        stream.rest()
        last = stream.last_id
    ann.say(room_id, "missed")

    with sse(ann, f"&channels=room:{room_id}&last_event_id={last}") as stream:
        assert stream.opened()[f"room:{room_id}"]["recovered"] is True
        assert stream.next().data["message"]["text"] == "missed"


def test_a_ticket_opens_a_stream_for_longer_than_its_minute(new_house: Houses) -> None:
    house = new_house(ticket_ttl_s=1, access_ttl_s=2)
    ann = house.person("ann")
    with Stream(f"{ann.url}/sse?token={ticket_of(ann)}") as stream:
        stream.opened()
        until(lambda: ann.http.get("/api/v1/users/me").status_code == 401, what="the end of the access token")
        house.api("publish", channel="live:none", data=1)

        assert not stream.has_ended


def test_comments_keep_a_quiet_stream_alive(new_house: Houses) -> None:
    house = new_house(stream_ping_s=1)
    ann = house.person("ann")
    with sse(ann) as stream:
        stream.opened()

        until(lambda: stream.comments >= 2, what="two comments")
        assert stream.lines.count(": ping") == stream.comments
        assert not stream.has_ended


def test_one_stream_too_many_of_an_address_is_sent_away_without_being_stopped(new_house: Houses) -> None:
    house = new_house(max_connections_per_address=1)
    ann = house.person("ann")
    with sse(ann) as one:
        one.opened()
        with sse(ann) as two:
            assert two.status == 200
            assert two.headers["content-type"].startswith("text/event-stream")
            assert two.rest() == []
            assert len(two.retries) == 1
            assert two.retries[0] >= 2000


def test_streams_that_are_sent_away_do_not_come_back_at_once(new_house: Houses) -> None:
    house = new_house(max_connections_per_address=1)
    ann = house.person("ann")
    with ExitStack() as stack:
        stack.enter_context(sse(ann)).opened()
        others = [stack.enter_context(sse(ann)) for _ in range(8)]
        for stream in others:
            stream.rest()

        assert len({stream.retries[0] for stream in others}) > 1


def test_one_stream_too_many_of_a_user_is_sent_away_without_being_stopped(new_house: Houses) -> None:
    house = new_house(max_connections_per_user=1)
    ann = house.person("ann")
    with sse(ann) as one:
        one.opened()
        with sse(ann) as two, sse(ann) as three:
            assert two.status == three.status == 200
            assert two.rest() == three.rest() == []
            assert two.retries[-1] != three.retries[-1]  # not to come back together


def test_strangers_at_the_door_keep_no_stream_out(new_house: Houses) -> None:
    house = new_house(max_unauthenticated=1)
    ann = house.person("ann")
    with ExitStack() as stack:
        stack.enter_context(Wire(ann.socket_url))
        until(lambda: len(house.app.state.gateway.strangers) == 1, what="a stranger")

        stream = stack.enter_context(sse(ann))
        assert set(stream.opened()) == {f"user:{ann.id}"}


def test_a_draining_server_sends_new_streams_away(new_house: Houses) -> None:
    house = new_house()
    ann = house.person("ann")
    house.worker.is_draining = True

    with sse(ann) as stream:
        assert stream.status == 200
        assert stream.rest() == []
        assert stream.retries


def test_a_place_is_free_again_after_a_stream_went(new_house: Houses) -> None:
    house = new_house(max_connections_per_address=1)
    ann = house.person("ann")
    with sse(ann) as one:
        one.opened()
    until(lambda: not house.worker.manager.connections_of(ann.id), what="the end of the first")

    with sse(ann) as two:
        assert two.opened()


def test_a_stream_of_a_revoked_key_says_so(house: House) -> None:
    bot = new_bot(house, scopes=["stream"], channels=["topic:x"])
    with Stream(f"{bot.owner.url}/sse?token={bot.key}") as stream:
        stream.opened()
        bot.owner.delete(f"/api/v1/bots/{bot.id}/keys/{bot.key_id}")
        rest = stream.rest()

        assert [event.type for event in rest] == ["stream.revoked"]
        assert rest[0].data == {"type": "stream.revoked", "reason": "session_revoked"}


def slow_stream(house: House, path: str) -> socket.socket:
    """A stream whose reader takes a few KiB and stops."""
    found = small_socket(house.port)
    found.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nAccept: text/event-stream\r\n\r\n".encode())
    return found


def read_out(found: socket.socket) -> str:
    """All that still comes until the server ends it, without the marks of chunks."""
    found.settimeout(10)
    parts = []
    while part := found.recv(65536):
        parts.append(part)
        if part.endswith(b"0\r\n\r\n"):
            break
    return b"".join(parts).decode()


def test_a_slow_stream_ends_and_resumes_without_loss(new_house: Houses) -> None:
    house = new_house(slow_bytes=128 * 1024)
    ann, bob = house.person("ann"), house.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    with slow_stream(house, f"/sse?channels=room:{room_id}&token={bob.token}") as slow:
        until(lambda: f"room:{room_id}" in house.worker.manager.channels, what="the stream")
        for number in range(150):
            ann.say(room_id, f"{number} " + "x" * 3900)
        heard = [line for line in read_out(slow).splitlines() if line.startswith("id: ")]

    offsets = [int(line.rpartition(":")[2]) for line in heard]
    with sse(bob, f"&channels=room:{room_id}&last_event_id={heard[-1].removeprefix('id: ')}") as stream:
        opened = stream.opened()[f"room:{room_id}"]
        rest = stream.take(153 - offsets[-1])

    assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
    assert len(offsets) < 150
    assert opened["recovered"] is True
    assert [int(str(event.id).rpartition(":")[2]) for event in rest] == list(range(offsets[-1] + 1, 154))


def test_a_replay_waits_for_its_reader(new_house: Houses) -> None:
    """A reader that takes its time over a long replay is not slow: what it missed waits in the log."""
    house = new_house(slow_bytes=128 * 1024)
    ann = house.person("ann")
    room_id = ann.room()
    with sse(ann, f"&channels=room:{room_id}") as stream:
        stream.opened()
        last = stream.last_id
    for number in range(150):
        ann.say(room_id, f"{number} " + "x" * 3900)

    with slow_stream(house, f"/sse?channels=room:{room_id}&token={ann.token}&last_event_id={last}") as slow:
        until(lambda: house.worker.manager.connections_of(ann.id), what="the stream")
        text = ""
        while ":152\n" not in text:
            text += slow.recv(4096).decode()
        ids = [line for line in text.splitlines() if line.startswith("id: ")]

    assert [int(line.rpartition(":")[2]) for line in ids] == list(range(2, 153))


def test_a_replay_makes_headway_where_little_may_wait(new_house: Houses) -> None:
    house = new_house(slow_bytes=32 * 1024)
    ann = house.person("ann")
    room_id = ann.room()
    with sse(ann, f"&channels=room:{room_id}") as stream:
        stream.opened()
        last = stream.last_id
    for _ in range(20):
        ann.say(room_id, "x" * 3900)

    with sse(ann, f"&channels=room:{room_id}&last_event_id={last}") as stream:
        stream.opened()
        assert [event.type for event in stream.take(20)] == ["message.posted"] * 20


def test_others_hear_everything_while_a_stream_is_slow(new_house: Houses) -> None:
    house = new_house(slow_bytes=128 * 1024)
    ann = house.person("ann")
    room_id = ann.room()
    with (
        slow_stream(house, f"/sse?channels=room:{room_id}&token={ann.token}"),
        sse(ann, f"&channels=room:{room_id}") as brisk,
    ):
        brisk.opened()
        until(lambda: len(house.worker.manager.channels[f"room:{room_id}"]) == 2, what="both streams")
        for _ in range(150):
            ann.say(room_id, "x" * 3900)

        assert [event.type for event in brisk.take(150)] == ["message.posted"] * 150


def test_a_stream_whose_reader_never_reads_again_is_given_up(new_house: Houses) -> None:
    house = new_house(slow_bytes=128 * 1024)
    ann = house.person("ann")
    room_id = ann.room()
    with slow_stream(house, f"/sse?channels=room:{room_id}&token={ann.token}"):
        until(lambda: f"room:{room_id}" in house.worker.manager.channels, what="the stream")
        for _ in range(150):
            ann.say(room_id, "x" * 3900)

        until(
            lambda: not house.worker.manager.connections_of(ann.id), patience_s=60, what="the end of the silent reader"
        )
