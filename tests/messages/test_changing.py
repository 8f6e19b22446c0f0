"""Editing and deleting messages, through both doors: who may, and what stays."""

from typing import Any

import pytest

from tests.house import House, Person
from tests.rooms.doors import Doors, refused, refused_fields


def shared_room(ann: Person, bob: Person, role: str = "member") -> str:
    room_id = ann.room()
    ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}", {"role": role})
    return room_id


def test_a_sender_edits_their_message(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    posted = ann.say(room_id, "helo")

    edited = doors(ann)("messages.edit", room_id=room_id, message_id=posted["id"], text="hello")

    assert edited == {**posted, "text": "hello", "edited_at": edited["edited_at"]}
    assert edited["edited_at"] >= posted["created_at"]
    assert doors(ann)("messages.get", room_id=room_id, message_id=posted["id"]) == edited


def test_the_same_text_is_no_edit(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    posted = ann.say(room_id, "hello")

    assert doors(ann)("messages.edit", room_id=room_id, message_id=posted["id"], text="hello") == posted


@pytest.mark.parametrize("role", ["member", "moderator", "owner"])
def test_nobody_edits_what_others_said(doors: Doors, ann: Person, bob: Person, role: str) -> None:
    room_id = shared_room(ann, bob, role)
    posted = ann.say(room_id, "mine")

    found = refused(doors(bob), "messages.edit", room_id=room_id, message_id=posted["id"], text="yours")

    assert found == (403, "role_too_low")
    assert ann.get(f"/api/v1/rooms/{room_id}/messages/{posted['id']}") == posted


@pytest.mark.parametrize("text", ["", " ", "x" * 4001, "nul\x00", None, 7])
def test_an_edit_needs_a_text_like_a_post(doors: Doors, ann: Person, text: Any) -> None:
    room_id = ann.room()
    posted = ann.say(room_id, "hello")

    found = refused_fields(doors(ann), "messages.edit", room_id=room_id, message_id=posted["id"], text=text)

    assert found == {"text"}
    assert ann.get(f"/api/v1/rooms/{room_id}/messages/{posted['id']}") == posted


def test_an_edit_changes_the_text_only(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    posted = ann.say(room_id, "hello")

    for field, value in (("seq", 7), ("sender_id", "olga"), ("reply_to", None), ("mentions", {}), ("deleted_at", None)):
        data = {"room_id": room_id, "message_id": posted["id"], "text": "x", field: value}
        assert refused_fields(doors(ann), "messages.edit", **data) == {field}


def test_a_deleted_message_leaves_a_tombstone(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = shared_room(ann, bob)
    posted = ann.say(room_id, f"hello @{bob.username}", client_msg_id=f"m-{room_id}")

    assert doors(ann)("messages.delete", room_id=room_id, message_id=posted["id"]) == {}

    found = doors(bob)("messages.get", room_id=room_id, message_id=posted["id"])
    assert found["deleted_at"] is not None
    assert found == {
        **posted,
        "text": "",
        "mentions": {"user_ids": [], "room": False},
        "deleted_at": found["deleted_at"],
    }


def test_deleting_twice_is_no_change(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    message_id = ann.say(room_id, "hello")["id"]
    doors(ann)("messages.delete", room_id=room_id, message_id=message_id)
    first = ann.get(f"/api/v1/rooms/{room_id}/messages/{message_id}")

    assert doors(ann)("messages.delete", room_id=room_id, message_id=message_id) == {}
    assert ann.get(f"/api/v1/rooms/{room_id}/messages/{message_id}") == first


def test_a_deleted_message_is_not_edited(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    message_id = ann.say(room_id, "hello")["id"]
    doors(ann)("messages.delete", room_id=room_id, message_id=message_id)

    found = refused(doors(ann), "messages.edit", room_id=room_id, message_id=message_id, text="again")

    assert found == (409, "message_deleted")


@pytest.mark.parametrize(("role", "is_allowed"), [("owner", True), ("moderator", True), ("member", False)])
def test_owners_and_moderators_delete_what_others_said(
    doors: Doors, ann: Person, bob: Person, role: str, is_allowed: bool
) -> None:
    room_id = shared_room(ann, bob, role)
    posted = ann.say(room_id, "rude")

    if is_allowed:
        assert doors(bob)("messages.delete", room_id=room_id, message_id=posted["id"]) == {}
        assert ann.get(f"/api/v1/rooms/{room_id}/messages/{posted['id']}")["text"] == ""
    else:
        found = refused(doors(bob), "messages.delete", room_id=room_id, message_id=posted["id"])
        assert found == (403, "role_too_low")
        assert ann.get(f"/api/v1/rooms/{room_id}/messages/{posted['id']}") == posted


def test_in_a_direct_room_neither_deletes_what_the_other_said(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)["id"]
    posted = ann.say(room_id, "hello")

    found = refused(doors(bob), "messages.delete", room_id=room_id, message_id=posted["id"])

    assert found == (403, "role_too_low")


def test_who_was_removed_changes_their_messages_no_more(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = shared_room(ann, bob)
    message_id = bob.say(room_id, "mine")["id"]
    ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")

    for method, data in (("messages.edit", {"text": "still mine"}), ("messages.delete", {})):
        found = refused(doors(bob), method, room_id=room_id, message_id=message_id, **data)
        assert found == (403, "not_a_member")


@pytest.mark.parametrize(
    ("method", "data"), [("messages.get", {}), ("messages.edit", {"text": "x"}), ("messages.delete", {})]
)
def test_a_message_is_found_in_its_own_room_only(
    doors: Doors, house: House, ann: Person, bob: Person, method: str, data: dict[str, Any]
) -> None:
    here = ann.room()
    elsewhere = ann.say(ann.room(), "elsewhere")["id"]
    foreign = bob.say(bob.room("secret", "private"), "foreign")["id"]

    for message_id in (elsewhere, foreign, "nowhere"):
        found = refused(doors(ann), method, room_id=here, message_id=message_id, **data)
        assert found == (404, "message_not_found")


def test_an_edit_reads_its_mentions_anew(doors: Doors, house: House, ann: Person, bob: Person) -> None:
    carol = house.person("carol")
    room_id = shared_room(ann, bob)
    carol.join(room_id)
    message_id = ann.say(room_id, f"@{bob.username}")["id"]

    edited = doors(ann)("messages.edit", room_id=room_id, message_id=message_id, text=f"@{carol.username}")

    assert edited["mentions"] == {"user_ids": [carol.id], "room": False}


def test_an_edit_keeps_calling_the_whole_room(doors: Doors, ann: Person) -> None:
    room_id = ann.room()
    message_id = ann.say(room_id, "all", mentions={"room": True})["id"]

    edited = doors(ann)("messages.edit", room_id=room_id, message_id=message_id, text="everyone")

    assert edited["mentions"]["room"] is True
