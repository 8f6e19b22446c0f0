"""Topics: who makes them, who may read them, who may change that."""

from typing import Any

import pytest

from chat_server.ids import new_id
from chat_server.shapes import Role
from tests.accounts.asking import fields_of, problem
from tests.house import House, Person
from tests.notifications.inboxes import publish, publisher_of


@pytest.fixture(scope="module")
def publisher(house: House) -> Person:
    return publisher_of(house)


@pytest.fixture
def topic() -> str:
    return f"t-{new_id()[-12:]}"


def rule(person: Person, topic: str, *readers: Person) -> dict[str, Any]:
    """Let only `readers` read it; everyone, without any."""
    body = {"access": "named", "readers": [reader.id for reader in readers]} if readers else {"access": "everyone"}
    found: dict[str, Any] = person.put(f"/api/v1/topics/{topic}", body)
    return found


def names(person: Person, **params: Any) -> list[str]:
    return [found["name"] for found in person.get("/api/v1/topics", params={"limit": 200, **params})["items"]]


def test_the_first_publication_makes_a_topic_for_everyone(publisher: Person, ann: Person, topic: str) -> None:
    problem(ann.http.get(f"/api/v1/topics/{topic}"), 404, "topic_not_found")

    publish(publisher, topic=topic)

    found = ann.get(f"/api/v1/topics/{topic}")
    assert found | {"created_at": ""} == {
        "name": topic,
        "access": "everyone",
        "created_by": publisher.id,
        "created_at": "",
        "readers": None,
    }
    assert topic in names(ann)


def test_a_topic_can_be_made_before_it_is_used(publisher: Person, ann: Person, topic: str) -> None:
    made = rule(publisher, topic, ann)

    assert (made["name"], made["access"], made["readers"]) == (topic, "named", [ann.id])
    assert made["created_by"] == publisher.id


def test_a_named_topic_is_not_there_for_others(house: House, publisher: Person, topic: str) -> None:
    ann, bob = house.person("ann"), house.person("bob")
    rule(publisher, topic, ann)

    assert topic in names(ann)
    assert topic not in names(bob)
    assert ann.get(f"/api/v1/topics/{topic}")["name"] == topic
    hidden = problem(bob.http.get(f"/api/v1/topics/{topic}"), 404, "topic_not_found")
    unknown = problem(bob.http.get("/api/v1/topics/never-made"), 404, "topic_not_found")
    assert {**hidden, "request_id": ""} == {**unknown, "request_id": ""}


def test_only_a_reader_follows_a_named_topic(house: House, publisher: Person, topic: str) -> None:
    ann, bob = house.person("ann"), house.person("bob")
    rule(publisher, topic, ann)

    with ann.wire() as hears, bob.wire() as does_not:
        assert hears.subscribe(f"topic:{topic}")["positioned"] is True
        refusal = does_not.ask(subscribe={"channel": f"topic:{topic}"})
        assert refusal["error"]["code"] == 103


def test_who_is_named_no_more_reads_it_no_more(house: House, publisher: Person, topic: str) -> None:
    ann, bob = house.person("ann"), house.person("bob")
    rule(publisher, topic, ann, bob)
    with bob.wire() as wire:
        wire.subscribe(f"topic:{topic}")

        rule(publisher, topic, ann)

        assert wire.push(f"topic:{topic}", "unsubscribe")["code"] == 2000
    problem(bob.http.get(f"/api/v1/topics/{topic}"), 404, "topic_not_found")


def test_a_named_topic_can_be_opened_again(publisher: Person, ann: Person, bob: Person, topic: str) -> None:
    rule(publisher, topic, ann)

    opened = rule(publisher, topic)

    assert (opened["access"], opened["readers"]) == ("everyone", [])
    assert topic in names(bob)


def test_readers_are_shown_to_who_may_change_them(house: House, publisher: Person, topic: str) -> None:
    ann, owner = house.person("ann"), house.person("olga", Role.OWNER)
    rule(publisher, topic, ann)

    assert ann.get(f"/api/v1/topics/{topic}")["readers"] is None
    assert owner.get(f"/api/v1/topics/{topic}")["readers"] == [ann.id]
    assert publisher.get(f"/api/v1/topics/{topic}")["readers"] == [ann.id]


def test_only_its_maker_and_admins_change_a_topic(house: House, publisher: Person, ann: Person, topic: str) -> None:
    rule(publisher, topic)
    other = publisher_of(house)

    problem(other.http.put(f"/api/v1/topics/{topic}", json={"access": "named"}), 403, "forbidden")
    assert ann.get(f"/api/v1/topics/{topic}")["access"] == "everyone"
    assert rule(house.person("adam", Role.ADMIN), topic, ann)["access"] == "named"


def test_changing_a_topic_needs_the_scope_to_publish(ann: Person, topic: str) -> None:
    problem(ann.http.put(f"/api/v1/topics/{topic}", json={}), 403, "insufficient_scope")


def test_an_admin_lists_every_topic(house: House, publisher: Person, ann: Person, topic: str) -> None:
    rule(publisher, topic, ann)

    assert topic in names(house.person("adam", Role.ADMIN))


def test_a_reader_who_is_not_there_is_refused(publisher: Person, ann: Person, topic: str) -> None:
    body = {"access": "named", "readers": [ann.id, "nobody"]}

    problem(publisher.http.put(f"/api/v1/topics/{topic}", json=body), 404, "user_not_found")
    problem(ann.http.get(f"/api/v1/topics/{topic}"), 404, "topic_not_found")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("access", "nobody"),
        ("access", None),
        ("readers", "ann"),
        ("readers.0", [7]),
        ("readers", ["x"] * 1001),
        ("name", "other"),
        ("created_by", "olga"),
    ],
)
def test_a_rule_cannot_say(publisher: Person, topic: str, field: str, value: Any) -> None:
    body = {"access": "named", field.partition(".")[0]: value}

    answer = publisher.http.put(f"/api/v1/topics/{topic}", json=body)

    assert fields_of(problem(answer, 422, "invalid")) == {field}


def test_readers_go_with_a_named_topic_only(publisher: Person, ann: Person, topic: str) -> None:
    answer = publisher.http.put(f"/api/v1/topics/{topic}", json={"access": "everyone", "readers": [ann.id]})

    problem(answer, 422, "invalid")


@pytest.mark.parametrize("name", ["a b", "a%2Fb", "x" * 65, "ü", "a:b", "%00"])
def test_a_topic_is_not_called(publisher: Person, name: str) -> None:
    for method, body in (("GET", None), ("PUT", {})):
        answer = publisher.http.request(method, f"/api/v1/topics/{name}", json=body)
        assert answer.status_code in {404, 422}
        assert answer.headers["content-type"] == "application/problem+json"


def test_topics_are_listed_by_name_page_by_page(publisher: Person, ann: Person) -> None:
    stem = f"p{new_id()[-10:]}"
    for letter in "abc":
        publish(publisher, topic=f"{stem}{letter}")

    first = ann.http.get("/api/v1/topics", params={"after": stem, "limit": 2})
    rest = ann.http.get(first.links["next"]["url"])

    assert [found["name"] for found in first.json()["items"]] == [f"{stem}a", f"{stem}b"]
    assert first.json()["next"] == f"{stem}b"
    assert rest.json()["items"][0]["name"] == f"{stem}c"


def test_a_key_limited_to_topics_finds_them_behind_the_others(house: House, publisher: Person) -> None:
    stem = f"z{new_id()[-10:]}"
    for letter in "abcd":
        publish(publisher, topic=f"{stem}{letter}")
    limited = publisher_of(house, scopes=["stream"], channels=[f"topic:{stem}d"])

    found, after = [], stem
    while after is not None:
        page = limited.get("/api/v1/topics", params={"after": after, "limit": 1})
        found += [topic["name"] for topic in page["items"]]
        after = page["next"]

    assert found == [f"{stem}d"]


def test_a_key_limited_to_channels_does_not_see_other_topics(house: House, publisher: Person, topic: str) -> None:
    publish(publisher, topic=topic)
    limited = publisher_of(house, scopes=["stream"], channels=["topic:elsewhere"])

    assert names(limited) == []
    problem(limited.http.get(f"/api/v1/topics/{topic}"), 403, "channel_not_allowed")
