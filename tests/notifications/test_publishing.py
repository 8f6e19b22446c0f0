"""Publishing notifications: to people, to topics, once however often it is repeated."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chat_server.ids import new_id
from chat_server.shapes import Role
from tests.accounts.asking import fields_of, problem
from tests.house import House, Person
from tests.notifications.inboxes import NOTIFICATION, inbox, publish, publisher_of, texts, unread


@pytest.fixture(scope="module")
def publisher(house: House) -> Person:
    return publisher_of(house)


def test_a_publication_reaches_the_inboxes_of_its_people(publisher: Person, ann: Person, bob: Person) -> None:
    published = publish(
        publisher,
        "Build 7 failed",
        user_ids=[ann.id, bob.id],
        title="CI",
        priority=5,
        tags=["ci", "red"],
        click="https://ci.example.org/7",
    )

    assert set(published) == NOTIFICATION
    assert published | {"id": "", "created_at": ""} == {
        "id": "",
        "kind": "published",
        "topic": None,
        "title": "CI",
        "text": "Build 7 failed",
        "priority": 5,
        "tags": ["ci", "red"],
        "click": "https://ci.example.org/7",
        "room_id": None,
        "message_id": None,
        "sender_id": publisher.id,
        "created_at": "",
        "expires_at": None,
        "read_at": None,
    }
    assert inbox(ann) == inbox(bob) == [published]


def test_a_text_is_enough(publisher: Person, ann: Person) -> None:
    published = publish(publisher, user_ids=[ann.id])

    assert (published["title"], published["priority"], published["tags"], published["click"]) == ("", 3, [], None)


def test_who_is_named_twice_hears_it_once(publisher: Person, ann: Person) -> None:
    publish(publisher, user_ids=[ann.id, ann.id])

    assert len(inbox(ann)) == 1


def test_who_is_not_named_hears_nothing(publisher: Person, ann: Person, bob: Person) -> None:
    publish(publisher, user_ids=[ann.id])

    assert inbox(bob) == []


def test_if_one_of_the_people_is_not_there_nobody_hears_it(publisher: Person, ann: Person) -> None:
    answer = publisher.http.post("/api/v1/notifications", json={"user_ids": [ann.id, "nobody"], "text": "done"})

    problem(answer, 404, "user_not_found")
    assert inbox(ann) == []


def test_a_topics_notification_is_in_nobodys_inbox(publisher: Person, ann: Person) -> None:
    published = publish(publisher, topic="deploys")

    assert published["topic"] == "deploys"
    assert inbox(ann) == []


def test_a_topics_notification_is_heard_by_who_follows_it(publisher: Person, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()
        wire.subscribe("topic:builds")

        published = publish(publisher, topic="builds")

        assert wire.event("topic:builds", "notification.raised")["notification"] == published


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ""),
        ("text", "x" * 4097),
        ("text", "nul\x00"),
        ("text", None),
        ("title", "x" * 251),
        ("title", "two\nlines"),
        ("priority", 0),
        ("priority", 6),
        ("priority", 3.0),
        ("priority", True),
        ("priority", "5"),
        ("tags", ["x"] * 17),
        ("tags.0", [""]),
        ("tags.0", ["a,b"]),
        ("tags", "ci"),
        ("click", "javascript:alert(1)"),
        ("click", "data:text/html,x"),
        ("click", "JAVASCRIPT:alert(1)"),
        ("click", " https://example.org"),
        ("click", "https://example.org/a b"),
        ("click", "x" * 2049),
        ("topic", "no spaces"),
        ("topic", "a/b"),
        ("topic", ""),
        ("topic", "x" * 65),
        ("sender_id", "olga"),
        ("kind", "mention"),
        ("created_at", "2020-01-01T00:00:00Z"),
    ],
)
def test_a_publication_cannot_say(publisher: Person, field: str, value: Any) -> None:
    body = {"topic": "fine", "text": "done", field.partition(".")[0]: value}

    answer = publisher.http.post("/api/v1/notifications", json=body)

    assert fields_of(problem(answer, 422, "invalid")) == {field}


@pytest.mark.parametrize(
    "addressee",
    [{}, {"topic": "both", "user_ids": ["x"]}, {"topic": None}, {"user_ids": []}, {"user_ids": ["x"] * 1001}],
)
def test_a_publication_has_one_kind_of_addressee(publisher: Person, addressee: dict[str, Any]) -> None:
    answer = publisher.http.post("/api/v1/notifications", json={"text": "done", **addressee})

    problem(answer, 422, "invalid")


def test_publishing_needs_its_scope(ann: Person) -> None:
    answer = ann.http.post("/api/v1/notifications", json={"topic": "deploys", "text": "done"})

    problem(answer, 403, "insufficient_scope")


def test_a_repeat_under_the_same_key_gets_the_first_answer(publisher: Person, ann: Person) -> None:
    body, headers = {"user_ids": [ann.id], "text": "once"}, {"Idempotency-Key": new_id()}

    first, again = (publisher.http.post("/api/v1/notifications", json=body, headers=headers) for _ in range(2))

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert texts(ann) == ["once"]


def test_a_body_that_means_the_same_is_a_repeat(publisher: Person, ann: Person) -> None:
    headers = {"Idempotency-Key": new_id()}
    publisher.post("/api/v1/notifications", {"user_ids": [ann.id], "text": "once"}, headers=headers)
    body = {"text": "once", "priority": 3, "user_ids": [ann.id]}

    again = publisher.http.post("/api/v1/notifications", json=body, headers=headers)

    assert again.headers["idempotency-replayed"] == "true"
    assert unread(ann) == 1


def test_another_body_under_the_key_is_refused(publisher: Person, ann: Person) -> None:
    headers = {"Idempotency-Key": new_id()}
    publisher.post("/api/v1/notifications", {"user_ids": [ann.id], "text": "once"}, headers=headers)

    answer = publisher.http.post("/api/v1/notifications", json={"user_ids": [ann.id], "text": "twice"}, headers=headers)

    problem(answer, 422, "idempotency_key_reused")
    assert texts(ann) == ["once"]


def test_a_key_is_ones_own(house: House, publisher: Person, ann: Person) -> None:
    body, headers = {"user_ids": [ann.id], "text": "once each"}, {"Idempotency-Key": new_id()}
    other = publisher_of(house)

    for person in (publisher, other):
        answer = person.http.post("/api/v1/notifications", json=body, headers=headers)
        assert "idempotency-replayed" not in answer.headers

    assert unread(ann) == 2


def test_a_key_belongs_to_one_path(house: House, ann: Person) -> None:
    owner, headers = house.person("olga", Role.OWNER), {"Idempotency-Key": new_id()}
    owner.post("/api/v1/rooms", {"name": "Once"}, headers=headers)

    answer = owner.http.post("/api/v1/notifications", json={"user_ids": [ann.id], "text": "too"}, headers=headers)

    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


def test_a_refused_request_does_not_keep_its_key(publisher: Person, ann: Person) -> None:
    headers = {"Idempotency-Key": new_id()}
    bad = publisher.http.post("/api/v1/notifications", json={"user_ids": ["nobody"], "text": "once"}, headers=headers)

    good = publisher.http.post("/api/v1/notifications", json={"user_ids": [ann.id], "text": "once"}, headers=headers)

    assert (bad.status_code, good.status_code) == (404, 201)


def test_twenty_repeats_at_once_publish_once(publisher: Person, ann: Person) -> None:
    body, headers = {"user_ids": [ann.id], "text": "once"}, {"Idempotency-Key": new_id()}

    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: publisher.http.post("/api/v1/notifications", json=body, headers=headers), range(20))
        )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert unread(ann) == 1


# POST routes of which a repeat would do harm: path, body.
REPEATABLE: list[tuple[str, dict[str, Any]]] = [
    ("/api/v1/rooms", {"name": "Once"}),
    ("/api/v1/direct", {"user_id": "{bob}"}),
    ("/api/v1/bots", {"username": "once-{id}"}),
    ("/api/v1/invites", {"role": "member"}),
    ("/api/v1/rooms/{room}/leave", {}),
    ("/api/v1/rooms/{room}/join", {}),
    ("/api/v1/users/me/password", {"old_password": "correct-horse", "new_password": "battery-staple"}),
]


@pytest.mark.parametrize(("path", "body"), REPEATABLE, ids=[path for path, _ in REPEATABLE])
def test_every_post_is_safe_to_repeat_under_a_key(house: House, bob: Person, path: str, body: dict[str, Any]) -> None:
    owner = house.person("olga", Role.OWNER)
    room_id = bob.room()
    owner.join(room_id)
    names = {"{bob}": bob.id, "{room}": room_id, "{id}": new_id()[-8:]}
    for name, value in names.items():
        path = path.replace(name, value)
        body = {field: given.replace(name, value) for field, given in body.items()}
    headers = {"Idempotency-Key": new_id()}

    first = owner.http.post(path, json=body, headers=headers)
    again = owner.http.post(path, json=body, headers=headers)

    assert first.status_code in {200, 201, 204}
    assert again.status_code == first.status_code, again.text
    if first.content:
        assert again.json()["id"] == first.json()["id"]
