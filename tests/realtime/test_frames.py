"""One publication as the bytes of every transport, each encoded once."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.broker import Envelope
from chat_server.realtime.frames import Frame, as_publication, as_sse
from chat_server.wire import encode

EVENT = b'{"type":"message.posted","room_id":"a","text":"hi"}'


def test_an_event_is_the_data_of_a_push() -> None:
    frame = Frame(Envelope("room:a", "pub", EVENT, 7))

    assert json.loads(frame.text) == {"push": {"channel": "room:a", "pub": {"offset": 7, "data": json.loads(EVENT)}}}
    assert frame.size == len(EVENT)


def test_an_event_without_offset_says_nothing_of_one() -> None:
    frame = Frame(Envelope("presence:a", "pub", EVENT))

    assert json.loads(frame.text)["push"]["pub"] == {"data": json.loads(EVENT)}


def test_a_foreign_publication_keeps_its_fields_and_gets_its_offset() -> None:
    payload = b'{"data":{"n":1},"info":{"user":"ann"}}'

    assert json.loads(as_publication("chat:a", 3, payload)) == {"data": {"n": 1}, "info": {"user": "ann"}, "offset": 3}
    assert as_publication("chat:a", 0, payload) == payload


@pytest.mark.parametrize("kind", ["join", "leave"])
def test_joins_and_leaves_are_pushes_of_their_kind(kind: str) -> None:
    frame = Frame(Envelope("chat:a", kind, b'{"info":{"user":"ann"}}'))  # type: ignore[arg-type]

    assert json.loads(frame.text) == {"push": {"channel": "chat:a", kind: {"info": {"user": "ann"}}}}


def test_a_frame_is_encoded_once_for_all_who_get_it() -> None:
    frame = Frame(Envelope("room:a", "pub", EVENT, 7))

    assert frame.text is frame.text
    assert frame.sse is frame.sse
    assert frame.publication is frame.publication
    assert frame.sse_at("e1") is frame.sse_at("e1")


def test_an_event_of_a_stream_has_its_type_as_name_and_its_position_as_id() -> None:
    frame = Frame(Envelope("room:a", "pub", EVENT, 7))

    assert frame.sse == b"event: message.posted\ndata: " + EVENT + b"\n"
    assert frame.sse_at("e1") == frame.sse + b"id: e1:7\n\n"


def test_a_foreign_publication_is_an_event_called_publication() -> None:
    found = as_sse("live:a", b'{"data":{"n":1},"info":{}}')

    name, data, end = found.split(b"\n")
    assert (name, end) == (b"event: publication", b"")
    assert json.loads(data.removeprefix(b"data: ")) == {"type": "publication", "channel": "live:a", "data": {"n": 1}}


@settings(deadline=None, max_examples=100)
@given(
    channel=st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda name: f"live:{name}"),
    data=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc\n\r"), inner, max_size=3),
        max_leaves=8,
    ),
)
def test_no_content_breaks_out_of_its_frame(channel: str, data: object) -> None:
    """Line breaks end a field of an event stream, and part the replies of a socket's frame."""
    frame = Frame(Envelope(channel, "pub", encode({"data": data}), 5))

    assert "\n" not in frame.text
    assert "\r" not in frame.text
    assert json.loads(frame.text) == {"push": {"channel": channel, "pub": {"data": data, "offset": 5}}}
    lines = frame.sse.split(b"\n")
    assert len(lines) == 3
    assert b"\r" not in frame.sse
    assert json.loads(lines[1].removeprefix(b"data: "))["data"] == data
