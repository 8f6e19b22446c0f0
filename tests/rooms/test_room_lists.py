"""The list of rooms: whose, which, page by page; and both doors answer the same."""

from typing import Any

import pytest

from tests.house import House, Person
from tests.rooms.doors import Doors, RestDoor, refused_fields


@pytest.fixture
def carol(house: House) -> Person:
    return house.person("carol")


def ids_of(page: dict[str, Any]) -> list[str]:
    return [room["id"] for room in page["items"]]


def test_my_rooms_are_those_i_am_in(doors: Doors, ann: Person, bob: Person) -> None:
    mine = [ann.room("one"), ann.room("two", "private")]
    bob.room("three")

    found = doors(ann)("rooms.list")

    assert ids_of(found) == sorted(mine)
    assert all(room["role"] == "owner" for room in found["items"])


def test_public_rooms_are_those_one_could_join_too(doors: Doors, ann: Person, bob: Person) -> None:
    joined, open_, closed, archived = bob.room("a"), bob.room("b"), bob.room("c", "private"), bob.room("d")
    ann.join(joined)
    bob.delete(f"/api/v1/rooms/{archived}")

    found = {room["id"]: room for room in doors(ann)("rooms.list", scope="public", limit=200)["items"]}

    assert {joined, open_} <= set(found)
    assert not {closed, archived} & set(found)
    assert found[joined]["role"] == "member"
    assert "role" not in found[open_]
    assert "unread" not in found[open_]


def test_a_list_of_rooms_counts_what_is_unread(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room("one")
    bob.join(room_id)
    for text in ("a", "b", "c"):
        ann.say(room_id, text)

    (found,) = doors(bob)("rooms.list")["items"]

    assert (found["last_message_seq"], found["last_read_seq"], found["unread"]) == (3, 0, 3)


def test_rooms_are_listed_page_by_page_in_both_directions(doors: Doors, ann: Person) -> None:
    made = sorted(ann.room(str(number)) for number in range(5))

    first = doors(ann)("rooms.list", limit=2)
    second = doors(ann)("rooms.list", limit=2, after=first["next"])
    third = doors(ann)("rooms.list", limit=2, after=second["next"])
    back = doors(ann)("rooms.list", limit=2, before=third["previous"])
    start = doors(ann)("rooms.list", limit=2, before=back["previous"])

    assert [ids_of(page) for page in (first, second, third)] == [made[:2], made[2:4], made[4:]]
    assert (first["previous"], third["next"], start["previous"]) == (None, None, None)
    assert (back["items"], start["items"]) == (second["items"], first["items"])


def test_the_links_of_the_list_say_the_same(ann: Person) -> None:
    for number in range(3):
        ann.room(str(number))

    first = ann.http.get("/api/v1/rooms", params={"limit": 1})
    second = ann.http.get(first.links["next"]["url"])

    assert set(first.links) == {"next"}
    assert set(second.links) == {"next", "prev"}
    assert ann.http.get(second.links["prev"]["url"]).json() == {**first.json(), "next": ids_of(first.json())[0]}
    assert "limit=1" in second.links["next"]["url"]


@pytest.mark.parametrize(
    ("field", "value"), [("scope", "all"), ("limit", 0), ("limit", 201), ("limit", "x"), ("page", 2)]
)
def test_a_list_that_cannot_be_asked_for(doors: Doors, ann: Person, field: str, value: Any) -> None:
    assert refused_fields(doors(ann), "rooms.list", **{field: value}) == {field}


def test_both_doors_answer_the_same(ann: Person, bob: Person) -> None:
    room_id = ann.room("one")
    bob.join(room_id)
    message = ann.say(room_id, f"hello @{bob.username}")
    direct_id = ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)["id"]
    asked: list[tuple[str, dict[str, Any]]] = [
        ("users.me", {}),
        ("users.list", {"limit": 3}),
        ("rooms.list", {}),
        ("rooms.list", {"scope": "public", "limit": 1}),
        ("rooms.get", {"room_id": room_id}),
        ("rooms.get", {"room_id": direct_id}),
        ("rooms.members", {"room_id": room_id, "limit": 1}),
        ("rooms.join", {"room_id": room_id}),
        ("rooms.add_member", {"room_id": room_id, "user_id": bob.id}),
        ("direct.open", {"user_id": ann.id}),
        ("messages.list", {"room_id": room_id}),
        ("messages.get", {"room_id": room_id, "message_id": message["id"]}),
        ("messages.read", {"room_id": room_id, "seq": 0}),
        ("notifications.list", {}),
        ("users.update", {}),
        ("rooms.leave", {"room_id": direct_id}),
    ]
    rest = RestDoor(bob)

    with bob.wire() as wire:
        for method, data in asked:
            answer = wire.ask(rpc={"method": method, "data": data})
            if "error" in answer:
                assert method == "rooms.leave"
                assert answer["error"]["reason"] == "direct_room_fixed"
                continue
            assert answer["rpc"]["data"] == rest(method, **data), method
