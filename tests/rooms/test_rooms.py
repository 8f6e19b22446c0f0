"""Rooms through both doors: making, seeing, changing, archiving, joining and leaving them."""

from typing import Any

import pytest

from chat_server.shapes import Role
from tests.house import House, Person
from tests.rooms.doors import Doors, refused, refused_fields

CARD = {"id", "name", "kind", "topic", "created_by", "created_at", "archived_at", "last_message_seq"}
MINE = CARD | {"role", "last_read_seq", "unread"}


def test_who_makes_a_room_owns_it(doors: Doors, ann: Person) -> None:
    made = doors(ann)("rooms.create", name="General", kind="private", topic="Everything")

    assert set(made) == MINE
    assert made | {"id": "", "created_at": ""} == {
        "id": "",
        "name": "General",
        "kind": "private",
        "topic": "Everything",
        "created_by": ann.id,
        "created_at": "",
        "archived_at": None,
        "last_message_seq": 0,
        "role": "owner",
        "last_read_seq": 0,
        "unread": 0,
    }
    assert doors(ann)("rooms.get", room_id=made["id"]) == made


def test_a_room_is_public_unless_it_says_otherwise(doors: Doors, ann: Person) -> None:
    assert doors(ann)("rooms.create", name="Open")["kind"] == "public"


def test_a_guest_makes_no_rooms(doors: Doors, house: House) -> None:
    guest = house.person("gus", Role.GUEST)

    assert refused(doors(guest), "rooms.create", name="Mine") == (403, "role_too_low")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " \t"),
        ("name", "x" * 81),
        ("name", "two\nlines"),
        ("name", "nul\x00"),
        ("name", 7),
        ("name", None),
        ("kind", "direct"),
        ("kind", "secret"),
        ("topic", "x" * 501),
        ("topic", "nul\x00"),
        ("topic", None),
        ("id", "mine"),
        ("created_by", "olga"),
        ("role", "owner"),
    ],
)
def test_a_room_cannot_be_made_with(doors: Doors, ann: Person, field: str, value: Any) -> None:
    body = {"name": "Fine", field: value}

    assert refused_fields(doors(ann), "rooms.create", **body) == {field}


def test_a_stranger_sees_a_public_rooms_card_only(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("open")

    card = doors(bob)("rooms.get", room_id=room_id)

    assert set(card) == CARD
    assert card["name"] == "open"


STRANGERS_COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("rooms.update", {"name": "Mine"}),
    ("rooms.archive", {}),
    ("rooms.leave", {}),
    ("rooms.members", {}),
    ("rooms.add_member", {"user_id": "me"}),
    ("rooms.remove_member", {"user_id": "me"}),
    ("messages.post", {"text": "hello"}),
    ("messages.list", {}),
    ("messages.get", {"message_id": "{message_id}"}),
    ("messages.edit", {"message_id": "{message_id}", "text": "mine"}),
    ("messages.delete", {"message_id": "{message_id}"}),
    ("messages.read", {"seq": 1}),
]


@pytest.mark.parametrize(
    ("method", "data"), STRANGERS_COMMANDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_stranger_is_told_to_join_a_public_room_first(
    doors: Doors, ann: Person, bob: Person, method: str, data: dict[str, Any]
) -> None:
    room_id = ann.room("open")
    message_id = ann.say(room_id, "hello")["id"]
    data = {name: message_id if value == "{message_id}" else value for name, value in data.items()}

    assert refused(doors(bob), method, room_id=room_id, **data) == (403, "not_a_member")


@pytest.mark.parametrize(
    ("method", "data"),
    [("rooms.get", {}), ("rooms.join", {}), *STRANGERS_COMMANDS],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_private_room_is_not_there_for_a_stranger(
    doors: Doors, ann: Person, bob: Person, method: str, data: dict[str, Any]
) -> None:
    room_id = ann.room("closed", "private")
    message_id = ann.say(room_id, "hello")["id"]
    data = {name: message_id if value == "{message_id}" else value for name, value in data.items()}

    hidden = refused(doors(bob), method, room_id=room_id, **data)

    assert hidden == refused(doors(bob), method, room_id="nowhere", **data) == (404, "room_not_found")


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OWNER])
def test_a_private_room_is_not_there_for_the_servers_admins_either(
    doors: Doors, house: House, ann: Person, role: Role
) -> None:
    room_id = ann.room("closed", "private")

    assert refused(doors(house.person("olga", role)), "rooms.get", room_id=room_id) == (404, "room_not_found")


def test_joining_a_public_room_makes_a_member_with_nothing_unread(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("open")
    ann.say(room_id, "before")

    joined = doors(bob)("rooms.join", room_id=room_id)

    assert (joined["role"], joined["last_message_seq"], joined["last_read_seq"], joined["unread"]) == (
        "member",
        1,
        1,
        0,
    )
    assert [found["text"] for found in doors(bob)("messages.list", room_id=room_id)["items"]] == ["before"]


def test_joining_twice_is_no_change(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("open")
    first = doors(bob)("rooms.join", room_id=room_id)

    assert doors(bob)("rooms.join", room_id=room_id) == first
    assert doors(ann)("rooms.join", room_id=room_id)["role"] == "owner"


def test_leaving_a_room_ends_what_was_seen_of_it(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("open")
    bob.join(room_id)

    assert doors(bob)("rooms.leave", room_id=room_id) == {}

    assert refused(doors(bob), "messages.list", room_id=room_id) == (403, "not_a_member")
    assert doors(bob)("rooms.list")["items"] == []


def test_what_a_change_does_not_send_stays(doors: Doors, ann: Person) -> None:
    room_id = doors(ann)("rooms.create", name="Old", topic="Old topic")["id"]

    renamed = doors(ann)("rooms.update", room_id=room_id, name="New")
    assert (renamed["name"], renamed["topic"]) == ("New", "Old topic")
    assert doors(ann)("rooms.update", room_id=room_id, topic="")["topic"] == ""
    assert doors(ann)("rooms.update", room_id=room_id)["name"] == "New"


@pytest.mark.parametrize(
    ("field", "value"), [("name", None), ("name", ""), ("topic", None), ("kind", "private"), ("archived_at", None)]
)
def test_a_room_cannot_be_changed_to(doors: Doors, ann: Person, field: str, value: Any) -> None:
    room_id = ann.room("fine")

    assert refused_fields(doors(ann), "rooms.update", room_id=room_id, **{field: value}) == {field}
    assert ann.get(f"/api/v1/rooms/{room_id}")["name"] == "fine"


@pytest.mark.parametrize(("role", "may_change"), [("owner", True), ("moderator", True), ("member", False)])
def test_owners_and_moderators_change_a_room(
    doors: Doors, ann: Person, bob: Person, role: str, may_change: bool
) -> None:
    room_id = ann.room("open")
    ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}", {"role": role})

    if may_change:
        assert doors(bob)("rooms.update", room_id=room_id, name="Bob's")["name"] == "Bob's"
    else:
        assert refused(doors(bob), "rooms.update", room_id=room_id, name="Bob's") == (403, "role_too_low")
        assert ann.get(f"/api/v1/rooms/{room_id}")["name"] == "open"


@pytest.mark.parametrize("role", ["moderator", "member"])
def test_only_owners_archive_a_room(doors: Doors, ann: Person, bob: Person, role: str) -> None:
    room_id = ann.room("open")
    ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}", {"role": role})

    assert refused(doors(bob), "rooms.archive", room_id=room_id) == (403, "role_too_low")
    assert ann.get(f"/api/v1/rooms/{room_id}")["archived_at"] is None


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("rooms.update", {"name": "Again"}),
        ("rooms.archive", {}),
        ("rooms.add_member", {"user_id": "{bob}"}),
        ("messages.post", {"text": "too late"}),
        ("messages.edit", {"message_id": "{message_id}", "text": "too late"}),
        ("messages.delete", {"message_id": "{message_id}"}),
    ],
)
def test_an_archived_room_takes_no_changes(
    doors: Doors, ann: Person, bob: Person, method: str, data: dict[str, Any]
) -> None:
    room_id = ann.room("old")
    message_id = ann.say(room_id, "hello")["id"]
    names = {"{message_id}": message_id, "{bob}": bob.id}
    doors(ann)("rooms.archive", room_id=room_id)

    data = {name: names.get(value, value) for name, value in data.items()}
    assert refused(doors(ann), method, room_id=room_id, **data) == (409, "room_archived")


def test_nobody_joins_an_archived_room(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("old")
    ann.delete(f"/api/v1/rooms/{room_id}")

    assert refused(doors(bob), "rooms.join", room_id=room_id) == (409, "room_archived")


def test_an_archived_room_stays_readable_for_its_members(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("old")
    bob.join(room_id)
    ann.say(room_id, "hello")
    doors(ann)("rooms.archive", room_id=room_id)

    assert doors(bob)("rooms.get", room_id=room_id)["archived_at"] is not None
    assert [found["text"] for found in doors(bob)("messages.list", room_id=room_id)["items"]] == ["hello"]
    assert doors(bob)("messages.read", room_id=room_id, seq=1)["unread"] == 0
    assert doors(bob)("rooms.leave", room_id=room_id) == {}
