"""Access ends when it ends: sockets and streams lose it within a second."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chat_server.shapes import Role
from tests.gateway.credentials import Bot, new_bot
from tests.gateway.streams import Stream
from tests.house import House, Person, Wire, until

BOUND_S = 1.0


@contextmanager
def within_a_second() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began <= BOUND_S


@pytest.fixture
def owner(house: House) -> Person:
    return house.person("ann", Role.OWNER)


def log_out(owner: Person, bob: Person) -> None:
    bob.post("/api/v1/auth/logout", status=204)


def delete_the_session(owner: Person, bob: Person) -> None:
    bob.delete(f"/api/v1/auth/sessions/{bob.session_id}")


def disable(owner: Person, bob: Person) -> None:
    owner.patch(f"/api/v1/users/{bob.id}", {"disabled": True})


ENDS = [log_out, delete_the_session, disable]
End = Callable[[Person, Person], None]


@pytest.mark.parametrize("end", ENDS)
def test_a_socket_is_closed_when_its_login_ends(owner: Person, bob: Person, end: End) -> None:
    with bob.wire() as wire:
        wire.connect()
        with within_a_second():
            end(owner, bob)

            assert wire.closed() == (3500, "session_revoked")


@pytest.mark.parametrize("end", ENDS)
def test_a_stream_ends_when_its_login_ends_and_is_not_opened_again(owner: Person, bob: Person, end: End) -> None:
    url = f"{bob.url}/sse?token={bob.token}"
    with Stream(url) as stream:
        stream.opened()
        with within_a_second():
            end(owner, bob)
            rest = stream.rest()
    with Stream(url) as again:
        assert again.status == 204
        assert again.body == ""

    assert rest[-1].type == "stream.revoked"
    assert rest[-1].id is None


def test_another_login_of_the_same_person_goes_on(house: House, bob: Person) -> None:
    other = house.login(bob.id, bob.username)
    with bob.wire() as one, other.wire() as two:
        one.connect()
        two.connect()
        bob.post("/api/v1/auth/logout", status=204)

        assert one.closed()[0] == 3500
        assert two.rpc("users.me")["id"] == bob.id
        assert two.event(f"user:{bob.id}", "session.ended")["session"] == {"id": bob.session_id}


def test_a_socket_and_a_stream_end_when_their_key_is_revoked(house: House) -> None:
    bot: Bot = new_bot(house)
    with (
        Wire(f"{bot.owner.socket_url}?token={bot.key}") as wire,
        Stream(f"{bot.owner.url}/sse?token={bot.key}") as stream,
    ):
        wire.connect()
        stream.opened()
        with within_a_second():
            bot.owner.delete(f"/api/v1/bots/{bot.id}/keys/{bot.key_id}")

            assert wire.closed() == (3500, "session_revoked")
            assert stream.rest()[-1].type == "stream.revoked"


def test_a_revoked_key_opens_nothing_any_more(house: House) -> None:
    bot = new_bot(house)
    bot.owner.delete(f"/api/v1/bots/{bot.id}/keys/{bot.key_id}")

    with (
        Wire(f"{bot.owner.socket_url}?token={bot.key}") as wire,
        Stream(f"{bot.owner.url}/sse?token={bot.key}") as stream,
    ):
        assert wire.closed()[0] == 3500
        assert stream.status == 204


def test_a_changed_role_makes_sockets_connect_anew(owner: Person, bob: Person) -> None:
    with bob.wire() as wire:
        wire.connect()
        with within_a_second():
            owner.patch(f"/api/v1/users/{bob.id}", {"role": "guest"})

            assert wire.closed() == (3011, "force reconnect")


def test_whoever_is_removed_from_a_room_is_unsubscribed_and_hears_nothing_more(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire:
        wire.subscribe(f"room:{room_id}")
        with within_a_second():
            ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")
            pushed = wire.push(f"room:{room_id}", "unsubscribe")
        ann.say(room_id, "not for bob")

        assert pushed == {"code": 2000, "reason": "server unsubscribe"}
        assert "message.posted" not in [push["pub"]["data"]["type"] for push in wire.quiet() if "pub" in push]
        assert wire.ask(subscribe={"channel": f"room:{room_id}"})["error"]["code"] == 103
        assert wire.ask(history={"channel": f"room:{room_id}", "limit": 1})["error"]["code"] == 103
        assert wire.ask(presence={"channel": f"room:{room_id}"})["error"]["code"] == 103


def test_whoever_leaves_hears_of_it_on_the_own_channel(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire:
        wire.connect()
        ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")

        event = wire.event(f"user:{bob.id}", "member.left")
        assert (event["member"]["user_id"], event["by"], event["room_id"]) == (bob.id, ann.id, room_id)


def test_every_socket_of_a_removed_member_is_unsubscribed(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as one, bob.wire() as two:
        for wire in (one, two):
            wire.subscribe(f"room:{room_id}")
        ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")

        assert [wire.push(f"room:{room_id}", "unsubscribe")["code"] for wire in (one, two)] == [2000, 2000]


def test_a_stream_of_a_removed_member_is_told_and_the_other_channels_go_on(ann: Person, bob: Person) -> None:
    left, kept = ann.room("left"), ann.room("kept")
    for room_id in (left, kept):
        bob.join(room_id)
    with Stream(f"{bob.url}/sse?channels=room:{left},room:{kept}&token={bob.token}") as stream:
        stream.opened()
        with within_a_second():
            ann.delete(f"/api/v1/rooms/{left}/members/{bob.id}")
            lost = stream.of_type("stream.lost")
        ann.say(left, "not for bob")
        ann.say(kept, "for bob")

        assert lost.data == {
            "type": "stream.lost",
            "channel": f"room:{left}",
            "code": 2000,
            "reason": "server unsubscribe",
        }
        assert stream.next().data["message"]["text"] == "for bob"


def test_a_stream_of_one_room_ends_with_the_membership(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with Stream(f"{bob.url}/sse?channels=room:{room_id}&token={bob.token}") as stream:
        stream.opened()
        with within_a_second():
            ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")
            rest = stream.rest()

        assert "stream.lost" in [event.type for event in rest]
        assert "message.posted" not in [event.type for event in rest]


def test_a_changed_rule_of_a_topic_ends_what_it_no_longer_allows(owner: Person, ann: Person, bob: Person) -> None:
    topic = f"board-{ann.id}"
    owner.put(f"/api/v1/topics/{topic}", {"access": "everyone"})
    with (
        ann.wire() as reader,
        bob.wire() as other,
        Stream(f"{bob.url}/sse?channels=topic:{topic}&token={bob.token}") as stream,
    ):
        for wire in (reader, other):
            wire.subscribe(f"topic:{topic}")
        stream.opened()
        with within_a_second():
            owner.put(f"/api/v1/topics/{topic}", {"access": "named", "readers": [ann.id]})
            pushed = other.push(f"topic:{topic}", "unsubscribe")
            lost = stream.of_type("stream.lost")
        owner.post("/api/v1/notifications", {"topic": topic, "text": "for ann"})

        assert pushed["code"] == 2000
        assert lost.data["channel"] == f"topic:{topic}"
        assert reader.event(f"topic:{topic}", "notification.raised")["notification"]["text"] == "for ann"
        assert [push for push in other.quiet() if push["channel"] == f"topic:{topic}"] == []


def test_a_login_that_ends_during_the_connect_ends_the_socket_too(house: House) -> None:
    for _ in range(10):
        bob = house.person("bob")
        with bob.wire() as wire:
            wire.send(connect={})
            bob.post("/api/v1/auth/logout", status=204)

            assert wire.closed() == (3500, "session_revoked")


def test_a_removal_during_the_subscribe_wins(ann: Person, bob: Person) -> None:
    for number in range(20):
        room_id = ann.room(str(number))
        bob.join(room_id)
        with bob.wire() as wire:
            wire.connect()
            asked = wire.send(subscribe={"channel": f"room:{room_id}"})
            ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")
            answer = wire.reply(asked)
            if "subscribe" in answer:
                assert wire.push(f"room:{room_id}", "unsubscribe")["code"] == 2000
            ann.say(room_id, "not for bob")

            assert "message.posted" not in [push["pub"]["data"]["type"] for push in wire.quiet(0.05) if "pub" in push]


def test_nobody_is_left_in_a_channel_whose_access_ended(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire, Stream(f"{bob.url}/sse?channels=room:{room_id}&token={bob.token}") as stream:
        wire.subscribe(f"room:{room_id}")
        stream.opened()
        ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")

        until(lambda: f"room:{room_id}" not in house.worker.manager.channels, what="an empty room channel")
