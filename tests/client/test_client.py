"""The Python client against a real server: its nouns, and how it ends."""

import asyncio
from collections.abc import Callable

import pytest

from chat_server.client import (
    Client,
    Closed,
    Disconnected,
    Joined,
    Login,
    Published,
    Refused,
    Unanswered,
    Unreachable,
    Unsubscribed,
)
from chat_server.errors import TooLarge
from chat_server.events import MessagePosted, NotificationRaised, PresenceChanged, TypingStarted
from chat_server.shapes import Mentions, Role
from tests.client.program import happens, run, settled, texts
from tests.house import PASSWORD, House, Person

pytestmark = pytest.mark.long


def test_a_message_is_posted_and_heard_as_a_typed_event(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    async def program() -> None:
        async with Client(house.url, ann.token) as ours, Client(house.url, bob.token) as theirs:
            events = theirs.follow(f"room:{room_id}")
            await settled(theirs)

            posted = await ours.post(room_id, "hello", mentions=Mentions(user_ids=(theirs.me.id,)))

            event = (await events.next()).event
            assert isinstance(event, MessagePosted)
            assert event.message == posted
            assert (posted.text, posted.sender_id, posted.mentions.user_ids) == ("hello", ann.id, (bob.id,))

    run(program)


def test_leaving_the_loop_ends_the_following(house: House, ann: Person) -> None:
    room_id = ann.room()

    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            for text in ("one", "two"):
                events = client.follow(f"room:{room_id}")
                await client.post(room_id, text)
                async for event in events:
                    assert isinstance(event, MessagePosted)
                    assert event.message.text == text
                    break
                await happens(lambda: f"room:{room_id}" not in house.worker.manager.channels)

    run(program)


def test_rooms_are_followed_now_and_as_memberships_change(house: House, ann: Person, bob: Person) -> None:
    first = ann.room()
    bob.join(first)

    async def program() -> None:
        async with Client(house.url, bob.token) as client:
            events = client.follow_rooms()
            await happens(lambda: f"room:{first}" in house.worker.manager.channels)
            ann.say(first, "in the first")
            second = ann.room()
            ann.say(second, "before bob is there")
            bob.join(second)
            ann.say(second, "in the second")  # however long bob's subscription takes

            assert await texts(events, 2) == ["in the first", "in the second"]
            assert set(events.positions) == {f"room:{first}", f"room:{second}"}

    run(program)


def test_whoever_is_removed_from_a_room_hears_that_it_ended(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    async def program() -> None:
        async with Client(house.url, bob.token) as client:
            events = client.follow(f"room:{room_id}")
            await settled(client)
            ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")
            with pytest.raises(Unsubscribed) as ended:
                await texts(events, 1)
            assert ended.value.code == 2000

    run(program)


def test_a_room_of_others_cannot_be_followed(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room(kind="private")

    async def program() -> None:
        async with Client(house.url, bob.token) as client:
            with pytest.raises(Refused) as refused:
                await client.follow(f"room:{room_id}").next()
            assert refused.value.code == 103

    run(program)


def test_a_refusal_says_which_field_and_why(house: House, ann: Person) -> None:
    room_id = ann.room()

    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            with pytest.raises(Refused) as refused:
                await client.post(room_id, "")
            assert (refused.value.code, refused.value.reason) == (422, "invalid")
            assert "text" in str(refused.value)
            with pytest.raises(Refused, match="room_not_found"):
                await client.post("nowhere", "hello")
            with pytest.raises(TooLarge):
                await client.post(room_id, "x" * 70_000)

    run(program)


def test_history_is_paged_in_both_directions(house: House, ann: Person) -> None:
    room_id = ann.room()

    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            await asyncio.gather(*(client.post(room_id, f"message {index}") for index in range(250)))

            seqs = [message.seq async for message in client.history(room_id)]
            later = [message.seq async for message in client.history(room_id, after=240)]
            newest = await client.messages(room_id, limit=3)
            older = await client.messages(room_id, before=int(newest.previous or 0), limit=3)

            assert seqs == list(range(1, 251))
            assert later == list(range(241, 251))
            assert [message.seq for message in (*older.items, *newest.items)] == list(range(245, 251))

    run(program)


def test_messages_are_edited_deleted_and_read(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    async def program() -> None:
        async with Client(house.url, ann.token) as ours, Client(house.url, bob.token) as theirs:
            first, second = await ours.post(room_id, "one"), await ours.post(room_id, "two", reply_to=None)
            assert (await ours.edit(room_id, first.id, "one!")).text == "one!"
            await ours.delete(room_id, second.id)
            assert [room.unread for room in await theirs.rooms() if room.id == room_id] == [2]
            await theirs.read(room_id, 2)
            assert [room.unread for room in await theirs.rooms() if room.id == room_id] == [0]
            assert [message.text async for message in theirs.history(room_id)] == ["one!", ""]

    run(program)


def test_who_is_there_and_who_types_can_be_seen(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    async def program() -> None:
        async with Client(house.url, ann.token) as ours:
            ours.follow(f"room:{room_id}")
            seen = ours.follow(f"presence:{room_id}")
            await settled(ours)
            async with Client(house.url, bob.token) as theirs:
                theirs.follow(f"room:{room_id}")
                await theirs.typing(room_id)
                found = [(await seen.next()).event for _ in range(2)]

                assert {type(event) for event in found} == {PresenceChanged, TypingStarted}
                assert {one.user_id for one in await ours.presence(room_id)} == {ann.id, bob.id}
                assert {one.username for one in await ours.presence(room_id)} == {ann.username, bob.username}

    run(program)


def test_data_of_a_configured_channel_comes_as_it_was_published(house: House, ann: Person) -> None:
    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            events = client.follow("chat:prices")
            await client.publish("chat:prices", {"price": 7})

            while isinstance(event := (await events.next()).event, Joined):
                pass  # oneself, told beside
            assert isinstance(event, Published)
            assert (event.channel, event.data) == ("chat:prices", {"price": 7})
            assert event.info is not None
            assert event.info["user"] == ann.id

    run(program)


def test_a_notification_is_published_and_heard(house: House, ann: Person) -> None:
    owner = house.person("owner", Role.OWNER)

    async def program() -> None:
        async with Client(house.url, owner.token) as ours, Client(house.url, ann.token) as theirs:
            mine, topic = theirs.follow("user:me"), theirs.follow("topic:deploys")
            await settled(theirs)

            await ours.notify("for you", user_ids=[ann.id], priority=5)
            await ours.notify("done", topic="deploys", title="CI")

            raised = [(await events.next()).event for events in (mine, topic)]
            assert all(isinstance(event, NotificationRaised) for event in raised)
            assert [event.notification.text for event in raised] == ["for you", "done"]  # type: ignore[union-attr]
            with pytest.raises(Refused, match="insufficient_scope"):
                await theirs.notify("no", topic="deploys")

    run(program)


def test_a_login_that_ends_ends_the_client(house: House, ann: Person) -> None:
    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            events = client.follow("user:me")
            ann.post("/api/v1/auth/logout", status=204)
            with pytest.raises(Disconnected) as ended:
                await texts(events, 1)
            assert ended.value.code == 3500
            with pytest.raises(Disconnected):
                await client.rpc("users.me")

    run(program)


def test_what_a_back_end_ended_stays_ended(house: House, ann: Person) -> None:
    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            house.api("disconnect", user=ann.id)
            await happens(lambda: not client.is_connected)
            with pytest.raises(Disconnected, match="3503"):
                await client.rpc("users.me")

    run(program)


@pytest.mark.parametrize("token", ["wrong", "a.b.c", "ck_nothing"])
def test_a_wrong_token_is_told_at_once(house: House, token: str) -> None:
    async def program() -> None:
        with pytest.raises(Disconnected) as ended:
            async with Client(house.url, token):
                pass
        assert ended.value.code == 3500

    run(program)


def test_a_login_is_renewed_without_a_reconnect(new_house: Callable[..., House]) -> None:
    house = new_house(access_ttl_s=3)
    ann = house.person("ann")
    room_id = ann.room()
    login = Login(house.url, ann.username, PASSWORD)
    tokens: list[str] = []

    async def source() -> str:
        tokens.append(await login())
        return tokens[-1]

    async def program() -> None:
        async with Client(house.url, source) as client:
            events = client.follow(f"room:{room_id}")
            await settled(client)
            (socket,) = house.on_loop(lambda: list(house.worker.manager))
            await happens(lambda: len(tokens) == 3)
            await client.post(room_id, "still here")

            assert await texts(events, 1) == ["still here"]
            assert house.on_loop(lambda: list(house.worker.manager)) == [socket]
            assert len(set(tokens)) == 3

    run(program)


def test_a_token_that_expired_and_cannot_be_renewed_ends_the_client(new_house: Callable[..., House]) -> None:
    house = new_house(access_ttl_s=1)
    ann = house.person("ann")

    async def program() -> None:
        with pytest.raises(Refused) as ended:
            async with Client(house.url, ann.token) as client:
                await client.follow("user:me").next()
        assert ended.value.code == 109

    run(program)


def test_a_wrong_password_is_told(house: House, ann: Person) -> None:
    async def program() -> None:
        with pytest.raises(Refused, match="bad_credentials"):
            async with Client(house.url, Login(house.url, ann.username, "wrong-horse")):
                pass

    run(program)


def test_a_source_of_tokens_that_fails_is_asked_again(house: House, ann: Person) -> None:
    tries = iter([OSError("away"), RuntimeError("away"), None])

    async def source() -> str:
        problem = next(tries)
        if problem is not None:
            raise problem
        return ann.token

    async def program() -> None:
        async with Client(house.url, source) as client:
            assert client.me.id == ann.id

    run(program)


def test_a_server_that_is_not_there_is_told_in_time() -> None:
    async def program() -> None:
        with pytest.raises(Unreachable, match="no connection"):
            async with Client("http://127.0.0.1:1", "t", open_timeout_s=0.2):
                pass

    run(program)


@pytest.mark.parametrize("url", ["ftp://host", "nowhere", "http://"])
def test_an_address_that_can_never_work_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="write the server's address"):
        Client(url, "t")


def test_a_closed_client_stops_its_followings_and_refuses_more(house: House, ann: Person) -> None:
    async def program() -> None:
        client = Client(house.url, ann.token)
        async with client:
            events = client.follow("user:me")
            await client.close()
            assert [event async for event in events] == []
            with pytest.raises(Closed):
                await client.rpc("users.me")

    run(program)


def test_what_the_program_raises_is_not_wrapped(house: House, ann: Person) -> None:
    async def program() -> None:
        with pytest.raises(ZeroDivisionError):
            async with Client(house.url, ann.token):
                raise ZeroDivisionError

    run(program)


def test_whoever_waits_too_long_is_told_that_the_outcome_is_unknown(house: House, ann: Person) -> None:
    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            with pytest.raises(Unanswered):
                await client.rpc("users.me", timeout_s=0)

    run(program)


def test_the_limits_of_the_server_are_waited_out(new_house: Callable[..., House]) -> None:
    house = new_house(rate_commands="20/s")
    ann = house.person("ann")
    room_id = ann.room()

    async def program() -> None:
        async with Client(house.url, ann.token) as client:
            posted = await asyncio.gather(*(client.post(room_id, str(index)) for index in range(40)))
        assert sorted(message.seq for message in posted) == list(range(1, 41))

    run(program)


def test_a_slow_follower_that_posts_in_its_loop_misses_nothing(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    async def program() -> None:
        async with Client(house.url, ann.token) as ours, Client(house.url, bob.token, inbox_events=5) as theirs:
            events = theirs.follow(f"room:{room_id}")
            await settled(theirs)
            await asyncio.gather(*(ours.post(room_id, str(index)) for index in range(100)))
            heard = []
            async for event in events:
                if isinstance(event, MessagePosted) and event.message.sender_id == ann.id:
                    heard.append(event.message.seq)
                    await theirs.post(room_id, "heard")
                if len(heard) == 100:
                    break
            assert heard == sorted(heard)

    run(program)
