"""Direct rooms through both doors: two people, always the same room."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.house import House, Person
from tests.rooms.doors import Doors, refused, refused_fields


def test_the_room_of_two_is_the_same_whoever_opens_it(doors: Doors, ann: Person, bob: Person) -> None:
    opened = doors(ann)("direct.open", user_id=bob.id)

    assert (opened["kind"], opened["name"], opened["role"]) == ("direct", "", "member")
    assert doors(bob)("direct.open", user_id=ann.id) == {**opened, "unread": 0}
    assert doors(ann)("direct.open", user_id=bob.id)["id"] == opened["id"]
    members = doors(bob)("rooms.members", room_id=opened["id"])["items"]
    assert {member["user_id"]: member["role"] for member in members} == {ann.id: "member", bob.id: "member"}


def test_both_opening_it_at_once_get_one_room(ann: Person, bob: Person) -> None:
    asked = [(ann, bob.id), (bob, ann.id)] * 4

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda pair: pair[0].http.post("/api/v1/direct", json={"user_id": pair[1]}), asked))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_a_direct_room_is_listed_for_both_and_not_as_public(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = doors(ann)("direct.open", user_id=bob.id)["id"]

    assert room_id in {room["id"] for room in doors(bob)("rooms.list")["items"]}
    assert room_id not in {room["id"] for room in doors(bob)("rooms.list", scope="public", limit=200)["items"]}


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("rooms.get", {}),
        ("rooms.join", {}),
        ("rooms.members", {}),
        ("messages.list", {}),
        ("messages.post", {"text": "me too"}),
        ("rooms.add_member", {"user_id": "me"}),
    ],
)
def test_a_third_person_does_not_find_it(
    doors: Doors, house: House, ann: Person, bob: Person, method: str, data: dict[str, Any]
) -> None:
    room_id = doors(ann)("direct.open", user_id=bob.id)["id"]

    assert refused(doors(house.person("carol")), method, room_id=room_id, **data) == (404, "room_not_found")


@pytest.mark.parametrize(
    ("method", "data"),
    [
        ("rooms.update", {"name": "Us"}),
        ("rooms.archive", {}),
        ("rooms.leave", {}),
        ("rooms.add_member", {"user_id": "{carol}"}),
        ("rooms.add_member", {"user_id": "{bob}", "role": "owner"}),
        ("rooms.remove_member", {"user_id": "{bob}"}),
        ("rooms.remove_member", {"user_id": "me"}),
    ],
)
def test_its_people_and_name_stay(
    doors: Doors, house: House, ann: Person, bob: Person, method: str, data: dict[str, Any]
) -> None:
    room_id = doors(ann)("direct.open", user_id=bob.id)["id"]
    ids = {"{bob}": bob.id, "{carol}": house.person("carol").id}

    data = {name: ids.get(value, value) for name, value in data.items()}
    assert refused(doors(ann), method, room_id=room_id, **data) == (409, "direct_room_fixed")


@pytest.mark.parametrize("name", ["me", "{own}"])
def test_nobody_talks_to_themselves(doors: Doors, ann: Person, name: str) -> None:
    assert refused_fields(doors(ann), "direct.open", user_id=name.replace("{own}", ann.id)) == {"user_id"}


def test_nobody_talks_to_who_is_not_there(doors: Doors, ann: Person) -> None:
    assert refused(doors(ann), "direct.open", user_id="nobody") == (404, "user_not_found")


def test_both_post_and_read_in_it(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = doors(ann)("direct.open", user_id=bob.id)["id"]

    doors(ann)("messages.post", room_id=room_id, text="hello")

    assert doors(bob)("rooms.get", room_id=room_id)["unread"] == 1
    assert doors(bob)("messages.list", room_id=room_id)["items"][0]["text"] == "hello"
