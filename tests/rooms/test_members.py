"""Who is in a room, through both doors: adding, roles, removing, handing over."""

from typing import Any

import pytest

from chat_server.accounts.commands import update_user
from chat_server.accounts.model import UpdateUser
from chat_server.ids import UserId
from tests.house import House, Person
from tests.rooms.doors import Door, Doors, refused, refused_fields

ROLES = ["owner", "moderator", "member"]


def roles_in(door: Door, room_id: str) -> dict[str, str]:
    return {member["user_id"]: member["role"] for member in door("rooms.members", room_id=room_id)["items"]}


def room_with(ann: Person, kind: str = "public", **others: tuple[Person, str]) -> str:
    """A room of ann's with others in roles."""
    room_id = ann.room("crew", kind)
    for person, role in others.values():
        ann.put(f"/api/v1/rooms/{room_id}/members/{person.id}", {"role": role})
    return room_id


@pytest.fixture
def carol(house: House) -> Person:
    return house.person("carol")


def test_a_member_is_shown_with_name_and_role(doors: Doors, ann: Person) -> None:
    room_id = ann.room("crew")

    (found,) = doors(ann)("rooms.members", room_id=room_id)["items"]

    assert found | {"joined_at": ""} == {
        "user_id": ann.id,
        "username": ann.username,
        "display_name": "ann",
        "kind": "human",
        "role": "owner",
        "joined_at": "",
    }
    assert ann.get(f"/api/v1/rooms/{room_id}/members/{ann.id}") == found
    assert ann.get(f"/api/v1/rooms/{room_id}/members/me") == found


def test_who_is_not_in_the_room_is_404(ann: Person, bob: Person) -> None:
    room_id = ann.room("crew")

    for user_id in (bob.id, "nobody"):
        assert ann.get(f"/api/v1/rooms/{room_id}/members/{user_id}", 404)["code"] == "user_not_found"


def test_any_member_adds_to_a_public_room(doors: Doors, ann: Person, bob: Person, carol: Person) -> None:
    room_id = room_with(ann, bob=(bob, "member"))

    added = doors(bob)("rooms.add_member", room_id=room_id, user_id=carol.id)

    assert (added["user_id"], added["role"]) == (carol.id, "member")
    assert doors(carol)("rooms.get", room_id=room_id)["role"] == "member"


@pytest.mark.parametrize(("role", "is_allowed"), [("owner", True), ("moderator", True), ("member", False)])
def test_only_owners_and_moderators_add_to_a_private_room(
    doors: Doors, ann: Person, bob: Person, carol: Person, role: str, is_allowed: bool
) -> None:
    room_id = room_with(ann, "private", bob=(bob, role))

    if is_allowed:
        assert doors(bob)("rooms.add_member", room_id=room_id, user_id=carol.id)["user_id"] == carol.id
    else:
        assert refused(doors(bob), "rooms.add_member", room_id=room_id, user_id=carol.id) == (403, "role_too_low")
        assert carol.id not in roles_in(doors(ann), room_id)


@pytest.mark.parametrize("actor", ROLES)
@pytest.mark.parametrize("new_role", ["owner", "moderator"])
def test_only_owners_give_roles(
    doors: Doors, ann: Person, bob: Person, carol: Person, actor: str, new_role: str
) -> None:
    room_id = room_with(ann, bob=(bob, actor), carol=(carol, "member"))

    if actor == "owner":
        changed = doors(bob)("rooms.add_member", room_id=room_id, user_id=carol.id, role=new_role)
        assert changed["role"] == new_role
    else:
        data = {"room_id": room_id, "user_id": carol.id, "role": new_role}
        assert refused(doors(bob), "rooms.add_member", **data) == (403, "role_too_low")
        assert roles_in(doors(ann), room_id)[carol.id] == "member"


def test_nobody_promotes_themselves(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob=(bob, "moderator"))

    for user_id in (bob.id, "me"):
        data = {"room_id": room_id, "user_id": user_id, "role": "owner"}
        assert refused(doors(bob), "rooms.add_member", **data) == (403, "role_too_low")


def test_adding_a_member_again_is_no_change(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob=(bob, "member"))
    head = ann.get(f"/api/v1/rooms/{room_id}/members/{bob.id}")

    again = doors(ann)("rooms.add_member", room_id=room_id, user_id=bob.id)

    assert again == head
    assert len(roles_in(doors(ann), room_id)) == 2


def test_a_put_without_a_body_adds_a_member(ann: Person, bob: Person) -> None:
    room_id = ann.room("crew")

    assert ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}")["role"] == "member"


def test_the_last_owner_stays_one(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob=(bob, "moderator"))

    data = {"room_id": room_id, "user_id": ann.id, "role": "member"}
    assert refused(doors(ann), "rooms.add_member", **data) == (409, "last_owner")
    doors(ann)("rooms.add_member", room_id=room_id, user_id=bob.id, role="owner")
    assert doors(ann)("rooms.add_member", **data)["role"] == "member"


@pytest.mark.parametrize("user", ["nobody", "{disabled}"])
def test_who_is_not_there_is_not_added(doors: Doors, house: House, ann: Person, bob: Person, user: str) -> None:
    house.write(lambda unit: update_user(UpdateUser(user_id=UserId(bob.id), disabled=True), unit))
    room_id = ann.room("crew")

    found = refused(doors(ann), "rooms.add_member", room_id=room_id, user_id=user.replace("{disabled}", bob.id))

    assert found == (404, "user_not_found")


@pytest.mark.parametrize("actor", ROLES)
@pytest.mark.parametrize("other", ROLES)
def test_owners_remove_anyone_and_moderators_remove_members(
    doors: Doors, ann: Person, bob: Person, carol: Person, actor: str, other: str
) -> None:
    room_id = room_with(ann, "private", bob=(bob, actor), carol=(carol, other))
    data = {"room_id": room_id, "user_id": carol.id}

    if actor == "owner" or (actor, other) == ("moderator", "member"):
        assert doors(bob)("rooms.remove_member", **data) == {}
        assert carol.id not in roles_in(doors(ann), room_id)
        assert refused(doors(carol), "rooms.get", room_id=room_id) == (404, "room_not_found")
    else:
        assert refused(doors(bob), "rooms.remove_member", **data) == (403, "role_too_low")
        assert roles_in(doors(ann), room_id)[carol.id] == other


def test_a_removed_member_gets_404_for_a_private_room(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, "private", bob=(bob, "member"))
    message_id = bob.say(room_id, "mine")["id"]

    doors(ann)("rooms.remove_member", room_id=room_id, user_id=bob.id)

    for method, data in (
        ("rooms.get", {}),
        ("messages.list", {}),
        ("messages.get", {"message_id": message_id}),
        ("messages.edit", {"message_id": message_id, "text": "still mine"}),
        ("messages.post", {"text": "still here"}),
    ):
        assert refused(doors(bob), method, room_id=room_id, **data) == (404, "room_not_found")


def test_removing_who_is_not_in_the_room_is_404(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("crew")

    for user_id in (bob.id, "nobody"):
        assert refused(doors(ann), "rooms.remove_member", room_id=room_id, user_id=user_id) == (404, "user_not_found")


@pytest.mark.parametrize("name", ["me", "{own}"])
def test_everyone_removes_themselves(doors: Doors, ann: Person, bob: Person, name: str) -> None:
    room_id = room_with(ann, bob=(bob, "member"))

    doors(bob)("rooms.remove_member", room_id=room_id, user_id=name.replace("{own}", bob.id))

    assert set(roles_in(doors(ann), room_id)) == {ann.id}


def test_an_owner_who_leaves_hands_over_to_a_moderator(doors: Doors, ann: Person, bob: Person, carol: Person) -> None:
    room_id = room_with(ann, bob=(bob, "member"), carol=(carol, "moderator"))

    doors(ann)("rooms.leave", room_id=room_id)

    assert roles_in(doors(carol), room_id) == {bob.id: "member", carol.id: "owner"}


def test_without_moderators_who_was_there_longest_gets_the_room(
    doors: Doors, ann: Person, bob: Person, carol: Person
) -> None:
    room_id = ann.room("crew")
    carol.join(room_id)
    bob.join(room_id)

    doors(ann)("rooms.leave", room_id=room_id)

    assert roles_in(doors(bob), room_id) == {bob.id: "member", carol.id: "owner"}


def test_with_another_owner_nobody_is_promoted(doors: Doors, ann: Person, bob: Person, carol: Person) -> None:
    room_id = room_with(ann, bob=(bob, "owner"), carol=(carol, "moderator"))

    doors(ann)("rooms.leave", room_id=room_id)

    assert roles_in(doors(bob), room_id) == {bob.id: "owner", carol.id: "moderator"}


def test_the_last_one_may_leave_and_the_room_stays(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("crew")

    doors(ann)("rooms.leave", room_id=room_id)

    assert doors(bob)("rooms.join", room_id=room_id)["role"] == "member"


def test_members_are_listed_page_by_page(doors: Doors, house: House, ann: Person) -> None:
    room_id = ann.room("crew")
    everyone = {ann.id} | {house.person("dave").id for _ in range(4)}
    for user_id in everyone - {ann.id}:
        ann.put(f"/api/v1/rooms/{room_id}/members/{user_id}")

    first = doors(ann)("rooms.members", room_id=room_id, limit=2)
    second = doors(ann)("rooms.members", room_id=room_id, limit=2, after=first["next"])
    third = doors(ann)("rooms.members", room_id=room_id, limit=2, after=second["next"])
    back = doors(ann)("rooms.members", room_id=room_id, limit=2, before=third["previous"])

    ids = [member["user_id"] for page in (first, second, third) for member in page["items"]]
    assert (first["previous"], third["next"]) == (None, None)
    assert ids == sorted(everyone)
    assert back["items"] == second["items"]


@pytest.mark.parametrize(("field", "value"), [("role", "king"), ("role", None), ("role", True), ("by", "ann")])
def test_a_membership_cannot_say(doors: Doors, ann: Person, bob: Person, field: str, value: Any) -> None:
    room_id = ann.room("crew")

    assert refused_fields(doors(ann), "rooms.add_member", room_id=room_id, user_id=bob.id, **{field: value}) == {field}


def test_every_room_of_somebody_with_a_new_name_shows_it(house: House, ann: Person) -> None:
    rooms = [ann.room(f"room {number}") for number in range(105)]  # more than one page of them

    with ann.wire() as wire:
        wire.subscribe("room:" + max(rooms))
        ann.patch("/api/v1/users/me", {"display_name": "Ann the Great"})
        event = wire.event("room:" + max(rooms), "member.updated")

    assert event["member"]["display_name"] == "Ann the Great"
    assert event["by"] == ann.id
