import json
import subprocess

import pytest

from chat_server.shapes import Role
from tests.gateway.credentials import cookie_of, new_bot, refused, ticket_of, token_for
from tests.gateway.streams import Stream
from tests.house import House, Person, until


def sse(person: Person, query: str = "", **headers: str) -> Stream:
    """A stream opened with the token in its URL."""
    return Stream(f"{person.url}/sse?token={person.token}{query}", **headers)


@pytest.fixture
def owner(house: House) -> Person:
    return house.person("ann", Role.OWNER)


def topic_of(person: Person) -> str:
    return f"board-{person.id}"


def test_a_stream_says_first_where_each_channel_starts(ann: Person) -> None:
    room_id = ann.room()
    with sse(ann, f"&channels=room:{room_id}") as stream:
        first = stream.next()
        epoch = first.data["channels"][f"room:{room_id}"]["epoch"]

        assert stream.status == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["cache-control"] == "no-store"
        assert stream.retries == [2000]
        assert first.type == "stream.open"
        assert first.data == {
            "type": "stream.open",
            "channels": {f"room:{room_id}": {"epoch": epoch, "offset": 2, "was_recovering": False, "recovered": False}},
        }
        assert first.id == f"{epoch}:2"


def test_an_event_has_its_type_its_data_and_its_position(ann: Person) -> None:
    room_id = ann.room()
    with sse(ann, f"&channels=room:{room_id}") as stream, ann.wire() as wire:
        start = stream.opened()[f"room:{room_id}"]
        wire.subscribe(f"room:{room_id}")
        ann.say(room_id, "line one\nline two \N{SNOWMAN}")

        event = stream.next()
        pushed = wire.push(f"room:{room_id}")
        assert event.type == "message.posted"
        assert event.data == pushed["data"]
        assert event.id == f"{start['epoch']}:{pushed['offset']}"


def test_several_channels_share_one_position(ann: Person, owner: Person) -> None:
    room_id = ann.room()
    with sse(ann, f"&channels=room:{room_id},topic:{topic_of(ann)}") as stream:
        opened = stream.opened()
        ann.say(room_id, "hi")
        owner.post("/api/v1/notifications", {"topic": topic_of(ann), "text": "done"})
        events = stream.take(2)

        assert set(opened) == {f"room:{room_id}", f"topic:{topic_of(ann)}"}
        assert [event.type for event in events] == ["message.posted", "notification.raised"]
        assert all(event.id and ":" not in event.id for event in events)
        assert len({event.id for event in stream.events}) == 3


def test_without_channels_it_is_ones_own(ann: Person) -> None:
    with sse(ann) as stream:
        opened = stream.opened()
        room_id = ann.room()

        assert set(opened) == {f"user:{ann.id}"}
        assert stream.next().data["room_id"] == room_id


def test_the_own_channel_goes_by_its_short_name(ann: Person) -> None:
    with sse(ann, "&channels=user:me") as stream:
        assert set(stream.opened()) == {f"user:{ann.id}"}


def test_a_channel_that_is_named_twice_is_one(ann: Person) -> None:
    with sse(ann, f"&channels=user:me,%20user:{ann.id},,user:me") as stream:
        assert set(stream.opened()) == {f"user:{ann.id}"}


def test_a_configured_channel_arrives_as_publications_without_a_position(house: House, ann: Person) -> None:
    with sse(ann, "&channels=live:prices") as stream:
        first = stream.next()
        house.api("publish", channel="live:prices", data={"price": 1.5})

        event = stream.next()
        assert first.id is None
        assert event.type == "publication"
        assert event.data == {"type": "publication", "channel": "live:prices", "data": {"price": 1.5}}
        assert event.id is None


def test_a_configured_channel_with_history_has_positions(house: House, ann: Person) -> None:
    with sse(ann, "&channels=chat:stream") as stream:
        epoch = stream.opened()["chat:stream"]["epoch"]
        house.api("publish", channel="chat:stream", data=1)

        assert stream.next().id == f"{epoch}:1"


def test_connections_that_come_and_go_are_no_publications(house: House, ann: Person, bob: Person) -> None:
    """The namespace tells sockets of joins and leaves; a stream carries publications."""
    with sse(ann, "&channels=chat:doors") as stream:
        stream.opened()
        with bob.wire() as wire:
            wire.subscribe("chat:doors")
            wire.ask(unsubscribe={"channel": "chat:doors"})
        house.api("publish", channel="chat:doors", data="real")

        assert stream.next().data["data"] == "real"


def test_ephemeral_events_carry_no_position(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with sse(ann, f"&channels=presence:{room_id},room:{room_id}") as stream:
        stream.opened()
        with bob.wire() as wire:
            wire.rpc("typing.start", room_id=room_id)
            typing = stream.of_type("typing.started")
        bob.say(room_id, "typed")

        assert typing.id is None
        assert typing.data["typing"]["user_id"] == bob.id
        assert stream.of_type("message.posted").id


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "ck_00000000_nothing"])
def test_a_bad_credential_is_refused(ann: Person, token: str) -> None:
    with (
        Stream(f"{ann.url}/sse?token={token}") as by_url,
        Stream(f"{ann.url}/sse", Authorization=f"Bearer {token}") as by_header,
    ):
        assert by_url.status == by_header.status == 401
        assert json.loads(by_url.body)["code"] == "token_invalid"


def test_no_credential_is_refused(ann: Person) -> None:
    with Stream(f"{ann.url}/sse") as none, Stream(f"{ann.url}/sse?token=") as empty:
        assert none.status == empty.status == 401


def test_an_expired_credential_is_refused(house: House, ann: Person) -> None:
    with Stream(f"{ann.url}/sse?token={token_for(house, ann, -5)}") as stream:
        assert stream.status == 401
        assert json.loads(stream.body)["code"] == "token_expired"


def test_a_header_opens_a_stream(ann: Person) -> None:
    with Stream(f"{ann.url}/sse", Authorization=f"Bearer {ann.token}") as stream:
        assert set(stream.opened()) == {f"user:{ann.id}"}


def test_the_url_counts_before_the_header(ann: Person, bob: Person) -> None:
    with Stream(f"{ann.url}/sse?token={ann.token}", Authorization=f"Bearer {bob.token}") as stream:
        assert set(stream.opened()) == {f"user:{ann.id}"}


def test_a_ticket_opens_one_stream(ann: Person) -> None:
    url = f"{ann.url}/sse?token={ticket_of(ann)}"
    with Stream(url) as first:
        first.opened()
        with Stream(url) as second:
            assert (first.status, second.status) == (200, 204)
            assert second.body == ""


def test_a_cookie_opens_a_stream_from_the_servers_own_pages_only(ann: Person) -> None:
    cookie = cookie_of(ann)
    url = f"{ann.url}/sse"
    with (
        Stream(url, Cookie=cookie, Sec_Fetch_Site="same-origin") as same_origin,
        Stream(url, Cookie=cookie, Origin=ann.url) as own_origin,
        Stream(url, Cookie=cookie) as unknown,
        Stream(url, Cookie=cookie, Sec_Fetch_Site="cross-site") as cross_site,
        Stream(url, Cookie=cookie, Sec_Fetch_Site="same-site") as same_site,
        Stream(url, Cookie=cookie, Origin="http://evil.example") as foreign,
        Stream(url, Cookie=cookie, Origin="null") as null,
    ):
        assert same_origin.status == own_origin.status == 200
        assert {stream.status for stream in (unknown, cross_site, same_site, foreign, null)} == {403}


def test_a_foreign_page_opens_no_stream_whatever_it_brings(ann: Person) -> None:
    with sse(ann, Origin="http://evil.example") as stream:
        assert stream.status == 403
        assert json.loads(stream.body)["code"] == "origin_not_allowed"


@pytest.mark.parametrize(
    "channel", ["room:nowhere", "user:nobody", "presence:nowhere", "room:{other}", "topic:{secret}"]
)
def test_a_channel_that_one_may_not_read_is_refused(owner: Person, ann: Person, bob: Person, channel: str) -> None:
    owner.put(f"/api/v1/topics/{topic_of(bob)}", {"access": "named", "readers": []})
    name = channel.format(other=bob.room(kind="private"), secret=topic_of(bob))

    with sse(ann, f"&channels={name}") as alone, sse(ann, f"&channels=user:me,{name}") as among_others:
        assert alone.status == among_others.status == 403
        assert json.loads(alone.body)["code"] == "permission_denied"


def test_an_unknown_namespace_is_refused(ann: Person) -> None:
    with sse(ann, "&channels=nowhere:x") as stream:
        assert stream.status == 404
        assert json.loads(stream.body)["code"] == "unknown_channel"


def test_a_credential_without_the_scope_is_refused(house: House) -> None:
    bot = new_bot(house, scopes=["chat"])

    with Stream(f"{bot.owner.url}/sse?token={bot.key}") as stream:
        assert stream.status == 403
        assert json.loads(stream.body)["code"] == "insufficient_scope"


def test_a_key_with_a_list_of_channels_follows_those(house: House) -> None:
    bot = new_bot(house, scopes=["stream"], channels=["topic:b", "live:a"])
    url = f"{bot.owner.url}/sse?token={bot.key}"

    with Stream(url) as stream, Stream(f"{url}&channels=topic:c") as other, Stream(f"{url}&channels=live:a") as one:
        assert set(stream.opened()) == {"live:a", "topic:b"}
        assert other.status == 403
        assert set(one.opened()) == {"live:a"}


def test_a_stream_follows_at_most_fifty_channels(ann: Person) -> None:
    names = [f"live:{number}" for number in range(51)]

    with sse(ann, f"&channels={','.join(names[:50])}") as fits, sse(ann, f"&channels={','.join(names)}") as too_many:
        assert len(fits.opened()) == 50
        assert too_many.status == 422
        assert json.loads(too_many.body)["errors"][0]["field"] == "channels"


def test_a_name_that_is_too_long_is_refused(ann: Person) -> None:
    with sse(ann, f"&channels=live:{'x' * 251}") as stream:
        assert stream.status == 422


def test_another_method_is_refused(ann: Person) -> None:
    assert ann.post("/sse", {}, status=405)["code"] == "method_not_allowed"


def test_a_stream_is_no_socket(ann: Person) -> None:
    assert refused(f"{ann.url.replace('http', 'ws', 1)}/sse?token={ann.token}").status_code == 403


def test_curl_follows_a_stream(ann: Person) -> None:
    room_id = ann.room()
    command = ["curl", "-sN", f"{ann.url}/sse?channels=room:{room_id}&token={ann.token}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout is not None
        head = [curl.stdout.readline() for _ in range(6)]
        posted = ann.say(room_id, "to curl")
        lines = [curl.stdout.readline() for _ in range(4)]
        curl.terminate()

    assert head[:3] == ["retry: 2000\n", "\n", "event: stream.open\n"]
    assert lines[0] == "event: message.posted\n"
    assert json.loads(lines[1].removeprefix("data: "))["message"] == posted
    assert lines[2].startswith("id: ")
    assert lines[3] == "\n"


def test_a_stream_that_its_reader_leaves_is_out_of_everything(house: House, ann: Person) -> None:
    with sse(ann, "&channels=live:left") as stream:
        stream.opened()
        assert len(house.worker.manager.channels["live:left"]) == 1

    until(lambda: "live:left" not in house.worker.manager.channels, what="the stream's end")
    assert house.worker.manager.connections_of(ann.id) == []
