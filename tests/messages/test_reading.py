"""What is read and what is unread, and who is mentioned, through both doors."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.house import House, Person
from tests.rooms.doors import Doors, RestDoor, refused_fields


def room_with(ann: Person, *others: Person) -> str:
    room_id = ann.room()
    for other in others:
        other.join(room_id)
    return room_id


def mentioned(doors: Doors, person: Person, room_id: str, text: str, **mentions: Any) -> list[str]:
    body = {"mentions": mentions} if mentions else {}
    found = doors(person)("messages.post", room_id=room_id, text=text, **body)["mentions"]["user_ids"]
    return sorted(found)


def test_what_others_say_is_unread_and_what_one_says_is_not(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)
    for text in ("a", "b"):
        doors(ann)("messages.post", room_id=room_id, text=text)

    assert doors(bob)("rooms.get", room_id=room_id)["unread"] == 2
    assert doors(ann)("rooms.get", room_id=room_id)["unread"] == 0


def test_marking_read_counts_down_what_is_unread(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)
    for text in ("a", "b", "c"):
        ann.say(room_id, text)

    marked = doors(bob)("messages.read", room_id=room_id, seq=2)

    assert (marked["last_read_seq"], marked["unread"], marked["last_message_seq"]) == (2, 1, 3)
    assert doors(bob)("rooms.get", room_id=room_id) == marked


def test_the_mark_never_goes_back(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)
    for text in ("a", "b", "c"):
        ann.say(room_id, text)
    doors(bob)("messages.read", room_id=room_id, seq=3)

    for seq in (0, 1, 3):
        assert doors(bob)("messages.read", room_id=room_id, seq=seq)["last_read_seq"] == 3


def test_the_mark_never_goes_beyond_the_last_message(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)
    ann.say(room_id, "a")

    assert doors(bob)("messages.read", room_id=room_id, seq=2**53 - 1)["last_read_seq"] == 1
    ann.say(room_id, "b")
    assert doors(bob)("rooms.get", room_id=room_id)["unread"] == 1


def test_posting_reads_the_room_up_to_ones_own_message(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)
    for text in ("a", "b"):
        ann.say(room_id, text)

    doors(bob)("messages.post", room_id=room_id, text="c")

    found = doors(bob)("rooms.get", room_id=room_id)
    assert (found["last_read_seq"], found["unread"]) == (3, 0)


def test_a_mark_is_ones_own(doors: Doors, house: House, ann: Person, bob: Person) -> None:
    carol = house.person("carol")
    room_id = room_with(ann, bob, carol)
    ann.say(room_id, "a")

    doors(bob)("messages.read", room_id=room_id, seq=1)

    assert doors(carol)("rooms.get", room_id=room_id)["unread"] == 1


@pytest.mark.parametrize("seq", [-1, 2**53, 1.0, "1", True, None, [1]])
def test_a_mark_is_a_whole_number_from_0(doors: Doors, ann: Person, seq: Any) -> None:
    assert refused_fields(doors(ann), "messages.read", room_id=ann.room(), seq=seq) == {"seq"}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(st.none(), st.integers(0, 12)), max_size=10))
def test_unread_is_always_what_lies_between_the_mark_and_the_last_message(
    house: House, steps: list[int | None]
) -> None:
    ann, bob = house.person("ann"), house.person("bob")
    room_id = room_with(ann, bob)
    door, last, mark = RestDoor(bob), 0, 0

    for step in steps:
        if step is None:
            ann.say(room_id, "more")
            last += 1
            found = door("rooms.get", room_id=room_id)
        else:
            mark = max(mark, min(step, last))
            found = door("messages.read", room_id=room_id, seq=step)
        assert (found["last_message_seq"], found["last_read_seq"], found["unread"]) == (last, mark, last - mark)


def test_a_name_in_the_text_is_a_mention(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)

    for text in ("@{}", "hi @{}!", "(@{})", "@{}: look", "look, @{}.", "@{} @{}", "\n@{}\n"):
        assert mentioned(doors, ann, room_id, text.replace("{}", bob.username)) == [bob.id], text


def test_a_name_is_found_however_it_is_written(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)

    assert mentioned(doors, ann, room_id, f"@{bob.username.upper()}") == [bob.id]


def test_what_only_looks_like_a_name_is_no_mention(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = room_with(ann, bob)

    for text in ("{}", "mail ann@{}", "@ {}", "@@{}", "@{}x", "@x{}"):
        assert mentioned(doors, ann, room_id, text.replace("{}", bob.username)) == [], text


def test_members_can_be_mentioned_by_id(doors: Doors, house: House, ann: Person, bob: Person) -> None:
    carol = house.person("carol")
    room_id = room_with(ann, bob, carol)

    found = mentioned(doors, ann, room_id, f"you and @{carol.username}", user_ids=[bob.id, bob.id])

    assert found == sorted([bob.id, carol.id])


def test_who_is_not_in_the_room_is_not_mentioned(doors: Doors, ann: Person, bob: Person) -> None:
    room_id = ann.room()

    assert mentioned(doors, ann, room_id, f"@{bob.username} @nobody-here") == []
    for user_id in (bob.id, "nobody"):
        body = {"text": "you", "mentions": {"user_ids": [user_id]}}
        assert refused_fields(doors(ann), "messages.post", room_id=room_id, **body) == {"mentions.user_ids"}


def test_everyone_is_mentioned_by_a_flag_not_by_a_word(doors: Doors, ann: Person) -> None:
    room_id = ann.room()

    flagged = doors(ann)("messages.post", room_id=room_id, text="all", mentions={"room": True})
    worded = doors(ann)("messages.post", room_id=room_id, text="@room @everyone @all")

    assert flagged["mentions"] == {"user_ids": [], "room": True}
    assert worded["mentions"] == {"user_ids": [], "room": False}


def test_a_hundred_people_at_most_are_mentioned_by_id(doors: Doors, ann: Person) -> None:
    body = {"text": "all of you", "mentions": {"user_ids": [ann.id] * 101}}

    assert refused_fields(doors(ann), "messages.post", room_id=ann.room(), **body) == {"mentions.user_ids"}
