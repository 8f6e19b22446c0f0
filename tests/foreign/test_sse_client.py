"""PyPI's `sseclient-py`, unchanged, reads the streams; it resumes by the id of the last event it has seen."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from sseclient import SSEClient

from chat_server.shapes import Role
from tests.house import PATIENCE_S, TLS, House, Person, until

# It knows no `with`, and leaves the answer open.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@contextmanager
def listening(person: Person, channels: str, last_event_id: str = "") -> Iterator[SSEClient]:
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    url = f"{person.url}/sse?channels={channels}&token={person.token}"
    with httpx2.stream("GET", url, headers=headers, timeout=PATIENCE_S, verify=TLS) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield SSEClient(answer.iter_bytes())


@pytest.fixture
def owner(house: House) -> Person:
    return house.person("ann", Role.OWNER)


def notify(person: Person, topic: str, text: str) -> None:
    person.post("/api/v1/notifications", {"topic": topic, "text": text})


def test_it_hears_what_is_published_to_a_topic(owner: Person, bob: Person) -> None:
    notify(owner, "sse-live", "before")
    with listening(bob, "topic:sse-live") as client:
        events = client.events()
        opened = next(events)
        notify(owner, "sse-live", "line one\nline two")
        heard = next(events)

    assert opened.event == "stream.open"
    assert heard.event == "notification.raised"
    assert '"text":"line one\\nline two"' in heard.data
    assert heard.id.endswith(":2")


def test_it_resumes_exactly_after_the_last_event_it_has_seen(owner: Person, bob: Person) -> None:
    notify(owner, "sse-resume", "0")
    with listening(bob, "topic:sse-resume") as client:
        last = next(client.events()).id
    for number in range(1, 6):
        notify(owner, "sse-resume", str(number))

    with listening(bob, "topic:sse-resume", last_event_id=last) as client:
        events = client.events()
        heard = [next(events) for _ in range(6)]

    assert heard[0].event == "stream.open"
    assert [f'"text":"{number}"' in event.data for number, event in enumerate(heard[1:], 1)] == [True] * 5
    assert [event.id.rpartition(":")[2] for event in heard[1:]] == ["2", "3", "4", "5", "6"]


def test_it_hears_a_room_beside_ones_own_channel(house: House, owner: Person, bob: Person) -> None:
    room_id = owner.room()
    bob.join(room_id)
    with listening(bob, f"room:{room_id},user:me") as client:
        events = client.events()
        next(events)
        until(lambda: f"room:{room_id}" in house.worker.manager.channels, what="the stream")
        owner.say(room_id, f"hello @{bob.username}")
        heard = {next(events).event, next(events).event}

    assert heard == {"message.posted", "notification.raised"}
