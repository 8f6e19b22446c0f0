"""Compression by RFC 7692: what is agreed, what comes back as it was, and what may not blow up."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from chat_server.broker import Envelope
from chat_server.realtime.deflate import WORTH_BYTES, Broken, TooLong, agreed, deflated, inflated
from chat_server.realtime.frames import Frame
from chat_server.realtime.rfc6455 import BINARY, TEXT, BadFrame, FrameReader, encoded, encoded_small
from tests.gateway.masked import masked

MAX = 1024
DEFLATED = 0x40
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def reader() -> FrameReader:
    found = FrameReader(MAX)
    found.inflates = True
    return found


def read(*frames: bytes) -> list[tuple[int, bytes]]:
    found = reader()
    found.feed(b"".join(frames))
    return list(iter(found.next, None))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ("permessage-deflate", ANSWER),
        ("permessage-deflate; client_max_window_bits", ANSWER),
        ("permessage-deflate; client_max_window_bits=10; client_no_context_takeover", ANSWER),
        ("permessage-deflate;server_no_context_takeover", ANSWER),
        ("permessage-deflate; server_max_window_bits=15", f"{ANSWER}; server_max_window_bits=12"),
        ('permessage-deflate; server_max_window_bits="12"', f"{ANSWER}; server_max_window_bits=12"),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", ANSWER),
        ("x-webkit-deflate-frame, permessage-deflate", ANSWER),
        ("permessage-deflate; server_max_window_bits=9", ""),
        ("permessage-deflate; server_max_window_bits", ""),
        ("permessage-deflate; server_max_window_bits=16", ""),
        ("permessage-deflate; client_max_window_bits=7", ""),
        ("permessage-deflate; client_max_window_bits=010", ""),
        ("permessage-deflate; something", ""),
        ("permessage-deflate; server_no_context_takeover=1", ""),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", ""),
        ("permessage-bzip2", ""),
        (",;=,", ""),
        ("", ""),
    ],
)
def test_the_first_offer_that_can_be_taken_is(offers: str, answer: str) -> None:
    assert agreed(offers) == answer


@given(st.booleans(), st.booleans(), st.sampled_from([None, 8, 12, 15]), st.sampled_from([None, True, 9, 15]))
def test_another_librarys_client_takes_the_answer_or_goes_without(
    server_alone: bool, client_alone: bool, server_bits: int | None, client_bits: int | bool | None
) -> None:
    client = ClientPerMessageDeflateFactory(server_alone, client_alone, server_bits, client_bits)
    offer = "; ".join(
        [client.name] + [name if value is None else f"{name}={value}" for name, value in client.get_request_params()]
    )

    name, *parameters = agreed(offer).split("; ")

    if server_bits == 8:
        assert name == ""
    else:
        pairs = [(key, value or None) for key, _, value in (part.partition("=") for part in parameters)]
        taken = client.process_response_params(pairs, [])
        assert (taken.remote_no_context_takeover, taken.local_no_context_takeover) == (True, True)


@given(st.binary(max_size=5000))
def test_what_was_deflated_inflates_to_itself(payload: bytes) -> None:
    assert inflated(deflated(payload), 5000) == payload


def test_nothing_inflates_to_nothing() -> None:
    assert inflated(b"\x00", MAX) == b""
    assert read(masked(TEXT | DEFLATED, b"\x00")) == [(TEXT, b"")]


@pytest.mark.parametrize("size", [MAX, MAX + 1, 100_000_000])
def test_no_more_is_inflated_than_is_allowed(size: int) -> None:
    bomb = deflated(bytes(size))

    if size <= MAX:
        assert inflated(bomb, MAX) == bytes(size)
    else:
        with pytest.raises(TooLong):
            inflated(bomb, MAX)


@pytest.mark.parametrize("payload", [b"\xff\xff\xff\xff", b"\x07", b"\x01\x05\x00\x00\x00hello"])
def test_what_is_no_deflate_is_broken(payload: bytes) -> None:
    with pytest.raises(Broken):
        inflated(payload, MAX)


def test_a_compressed_message_may_come_in_fragments() -> None:
    small = deflated(b"hello " * 50)

    parts = [masked(TEXT | DEFLATED, small[:3], fin=False), masked(0, small[3:7], fin=False), masked(0, small[7:])]

    assert read(*parts, masked(BINARY, b"plain")) == [(TEXT, b"hello " * 50), (BINARY, b"plain")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (masked(9 | DEFLATED, b""), 1002),
        (masked(8 | DEFLATED, b""), 1002),
        (masked(TEXT, b"x", fin=False) + masked(0 | DEFLATED, b"x"), 1002),
        (masked(TEXT | 0x20, b"x"), 1002),
        (masked(TEXT | DEFLATED, b"\xff\xff\xff\xff"), 1007),
        (masked(TEXT | DEFLATED, deflated(bytes(MAX + 1))), 1009),
    ],
)
def test_compression_that_may_not_be_has_its_close_code(data: bytes, code: int) -> None:
    with pytest.raises(BadFrame) as bad:
        read(data)

    assert bad.value.code == code


def test_a_compressed_message_that_was_not_agreed_upon_is_refused() -> None:
    found = FrameReader(MAX)
    found.feed(masked(TEXT | DEFLATED, deflated(b"hello")))

    with pytest.raises(BadFrame) as bad:
        found.next()

    assert bad.value.code == 1002


def test_what_is_small_or_does_not_shrink_is_sent_as_it_is() -> None:
    noise = bytes(number * 151 % 251 for number in range(WORTH_BYTES)) + zlib.compress(bytes(range(256)) * 3, 9)

    assert encoded_small(TEXT, b"x" * (WORTH_BYTES - 1)) == encoded(TEXT, b"x" * (WORTH_BYTES - 1))
    assert encoded_small(TEXT, noise) == encoded(TEXT, noise)
    assert encoded_small(TEXT, b"x" * WORTH_BYTES)[0] == 0x80 | DEFLATED | TEXT


def test_a_publication_is_deflated_once() -> None:
    frame = Frame(Envelope("live:x", "pub", b'{"data":"%b"}' % (b"x" * 500), 0))

    assert frame.websocket_small is frame.websocket_small
    assert len(frame.websocket_small) < len(frame.websocket) // 5
