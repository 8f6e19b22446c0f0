"""An account in more rooms than the server subscribes by itself: every one of them is heard."""

import asyncio
from collections.abc import Sequence

import pytest

from chat_server.client import Client, Refused
from chat_server.client import feeds as feeds_module
from chat_server.errors import SHUTDOWN
from chat_server.gateway import desk
from chat_server.gateway import subscriptions as subscriptions_module
from tests.client.program import happens, run, texts
from tests.house import House, Person

pytestmark = pytest.mark.long


@pytest.fixture
def three_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "ROOMS_PER_CONNECTION", 3)
    monkeypatch.setattr(feeds_module, "ROOMS_BY_SERVER", 3)
    monkeypatch.setattr(feeds_module, "PAGE", 2)


def shared_rooms(ann: Person, bob: Person, count: int) -> list[str]:
    """By their ids, the order in which the server takes them."""
    found = sorted(ann.room(f"room {index}") for index in range(count))
    for room_id in found:
        bob.join(room_id)
    return found


async def are_followed(house: House, room_ids: Sequence[str]) -> None:
    await happens(lambda: {f"room:{room_id}" for room_id in room_ids} <= set(house.worker.manager.channels))


def test_all_of_five_hundred_and_ten_rooms_are_heard(house: House, ann: Person, bob: Person) -> None:
    async def program() -> None:
        async with Client(house.url, ann.token) as talking:
            made = await asyncio.gather(*(talking.rpc("rooms.create", {"name": str(one)}) for one in range(510)))
            room_ids = sorted(room["id"] for room in made)
            async with Client(house.url, bob.token) as joining:
                await asyncio.gather(*(joining.rpc("rooms.join", {"room_id": one}) for one in room_ids))
            listening = Client(house.url, bob.token)
            events = listening.follow_rooms()
            async with listening:
                await are_followed(house, room_ids)
                await asyncio.gather(*(talking.post(one, one) for one in room_ids))
                assert sorted(await texts(events, 510)) == room_ids

    run(program, 60.0)


@pytest.mark.usefixtures("three_at_most")
def test_after_a_cut_they_go_on_where_they_were(house: House, ann: Person, bob: Person) -> None:
    room_ids = shared_rooms(ann, bob, 7)

    async def program() -> None:
        client = Client(house.url, bob.token)
        events = client.follow_rooms()
        async with client:
            await are_followed(house, room_ids)
            house.on_loop(lambda: [connection.close(SHUTDOWN) for connection in house.worker.manager])
            for room_id in room_ids:
                ann.say(room_id, room_id)
            assert sorted(await texts(events, 7)) == room_ids

    run(program)


@pytest.mark.usefixtures("three_at_most")
def test_a_room_that_was_left_meanwhile_is_no_matter_and_a_new_one_is_heard_from_its_entry(
    house: House, ann: Person, bob: Person
) -> None:
    room_ids = shared_rooms(ann, bob, 7)
    new = ann.room("new")

    async def program() -> None:
        client = Client(house.url, bob.token)
        events = client.follow_rooms()
        async with client:
            await are_followed(house, room_ids)
            house.on_loop(lambda: [connection.close(SHUTDOWN) for connection in house.worker.manager])
            bob.post(f"/api/v1/rooms/{room_ids[1]}/leave", status=204)
            bob.post(f"/api/v1/rooms/{room_ids[5]}/leave", status=204)
            ann.put(f"/api/v1/rooms/{new}/members/{bob.id}", {"role": "member"})
            for room_id in (new, *room_ids):
                ann.say(room_id, room_id)

            heard = sorted(await texts(events, 6))

        assert heard == sorted({new, *room_ids} - {room_ids[1], room_ids[5]})

    run(program)


@pytest.mark.usefixtures("three_at_most")
def test_positions_that_were_kept_count_for_all_of_them(house: House, ann: Person, bob: Person) -> None:
    room_ids = shared_rooms(ann, bob, 5)

    async def program() -> None:
        first = Client(house.url, bob.token)
        events = first.follow_rooms()
        async with first:
            await are_followed(house, room_ids)
            await first.rpc("users.me")
            kept = first.starts(events)
        for room_id in room_ids:
            ann.say(room_id, room_id)
        again = Client(house.url, bob.token)
        more = again.follow_rooms(since=kept)
        async with again:
            assert sorted(await texts(more, 5)) == room_ids

    run(program)


@pytest.mark.usefixtures("three_at_most")
def test_more_than_a_connection_may_follow_is_told(
    house: House, ann: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions_module, "CHANNELS_PER_CONNECTION", 5)
    shared_rooms(ann, bob, 5)

    async def program() -> None:
        client = Client(house.url, bob.token)
        events = client.follow_rooms()
        async with client:
            with pytest.raises(Refused) as refused:
                await texts(events, 1)
            assert refused.value.reason == "limit_exceeded"

    run(program)
