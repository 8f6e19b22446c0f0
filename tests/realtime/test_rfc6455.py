"""A client's bytes become its messages, however they are cut; broken framing has its close code."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_server.realtime.rfc6455 import BINARY, CLOSE, PING, PONG, TEXT, BadFrame, FrameReader, closing, status_in
from tests.gateway.masked import masked

MAX = 1024


def read(data: bytes) -> list[tuple[int, bytes]]:
    reader = FrameReader(MAX)
    reader.feed(data)
    return list(iter(reader.next, None))  # type: ignore[arg-type]


@given(
    messages=st.lists(st.tuples(st.sampled_from([TEXT, BINARY, PING, PONG]), st.binary(max_size=125)), max_size=6),
    cuts=st.lists(st.integers(0, 900), max_size=8),
)
def test_what_was_sent_comes_out_in_order_wherever_the_bytes_are_cut(
    messages: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    data = b"".join(masked(opcode, payload) for opcode, payload in messages)
    reader = FrameReader(MAX)
    found = []

    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        reader.feed(data[start:end])
        found += list(iter(reader.next, None))

    assert found == messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, MAX])
def test_a_message_of_any_length_up_to_the_bound_is_read(size: int) -> None:
    assert read(masked(TEXT, b"x" * size)) == [(TEXT, b"x" * size)]


def test_control_frames_may_come_between_fragments() -> None:
    parts = masked(TEXT, b"he", fin=False) + masked(PING, b"?") + masked(0, b"llo", fin=True)

    assert read(parts) == [(PING, b"?"), (TEXT, b"hello")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x00", 1002),  # not masked
        (b"\xc1\x80\0\0\0\0", 1002),  # a reserved bit
        (b"\x83\x80\0\0\0\0", 1002),  # an opcode that means nothing
        (masked(PING, b"", fin=False), 1002),
        (b"\x89\xfe\x00\x7e\0\0\0\0", 1002),  # a ping of 126 bytes
        (masked(0, b"x"), 1002),  # goes on with nothing
        (masked(TEXT, b"x", fin=False) + masked(TEXT, b"y"), 1002),
        (masked(TEXT, b"x" * (MAX + 1))[:8], 1009),  # its header is enough
        (masked(TEXT, b"x" * MAX, fin=False) + masked(0, b"x"), 1009),
        (b"\x81\xff" + b"\xff" * 8, 1009),
    ],
)
def test_broken_framing_has_its_close_code(data: bytes, code: int) -> None:
    with pytest.raises(BadFrame) as bad:
        read(data)

    assert bad.value.code == code


@pytest.mark.parametrize(("payload", "code"), [(b"", 0), (b"\x03\xe8", 1000), (b"\x0f\xa0bye", 4000)])
def test_a_close_frame_says_why(payload: bytes, code: int) -> None:
    assert status_in(payload) == code


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"\x03", 1002), (b"\x03\xed", 1002), (b"\x00\x01", 1002), (b"\x13\x88", 1002), (b"\x03\xe8\xff", 1007)],
)
def test_a_close_frame_that_may_not_be_is_refused(payload: bytes, code: int) -> None:
    with pytest.raises(BadFrame) as bad:
        status_in(payload)

    assert bad.value.code == code


def test_a_long_reason_is_cut_between_characters() -> None:
    frame = closing(3500, "é" * 100)

    assert frame[0] == 0x80 | CLOSE
    assert len(frame) <= 127
    assert frame[4:].decode() == "é" * 61


def test_a_frame_that_comes_byte_by_byte_collects_in_one_buffer() -> None:
    """Each byte once: a new buffer for each of them would copy all that came before."""
    reader = FrameReader(70_000)
    frame = masked(TEXT, b"x" * 65_536)
    buffers: list[object] = []

    for byte in frame[:-1]:
        reader.feed(bytes((byte,)))
        assert reader.next() is None
        if not buffers or reader._bytes is not buffers[-1]:
            buffers.append(reader._bytes)
    reader.feed(frame[-1:])

    assert reader.next() == (TEXT, b"x" * 65_536)
    assert len(buffers) <= 3


def test_what_follows_a_frame_that_came_in_pieces_is_read() -> None:
    reader = FrameReader(MAX)
    frames = [masked(TEXT, bytes((letter,)) * 200) for letter in b"abcdef"]
    data = b"".join(frames)

    found = []
    for start in range(0, len(data), 333):
        reader.feed(data[start : start + 333])
        found += list(iter(reader.next, None))

    assert found == [(TEXT, bytes((letter,)) * 200) for letter in b"abcdef"]
