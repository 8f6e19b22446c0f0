"""What raises a notification: a mention, a direct message, being added; and what a deleted message takes back."""

import pytest

from chat_server.accounts.commands import add_user
from chat_server.accounts.model import NewUser
from chat_server.ids import RoomId, UserId, new_id
from chat_server.notifications.queries import deliveries_about
from chat_server.rooms.commands import add_member
from chat_server.rooms.model import AddMember
from chat_server.shapes import Kind, Role
from chat_server.unit import Unit
from tests.house import House, Person, until
from tests.notifications.inboxes import inbox, texts, unread


@pytest.fixture
def carol(house: House) -> Person:
    return house.person("carol")


def crew(ann: Person, *others: Person) -> str:
    room_id = ann.room("crew")
    for other in others:
        other.join(room_id)
    return room_id


def test_a_mention_raises_one_for_who_is_mentioned(ann: Person, bob: Person, carol: Person) -> None:
    room_id = crew(ann, bob, carol)

    message = ann.say(room_id, f"look, @{bob.username}")

    (found,) = inbox(bob)
    assert found | {"id": "", "created_at": ""} == {
        "id": "",
        "kind": "mention",
        "topic": None,
        "title": "ann in #crew",
        "text": f"look, @{bob.username}",
        "priority": 3,
        "tags": [],
        "click": f"/?room={room_id}&seq=1",
        "room_id": room_id,
        "message_id": message["id"],
        "sender_id": ann.id,
        "created_at": "",
        "expires_at": None,
        "read_at": None,
    }
    assert inbox(ann) == inbox(carol) == []


def test_a_mention_by_id_and_by_name_is_one(ann: Person, bob: Person) -> None:
    room_id = crew(ann, bob)

    ann.say(room_id, f"@{bob.username}", mentions={"user_ids": [bob.id]})

    assert len(inbox(bob)) == 1


def test_nobody_is_told_of_their_own_mention(ann: Person, bob: Person) -> None:
    room_id = crew(ann, bob)

    ann.say(room_id, f"me, @{ann.username}", mentions={"user_ids": [ann.id]})

    assert inbox(ann) == []


def test_a_plain_message_raises_nothing(ann: Person, bob: Person) -> None:
    ann.say(crew(ann, bob), "hello")

    assert inbox(bob) == []


def test_a_repeated_post_raises_nothing_more(ann: Person, bob: Person) -> None:
    room_id, body = crew(ann, bob), {"text": f"@{bob.username}", "client_msg_id": new_id()}
    ann.post(f"/api/v1/rooms/{room_id}/messages", body)

    ann.post(f"/api/v1/rooms/{room_id}/messages", body, status=200)

    assert len(inbox(bob)) == 1


def test_an_edit_tells_only_who_is_mentioned_anew(ann: Person, bob: Person, carol: Person) -> None:
    room_id = crew(ann, bob, carol)
    message = ann.say(room_id, f"@{bob.username}")

    ann.patch(f"/api/v1/rooms/{room_id}/messages/{message['id']}", {"text": f"@{bob.username} and @{carol.username}"})

    assert len(inbox(bob)) == 1
    assert [found["message_id"] for found in inbox(carol)] == [message["id"]]


def test_a_long_message_is_shown_by_its_beginning(ann: Person, bob: Person) -> None:
    text = f"@{bob.username} " + "x" * 3000
    ann.say(crew(ann, bob), text)

    (found,) = inbox(bob)

    assert 0 < len(found["text"]) < 1000
    assert text.startswith(found["text"])


def test_a_direct_message_raises_one_for_the_other(ann: Person, bob: Person) -> None:
    room_id = ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)["id"]
    assert inbox(bob) == []  # opening the room is no news

    message = ann.say(room_id, "hello")

    (found,) = inbox(bob)
    assert (found["kind"], found["title"], found["text"]) == ("direct", "ann", "hello")
    assert (found["room_id"], found["message_id"]) == (room_id, message["id"])
    assert inbox(ann) == []


def test_a_mention_in_a_direct_room_is_no_second_one(ann: Person, bob: Person) -> None:
    room_id = ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)["id"]

    ann.say(room_id, f"hello @{bob.username}", mentions={"room": True, "user_ids": [bob.id]})

    assert [found["kind"] for found in inbox(bob)] == ["direct"]


def test_who_is_added_to_a_room_is_told(ann: Person, bob: Person) -> None:
    room_id = ann.room("crew", "private")

    ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}")

    (found,) = inbox(bob)
    assert (found["kind"], found["title"], found["text"]) == ("added", "#crew", "ann added you to #crew")
    assert (found["room_id"], found["message_id"], found["click"]) == (room_id, None, f"/?room={room_id}")


def test_who_joins_by_themselves_is_not_told(ann: Person, bob: Person) -> None:
    bob.join(ann.room())

    assert inbox(bob) == []


def test_a_new_role_is_not_told_as_an_entry(ann: Person, bob: Person) -> None:
    room_id = crew(ann, bob)

    ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}", {"role": "moderator"})

    assert inbox(bob) == []


def test_a_deleted_message_takes_back_what_it_raised(ann: Person, bob: Person, carol: Person) -> None:
    room_id = crew(ann, bob, carol)
    ann.say(room_id, f"stays @{bob.username}")
    message = ann.say(room_id, f"goes @{bob.username} @{carol.username}")
    assert (unread(bob), unread(carol)) == (2, 1)

    ann.delete(f"/api/v1/rooms/{room_id}/messages/{message['id']}")

    until(lambda: not inbox(carol), what="the withdrawal")
    assert texts(bob) == [f"stays @{bob.username}"]
    assert (unread(bob), unread(carol)) == (1, 0)


def test_a_deleted_direct_message_is_taken_back_too(ann: Person, bob: Person) -> None:
    room_id = ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)["id"]
    message = ann.say(room_id, "never mind")

    ann.delete(f"/api/v1/rooms/{room_id}/messages/{message['id']}")

    until(lambda: not inbox(bob), what="the withdrawal")


def test_who_follows_their_own_channel_hears_of_raising_and_withdrawal(ann: Person, bob: Person) -> None:
    room_id = crew(ann, bob)
    with bob.wire() as wire:
        wire.connect()

        message = ann.say(room_id, f"@{bob.username}")
        raised = wire.event(f"user:{bob.id}", "notification.raised")["notification"]
        ann.delete(f"/api/v1/rooms/{room_id}/messages/{message['id']}")
        withdrawn = wire.event(f"user:{bob.id}", "notification.withdrawn")["notification"]

    assert raised["message_id"] == message["id"]
    assert withdrawn == {"id": raised["id"]}


def test_calling_the_room_reaches_every_member_once(ann: Person, bob: Person, carol: Person) -> None:
    room_id = crew(ann, bob, carol)

    message = ann.say(room_id, f"all of you, and @{bob.username}", mentions={"room": True})

    until(lambda: inbox(carol), what="the call")
    assert [found["message_id"] for found in inbox(carol)] == [message["id"]]
    assert len(inbox(bob)) == 1
    assert inbox(ann) == []


def test_calling_a_large_room_reaches_every_member_once(house: House, ann: Person) -> None:
    room_id = ann.room("large")

    def filled(unit: Unit) -> list[UserId]:
        new = [NewUser(username=f"m-{new_id()[-12:]}", password_hash="x") for _ in range(230)]
        return [add_user(unit, one, Kind.HUMAN, Role.MEMBER).id for one in new]

    people = house.write(filled)
    actor = house.awaited(house.worker.judge.actor_of(ann.token))

    def entered(unit: Unit) -> None:
        for user_id in people:
            add_member(AddMember(room_id=RoomId(room_id), user_id=user_id), unit)

    house.awaited(house.worker.write(actor, entered))
    message = ann.say(room_id, "everyone", mentions={"room": True})

    def told() -> list[str]:
        found = house.write(lambda unit: deliveries_about(unit, message["id"], 1000))
        return [user_id for user_id, _ in found]

    until(lambda: len(told()) >= len(people), what="everyone to be called")
    assert sorted(told()) == sorted(people)


def test_a_call_that_was_deleted_at_once_reaches_nobody_for_long(ann: Person, bob: Person) -> None:
    room_id = crew(ann, bob)
    message = ann.say(room_id, "all", mentions={"room": True})

    ann.delete(f"/api/v1/rooms/{room_id}/messages/{message['id']}")

    ann.say(room_id, "now really", mentions={"room": True})
    until(lambda: "now really" in texts(bob), what="the second call")
    until(lambda: texts(bob) == ["now really"], what="the first one's end")


def test_who_left_before_hears_no_call(ann: Person, bob: Person, carol: Person) -> None:
    room_id = crew(ann, bob, carol)
    bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)

    ann.say(room_id, "all", mentions={"room": True})

    until(lambda: inbox(carol), what="the call")
    assert inbox(bob) == []
