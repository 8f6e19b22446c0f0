"""Paging through a room's messages, through both doors: every message once, in order, until the ends."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.house import House, Person
from tests.rooms.doors import Doors, RestDoor, refused_fields


def room_of(person: Person, count: int) -> str:
    """A room with messages 1 to `count`, each saying its number."""
    room_id = person.room()
    for number in range(1, count + 1):
        person.say(room_id, str(number))
    return room_id


def seqs(page: dict[str, Any]) -> list[int]:
    return [message["seq"] for message in page["items"]]


@pytest.fixture(scope="module")
def reader(house: House) -> Person:
    return house.person("ann")


@pytest.fixture(scope="module")
def ten(reader: Person) -> str:
    return room_of(reader, 10)


# What is asked, which messages come, and what the page says of both sides.
PAGES: list[tuple[dict[str, Any], list[int], int | None, int | None]] = [
    ({}, list(range(1, 11)), None, None),
    ({"limit": 4}, [7, 8, 9, 10], 7, None),
    ({"limit": 4, "before": 7}, [3, 4, 5, 6], 3, 6),
    ({"limit": 4, "before": 3}, [1, 2], None, 2),
    ({"limit": 4, "after": 0}, [1, 2, 3, 4], None, 4),
    ({"limit": 4, "after": 4}, [5, 6, 7, 8], 5, 8),
    ({"limit": 4, "after": 8}, [9, 10], 9, None),
    ({"limit": 4, "after": 10}, [], None, None),
    ({"limit": 4, "after": 2**53 - 1}, [], None, None),
    ({"limit": 4, "before": 1}, [], None, None),
    ({"limit": 4, "before": 11}, [7, 8, 9, 10], 7, None),
    ({"limit": 4, "before": 2**53 - 1}, [7, 8, 9, 10], 7, None),
    ({"limit": 4, "around": 5}, [3, 4, 5, 6], 3, 6),
    ({"limit": 5, "around": 5}, [3, 4, 5, 6, 7], 3, 7),
    ({"limit": 1, "around": 5}, [5], 5, 5),
    ({"limit": 4, "around": 1}, [1, 2, 3, 4], None, 4),
    ({"limit": 4, "around": 10}, [8, 9, 10], 8, None),
    ({"limit": 200, "around": 5}, list(range(1, 11)), None, None),
]


@pytest.mark.parametrize(("asked", "wanted", "previous", "next_"), PAGES, ids=[str(row[0]) for row in PAGES])
def test_a_page_holds(
    doors: Doors,
    reader: Person,
    ten: str,
    asked: dict[str, Any],
    wanted: list[int],
    previous: int | None,
    next_: int | None,
) -> None:
    page = doors(reader)("messages.list", room_id=ten, **asked)

    assert set(page) == {"items", "next", "previous"}
    assert (seqs(page), page["previous"], page["next"]) == (wanted, previous, next_)
    assert [message["text"] for message in page["items"]] == [str(seq) for seq in wanted]


def test_an_empty_room_is_an_empty_page(doors: Doors, ann: Person) -> None:
    page = doors(ann)("messages.list", room_id=ann.room())

    assert page == {"items": [], "next": None, "previous": None}


def test_fifty_messages_are_a_page_unless_asked_otherwise(doors: Doors, ann: Person) -> None:
    room_id = room_of(ann, 51)

    assert seqs(doors(ann)("messages.list", room_id=room_id)) == list(range(2, 52))


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"limit": 0}, {"limit"}),
        ({"limit": 201}, {"limit"}),
        ({"limit": -1}, {"limit"}),
        ({"limit": "many"}, {"limit"}),
        ({"before": -1}, {"before"}),
        ({"after": 2**53}, {"after"}),
        ({"around": 10**30}, {"around"}),
        ({"around": "now"}, {"around"}),
        ({"page": 2}, {"page"}),
        ({"offset": 10}, {"offset"}),
    ],
)
def test_a_page_that_cannot_be_asked_for(
    doors: Doors, reader: Person, ten: str, asked: dict[str, Any], fields: set[str]
) -> None:
    assert refused_fields(doors(reader), "messages.list", room_id=ten, **asked) == fields


@pytest.mark.parametrize("pair", [("before", "after"), ("before", "around"), ("after", "around")])
def test_a_page_has_one_direction(doors: Doors, reader: Person, ten: str, pair: tuple[str, str]) -> None:
    asked = dict.fromkeys(pair, 3)

    assert len(refused_fields(doors(reader), "messages.list", room_id=ten, **asked)) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 12), start=st.integers(0, 11), forwards=st.booleans())
def test_walking_the_pages_gives_every_message_once(
    reader: Person, ten: str, limit: int, start: int, forwards: bool
) -> None:
    door = RestDoor(reader)
    way, word, beyond = ("next", "after", 0) if forwards else ("previous", "before", 11)

    walked: list[list[int]] = []
    page = door("messages.list", room_id=ten, limit=limit, **{word: beyond})
    while True:
        walked.append(seqs(page))
        if page[way] is None:
            break
        page = door("messages.list", room_id=ten, limit=limit, **{word: page[way]})

    in_order = walked if forwards else walked[::-1]
    assert [seq for found in in_order for seq in found] == list(range(1, 11))
    middle = door("messages.list", room_id=ten, limit=limit, around=start)
    assert len(seqs(middle)) <= limit
    assert start in seqs(middle) or start in {0, 11}


def test_the_links_walk_to_both_ends(reader: Person, ten: str) -> None:
    answer = reader.http.get(f"/api/v1/rooms/{ten}/messages", params={"limit": 3})

    backwards = [seqs(answer.json())]
    while "prev" in answer.links:
        assert "limit=3" in answer.links["prev"]["url"]
        answer = reader.http.get(answer.links["prev"]["url"])
        backwards.append(seqs(answer.json()))
    forwards = [seqs(answer.json())]
    while "next" in answer.links:
        answer = reader.http.get(answer.links["next"]["url"])
        forwards.append(seqs(answer.json()))

    assert backwards == [[8, 9, 10], [5, 6, 7], [2, 3, 4], [1]]
    assert forwards == [[1], [2, 3, 4], [5, 6, 7], [8, 9, 10]]


def test_a_page_without_neighbours_has_no_links(reader: Person, ten: str) -> None:
    answer = reader.http.get(f"/api/v1/rooms/{ten}/messages")

    assert "link" not in answer.headers


def test_a_cursor_out_of_a_link_does_not_carry_the_old_ones(reader: Person, ten: str) -> None:
    answer = reader.http.get(f"/api/v1/rooms/{ten}/messages", params={"limit": 2, "around": 5})

    for link in answer.links.values():
        assert "around" not in link["url"]
        assert reader.http.get(link["url"]).status_code == 200


def test_deleted_messages_keep_their_place_in_a_page(doors: Doors, ann: Person) -> None:
    room_id = room_of(ann, 3)
    middle = doors(ann)("messages.list", room_id=room_id)["items"][1]
    doors(ann)("messages.delete", room_id=room_id, message_id=middle["id"])

    page = doors(ann)("messages.list", room_id=room_id)

    assert [(message["seq"], message["text"]) for message in page["items"]] == [(1, "1"), (2, ""), (3, "3")]
