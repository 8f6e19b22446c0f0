"""The client for programs without an event loop."""

import threading

import pytest

from chat_server.client import Closed, Disconnected, Refused, SyncClient
from chat_server.events import MessagePosted
from tests.house import House, Person, until


def test_the_nouns_are_the_same(house: House, ann: Person) -> None:
    room_id = ann.room()

    with SyncClient(house.url, ann.token) as client:
        events = client.follow(f"room:{room_id}")
        first = client.post(room_id, "one")
        client.edit(room_id, first.id, "one!")
        client.read(room_id, first.seq)
        client.typing(room_id)
        client.typing(room_id, is_over=True)

        assert isinstance(next(events), MessagePosted)
        assert client.me.id == ann.id
        assert [message.text for message in client.history(room_id)] == ["one!"]
        assert [message.text for message in client.messages(room_id).items] == ["one!"]
        assert room_id in [room.id for room in client.rooms()]
        assert [one.user_id for one in client.presence(room_id)] == [ann.id]
        assert client.rpc("rooms.get", {"room_id": room_id})["name"] == "general"
        with pytest.raises(Refused):
            client.delete(room_id, "nothing")


def test_all_rooms_are_followed(house: House, ann: Person) -> None:
    room_id = ann.room()

    with SyncClient(house.url, ann.token) as client:
        events = client.follow_rooms()
        client.post(room_id, "hello")

        event = next(event for event in events if isinstance(event, MessagePosted))
        assert event.message.text == "hello"


def test_a_wrong_token_is_told_at_once(house: House) -> None:
    with pytest.raises(Disconnected), SyncClient(house.url, "wrong"):
        pass


def test_closing_frees_whoever_waits_in_another_thread(house: House, ann: Person) -> None:
    client = SyncClient(house.url, ann.token)
    ended = []
    with client:
        events = client.follow("user:me")
        waiting = threading.Thread(target=lambda: ended.append(list(events)))
        waiting.start()

    waiting.join(10)
    assert ended == [[]]
    with pytest.raises(Closed):
        client.rpc("users.me")
    until(lambda: "chat-client" not in [thread.name for thread in threading.enumerate()])
