"""The inbox through both doors: paging, what is unread, and marking it."""

from typing import Any

import pytest

from tests.accounts.asking import problem
from tests.house import House, Person
from tests.notifications.inboxes import publish, publisher_of, unread
from tests.rooms.doors import Doors, refused, refused_fields


@pytest.fixture(scope="module")
def publisher(house: House) -> Person:
    return publisher_of(house)


def filled(publisher: Person, person: Person, count: int) -> None:
    for number in range(1, count + 1):
        publish(publisher, str(number), user_ids=[person.id])


def texts(page: dict[str, Any]) -> list[str]:
    return [each["text"] for each in page["items"]]


def test_an_empty_inbox(doors: Doors, ann: Person) -> None:
    assert doors(ann)("notifications.list") == {"items": [], "next": None, "previous": None, "unread": 0}


def test_the_inbox_ascends_and_its_newest_page_comes_first(doors: Doors, publisher: Person, ann: Person) -> None:
    filled(publisher, ann, 5)

    page = doors(ann)("notifications.list", limit=2)

    assert (texts(page), page["next"], page["unread"]) == (["4", "5"], None, 5)
    assert page["previous"] is not None


def test_walking_back_and_forth_gives_every_notification_once(doors: Doors, publisher: Person, ann: Person) -> None:
    filled(publisher, ann, 5)
    door = doors(ann)

    page = door("notifications.list", limit=2)
    back = [texts(page)]
    while page["previous"] is not None:
        page = door("notifications.list", limit=2, before=page["previous"])
        back.append(texts(page))
    forth = [texts(page)]
    while page["next"] is not None:
        page = door("notifications.list", limit=2, after=page["next"])
        forth.append(texts(page))

    assert back == [["4", "5"], ["2", "3"], ["1"]]
    assert [text for found in forth for text in found] == ["1", "2", "3", "4", "5"]


def test_the_pages_are_linked(publisher: Person, ann: Person) -> None:
    filled(publisher, ann, 3)

    answer = ann.http.get("/api/v1/notifications", params={"limit": 2})

    assert set(answer.links) == {"prev"}
    assert texts(ann.http.get(answer.links["prev"]["url"]).json()) == ["1"]


def test_only_unread_ones_can_be_asked_for(doors: Doors, publisher: Person, ann: Person) -> None:
    filled(publisher, ann, 3)
    middle = doors(ann)("notifications.list")["items"][1]
    doors(ann)("notifications.update", notification_id=middle["id"], read=True)

    page = doors(ann)("notifications.list", unread=True)

    assert (texts(page), page["unread"]) == (["1", "3"], 2)


def test_reading_one_marks_it_and_counts_down(doors: Doors, publisher: Person, ann: Person) -> None:
    filled(publisher, ann, 2)
    first = doors(ann)("notifications.list")["items"][0]

    marked = doors(ann)("notifications.update", notification_id=first["id"], read=True)

    assert marked == {**first, "read_at": marked["read_at"]}
    assert marked["read_at"] >= first["created_at"]
    assert unread(ann) == 1
    assert doors(ann)("notifications.list")["items"][0] == marked


def test_what_was_read_can_be_unread_again(doors: Doors, publisher: Person, ann: Person) -> None:
    filled(publisher, ann, 1)
    (only,) = doors(ann)("notifications.list")["items"]
    doors(ann)("notifications.update", notification_id=only["id"], read=True)

    assert doors(ann)("notifications.update", notification_id=only["id"], read=False) == only
    assert unread(ann) == 1


def test_reading_twice_is_no_change(doors: Doors, publisher: Person, ann: Person) -> None:
    filled(publisher, ann, 1)
    (only,) = doors(ann)("notifications.list")["items"]
    first = doors(ann)("notifications.update", notification_id=only["id"], read=True)

    assert doors(ann)("notifications.update", notification_id=only["id"], read=True) == first


def test_all_can_be_read_at_once(doors: Doors, publisher: Person, ann: Person, bob: Person) -> None:
    filled(publisher, ann, 3)
    filled(publisher, bob, 1)

    assert doors(ann)("notifications.read_all") == {"unread": 0}

    page = doors(ann)("notifications.list")
    assert page["unread"] == 0
    assert all(each["read_at"] for each in page["items"])
    assert doors(ann)("notifications.read_all") == {"unread": 0}
    assert unread(bob) == 1


def test_one_notification_is_read_by_each_of_its_people(
    doors: Doors, publisher: Person, ann: Person, bob: Person
) -> None:
    published = publish(publisher, user_ids=[ann.id, bob.id])

    doors(ann)("notifications.update", notification_id=published["id"], read=True)

    assert (unread(ann), unread(bob)) == (0, 1)


def test_the_notifications_of_others_are_404(doors: Doors, publisher: Person, ann: Person, bob: Person) -> None:
    foreign = publish(publisher, user_ids=[bob.id])["id"]
    topical = publish(publisher, topic="deploys")["id"]

    for notification_id in (foreign, topical, "nowhere"):
        found = refused(doors(ann), "notifications.update", notification_id=notification_id, read=True)
        assert found == (404, "notification_not_found")
    assert unread(bob) == 1


@pytest.mark.parametrize("read", [None, 1, "true", "yes", []])
def test_a_mark_is_true_or_false(doors: Doors, publisher: Person, ann: Person, read: Any) -> None:
    notification_id = publish(publisher, user_ids=[ann.id])["id"]

    assert refused_fields(doors(ann), "notifications.update", notification_id=notification_id, read=read) == {"read"}
    assert unread(ann) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [("limit", 0), ("limit", 201), ("before", -1), ("after", 2**53), ("unread", "maybe"), ("page", 1)],
)
def test_an_inbox_that_cannot_be_asked_for(doors: Doors, ann: Person, field: str, value: Any) -> None:
    assert refused_fields(doors(ann), "notifications.list", **{field: value}) == {field}


def test_a_page_of_the_inbox_has_one_direction(doors: Doors, ann: Person) -> None:
    assert refused(doors(ann), "notifications.list", before=3, after=1) == (422, "invalid")


def test_an_inbox_needs_the_chat_scope(house: House, publisher: Person) -> None:
    problem(publisher.http.get("/api/v1/notifications"), 403, "insufficient_scope")
