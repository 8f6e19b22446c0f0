"""A stream resumes exactly where its reader stopped: first what was missed, then live, each once and in order."""

from collections.abc import Callable
from pathlib import Path

import pytest

from chat_server.shapes import Role
from tests.gateway.streams import Event, Stream
from tests.house import House, Person, house_with

Houses = Callable[..., House]


def texts(events: list[Event]) -> list[str]:
    return [event.data["message"]["text"] for event in events]


def post_many(person: Person, room_id: str, count: int, first: int = 0) -> list[str]:
    said = [str(number) for number in range(first, first + count)]
    with person.wire() as wire:
        ids = [wire.send(rpc={"method": "messages.post", "data": {"room_id": room_id, "text": text}}) for text in said]
        for command_id in ids:
            assert "rpc" in wire.reply(command_id)
    return said


@pytest.fixture
def room_id(ann: Person) -> str:
    return ann.room()


@pytest.fixture
def url(ann: Person, room_id: str) -> str:
    return f"{ann.url}/sse?channels=room:{room_id}&token={ann.token}"


def test_the_header_resumes_right_behind_the_last_event(ann: Person, room_id: str, url: str) -> None:
    with Stream(url) as stream:
        stream.opened()
        ann.say(room_id, "heard")
        last = stream.next().id
    missed = post_many(ann, room_id, 3)

    with Stream(url, Last_Event_ID=last) as stream:
        opened = stream.opened()[f"room:{room_id}"]
        events = stream.take(3)
        ann.say(room_id, "live")

        assert (opened["was_recovering"], opened["recovered"]) == (True, True)
        assert f"{opened['epoch']}:{opened['offset']}" == last
        assert texts(events) == missed
        assert texts([stream.next()]) == ["live"]


def test_the_query_resumes_too_and_the_header_wins(ann: Person, room_id: str, url: str) -> None:
    with Stream(url) as stream:
        stream.opened()
        for text in ("one", "two", "three"):
            ann.say(room_id, text)
        ids = [event.id for event in stream.take(3)]

    with Stream(f"{url}&last_event_id={ids[0]}") as by_query:
        by_query.opened()
        assert texts(by_query.take(2)) == ["two", "three"]
    with Stream(f"{url}&last_event_id={ids[0]}", Last_Event_ID=ids[1]) as by_both:
        by_both.opened()
        assert texts([by_both.next()]) == ["three"]


def test_a_stream_that_missed_nothing_goes_on_live(ann: Person, room_id: str, url: str) -> None:
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id

    with Stream(url, Last_Event_ID=last) as stream:
        assert stream.opened()[f"room:{room_id}"]["recovered"] is True
        ann.say(room_id, "live")
        assert texts([stream.next()]) == ["live"]


def test_more_than_a_sockets_recovery_is_resumed(ann: Person, room_id: str, url: str) -> None:
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id
    missed = post_many(ann, room_id, 750)

    with Stream(url, Last_Event_ID=last) as stream:
        stream.opened()
        assert texts(stream.take(750)) == missed
        ann.say(room_id, "live")
        assert texts([stream.next()]) == ["live"]


def test_what_is_said_during_the_replay_comes_once_and_in_order(ann: Person, room_id: str, url: str) -> None:
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id
    missed = post_many(ann, room_id, 400)

    with Stream(url, Last_Event_ID=last) as stream:
        meanwhile = post_many(ann, room_id, 400, first=400)
        stream.opened()
        events = stream.take(800)

        assert texts(events) == missed + meanwhile
        assert [int(str(event.id).partition(":")[2]) for event in events] == list(range(3, 803))


def test_every_event_of_a_replay_can_be_resumed_from(ann: Person, room_id: str, url: str) -> None:
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id
    missed = post_many(ann, room_id, 150)
    heard: list[str] = []

    while len(heard) < 150:
        with Stream(url, Last_Event_ID=last) as stream:
            stream.opened()
            taken = stream.take(min(40, 150 - len(heard)))
            heard += texts(taken)
            last = str(taken[-1].id)

    assert heard == missed


def test_several_channels_resume_each_from_its_place(house: House, ann: Person) -> None:
    rooms = [ann.room(name) for name in "ab"]
    channels = ",".join(f"room:{found}" for found in rooms)
    url = f"{ann.url}/sse?channels={channels},live:x,user:me&token={ann.token}"
    with Stream(url) as stream:
        stream.opened()
        ann.say(rooms[0], "heard a")
        ann.say(rooms[1], "heard b")
        last = str(stream.take(2)[1].id)
    for number in range(120):
        ann.say(rooms[number % 2], str(number))

    with Stream(url, Last_Event_ID=last) as stream:
        opened = stream.opened()
        events = stream.take(120)
        middle = stream.events[61].id
        by_room = [[event for event in events if event.data["room_id"] == found] for found in rooms]

        assert {name: start["recovered"] for name, start in opened.items()} == {
            f"room:{rooms[0]}": True,
            f"room:{rooms[1]}": True,
            "live:x": False,
            f"user:{ann.id}": True,
        }
        assert [texts(found) for found in by_room] == [
            [str(n) for n in range(0, 120, 2)],
            [str(n) for n in range(1, 120, 2)],
        ]
    with Stream(url, Last_Event_ID=str(middle)) as stream:
        stream.opened()
        assert texts(stream.take(59)) == texts(events[61:])


def test_a_channel_that_the_position_does_not_name_starts_live(ann: Person) -> None:
    old, new = ann.room("old"), ann.room("new")
    with Stream(f"{ann.url}/sse?channels=room:{old},user:me&token={ann.token}") as stream:
        stream.opened()
        last = stream.last_id
    for room_id in (old, new):
        ann.say(room_id, f"missed in {room_id}")

    with Stream(f"{ann.url}/sse?channels=room:{old},room:{new}&token={ann.token}", Last_Event_ID=last) as stream:
        opened = stream.opened()
        ann.say(new, "live")
        events = stream.take(2)

        assert opened[f"room:{new}"]["was_recovering"] is False
        assert set(texts(events)) == {f"missed in {old}", "live"}


@pytest.mark.parametrize(
    "cursor", ["rubbish", "other:3", ":", "x:y:z", "bm90IGpzb24", "other:99999999999999999999999", "%00"]
)
def test_a_position_that_does_not_hold_starts_live_and_says_so(
    ann: Person, room_id: str, url: str, cursor: str
) -> None:
    ann.say(room_id, "before")

    with Stream(f"{url}&last_event_id={cursor}") as stream:
        opened = stream.opened()[f"room:{room_id}"]
        ann.say(room_id, "live")

        assert (opened["was_recovering"], opened["recovered"], opened["offset"]) == (True, False, 3)
        assert texts([stream.next()]) == ["live"]


def test_a_position_beyond_the_top_starts_live_and_says_so(ann: Person, room_id: str, url: str) -> None:
    with Stream(url) as stream:
        epoch = stream.opened()[f"room:{room_id}"]["epoch"]

    with Stream(url, Last_Event_ID=f"{epoch}:99") as stream:
        opened = stream.opened()[f"room:{room_id}"]

        assert (opened["was_recovering"], opened["recovered"], opened["offset"]) == (True, False, 2)


def test_more_than_a_replay_holds_starts_live_and_says_so(new_house: Houses) -> None:
    house = new_house(stream_replay=10)
    ann = house.person("ann")
    room_id = ann.room()
    url = f"{ann.url}/sse?channels=room:{room_id}&token={ann.token}"
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id
    post_many(ann, room_id, 10)
    with Stream(url, Last_Event_ID=last) as within:
        within_opened = within.opened()[f"room:{room_id}"]
        events = within.take(10)
    ann.say(room_id, "one more")
    with Stream(url, Last_Event_ID=last) as beyond:
        beyond_opened = beyond.opened()[f"room:{room_id}"]
        ann.say(room_id, "live")
        first = beyond.next()

    assert (within_opened["recovered"], len(events)) == (True, 10)
    assert (beyond_opened["was_recovering"], beyond_opened["recovered"], beyond_opened["offset"]) == (True, False, 13)
    assert texts([first]) == ["live"]


def test_a_position_from_before_leaving_and_coming_back_is_not_resumed(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    url = f"{bob.url}/sse?channels=room:{room_id}&token={bob.token}"
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id
    bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)
    ann.say(room_id, "not for bob")
    bob.join(room_id)

    with Stream(url, Last_Event_ID=last) as stream:
        opened = stream.opened()[f"room:{room_id}"]
        ann.say(room_id, "for bob")

        assert opened["recovered"] is False
        assert texts([stream.next()]) == ["for bob"]


def test_a_resuming_stream_goes_on_without_a_channel_it_may_no_longer_read(ann: Person, bob: Person) -> None:
    lost, kept = ann.room("lost"), ann.room("kept")
    for room_id in (lost, kept):
        bob.join(room_id)
    url = f"{bob.url}/sse?channels=room:{lost},room:{kept}&token={bob.token}"
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id
    ann.delete(f"/api/v1/rooms/{lost}/members/{bob.id}")
    ann.say(lost, "not for bob")
    ann.say(kept, "for bob")

    with Stream(url, Last_Event_ID=last) as stream:
        assert set(stream.opened()) == {f"room:{kept}"}
        assert texts([stream.next()]) == ["for bob"]


def test_a_resuming_stream_without_any_channel_left_is_not_opened_again(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    url = f"{bob.url}/sse?channels=room:{room_id}&token={bob.token}"
    with Stream(url) as stream:
        stream.opened()
        last = stream.last_id
    ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")

    with Stream(url, Last_Event_ID=last) as stream:
        assert stream.status == 204


def test_a_restart_of_the_server_loses_nothing(tmp_path: Path) -> None:
    with house_with(tmp_path / "data") as house:
        ann = house.person("ann", Role.OWNER)
        topic = "topic:deploys"
        with Stream(f"{ann.url}/sse?channels={topic}&token={ann.token}") as stream:
            stream.opened()
            last = stream.last_id
        for number in range(5):
            ann.post("/api/v1/notifications", {"topic": "deploys", "text": str(number)})

    with (
        house_with(tmp_path / "data") as house,
        Stream(f"{house.url}/sse?channels={topic}&token={ann.token}", Last_Event_ID=last) as stream,
    ):
        assert stream.opened()[topic]["recovered"] is True
        assert [event.data["notification"]["text"] for event in stream.take(5)] == ["0", "1", "2", "3", "4"]


def test_a_configured_channel_with_history_resumes(house: House, ann: Person) -> None:
    url = f"{ann.url}/sse?channels=chat:resumed&token={ann.token}"
    with Stream(url) as stream:
        stream.opened()
        house.api("publish", channel="chat:resumed", data=0)
        last = stream.next().id
    for number in (1, 2):
        house.api("publish", channel="chat:resumed", data=number)

    with Stream(url, Last_Event_ID=str(last)) as stream:
        assert stream.opened()["chat:resumed"]["recovered"] is True
        assert [event.data["data"] for event in stream.take(2)] == [1, 2]
