"""JSON, in and out: what is written is read again as it was, and what is no JSON of ours is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.errors import BadJson, CommandsTooFast, Invalid, RoomNotFound
from chat_server.wire import (
    MAX_DEPTH,
    Command,
    decoded,
    encode,
    error_reply,
    id_in,
    parse,
    publication,
    push,
    raw,
    reply,
    validated,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300)
@given(value=VALUES)
def test_what_is_encoded_is_parsed_as_it_was(value: object) -> None:
    assert parse(encode(value)) == value
    assert parse(encode(value).decode()) == value
    assert decoded(encode(value)) == value


@settings(deadline=None, max_examples=200)
@given(value=VALUES, channel=TEXT, offset=st.integers(0, 2**63 - 1), command_id=st.integers(1, 2**32 - 1))
def test_frames_put_together_by_hand_are_the_json_that_they_say(
    value: object, channel: str, offset: int, command_id: int
) -> None:
    data = encode(value)
    found = publication(offset, data, b'{"user":"ann"}')

    assert parse(found) == {"data": value, "info": {"user": "ann"}} | ({"offset": offset} if offset else {})
    assert parse(push(channel, "pub", raw(found))) == {"push": {"channel": channel, "pub": parse(found)}}
    assert parse(reply(command_id, "rpc", {"data": raw(data)})) == {"id": command_id, "rpc": {"data": value}}
    assert b"\n" not in push(channel, "pub", raw(found)), "a line break parts the objects of a frame"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b'"\xff"',
        b'"\\ud800"',
        b"'a'",
        b"{} {}",
        b"[1,]",
        b"[" * 5000,
        "\ud800",
        b"01",
    ],
)
def test_what_is_no_strict_json_in_utf_8_is_refused(body: bytes | str) -> None:
    with pytest.raises(BadJson):
        parse(body)


@pytest.mark.parametrize("inner", [("[", "]"), ('{"a":', "}"), ('[{"a":[', "]}]")])
def test_what_is_nested_too_deep_is_refused_and_the_deepest_allowed_can_be_wrapped_and_written(
    inner: tuple[str, str],
) -> None:
    opening, closing = inner
    levels = opening.count("[") + opening.count("{")
    allowed = opening * (MAX_DEPTH // levels) + "1" + closing * (MAX_DEPTH // levels)
    deep = opening * (MAX_DEPTH // levels + 1) + "1" + closing * (MAX_DEPTH // levels + 1)

    assert encode({"push": {"pub": {"data": parse(allowed)}}})
    with pytest.raises(BadJson):
        parse(deep)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    assert parse("[" + ",".join(["[]"] * 1000) + "]") == [[]] * 1000


@pytest.mark.parametrize(
    ("line", "expected"), [('{"id": 5, "x": NaN}', 5), ("rubbish", 0), ('{"id": -1}', 0), ("[" * 9999, 0)]
)
def test_the_id_of_a_command_is_found_though_it_is_not_strict_json(line: str, expected: int) -> None:
    assert id_in(line) == expected


@pytest.mark.parametrize("command_id", [True, 1.0, "1", 2**32, -1])
def test_a_command_id_is_a_positive_whole_number(command_id: object) -> None:
    with pytest.raises(Invalid):
        validated(Command, {"id": command_id, "rpc": {"method": "x"}})


def test_an_error_carries_what_a_client_needs() -> None:
    found = json.loads(error_reply(7, CommandsTooFast(retry_after_s=0.25), "c.7"))

    assert found["id"] == 7
    assert found["error"]["code"] == 111
    assert found["error"]["temporary"] is True
    assert found["error"]["retry_after"] == 0.25
    assert found["error"]["request_id"] == "c.7"
    assert json.loads(error_reply(7, RoomNotFound(room_id="x"), "c.7"))["error"]["code"] == 404
