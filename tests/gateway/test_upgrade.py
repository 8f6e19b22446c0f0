"""The opening handshake as bytes: what is answered below ASGI is what a whole parser would accept, and no more."""

import logging

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.server import ServerProtocol

from chat_server.gateway.upgrade import Upgrade, upgrade_in

ORDINARY = (
    b"GET /ws?token=a.b.c HTTP/1.1\r\nHost: chat.example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: https://chat.example.org\r\n\r\n"
)
HEADERS = [
    (b"Host", [b"chat.example.org", b""]),
    (b"Upgrade", [b"websocket", b"WebSocket", b"h2c", b"h2c, websocket"]),
    (b"Connection", [b"Upgrade", b"upgrade", b"keep-alive, Upgrade", b"keep-alive"]),
    (b"Sec-WebSocket-Key", [b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ", b"", b"dGhlIHNhbXBsZSBub25jZQ= ="]),
    (b"Sec-WebSocket-Version", [b"13", b"8", b"13, 8", b"013"]),
    (b"Sec-WebSocket-Protocol", [b"a, b"]),
    (b"Sec-WebSocket-Extensions", [b"permessage-deflate; client_max_window_bits"]),
    (b"Content-Length", [b"0", b"5"]),
    (b"Transfer-Encoding", [b"chunked"]),
    (b"X-Other", [b"\xe9t\xe9", b"a\tb", b"a\x00b", b"a\rb"]),
]


def one_header() -> st.SearchStrategy[bytes]:
    return st.sampled_from(HEADERS).flatmap(
        lambda found: st.builds(
            lambda name, gap, value: name + b":" + gap + value + b"\r\n",
            st.sampled_from([found[0], found[0].lower(), found[0] + b" "]),
            st.sampled_from([b" ", b"", b"\t "]),
            st.sampled_from(found[1]),
        )
    )


def found_in(data: bytes) -> Upgrade:
    found = upgrade_in(data)
    assert found is not None
    return found


def test_an_ordinary_upgrade_is_understood() -> None:
    found = found_in(ORDINARY)

    assert (found.path, found.query, found.after) == ("/ws", b"token=a.b.c", b"")
    assert found.headers["origin"] == "https://chat.example.org"


def test_the_key_is_answered_as_in_the_standards_example() -> None:
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in found_in(ORDINARY).accepted("")


def test_what_comes_behind_the_head_is_kept() -> None:
    assert found_in(ORDINARY + b"\x81\x80four").after == b"\x81\x80four"


@given(st.integers(0, len(ORDINARY) - 1))
def test_half_a_head_is_none(size: int) -> None:
    assert upgrade_in(ORDINARY[:size]) is None


def test_a_long_head_is_left_to_others() -> None:
    assert upgrade_in(ORDINARY[:-2] + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n") is None


@given(st.lists(one_header(), max_size=9), st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"http/1.1"]))
@example([line + b"\r\n" for line in ORDINARY.split(b"\r\n")[1:-2]], b"HTTP/1.1")
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_what_is_answered_here_another_server_would_answer_alike(
    method: bytes, headers: list[bytes], version: bytes
) -> None:
    data = method + b" /ws " + version + b"\r\n" + b"".join(headers) + b"\r\n"
    other = ServerProtocol(logger=logging.getLogger("silent"))

    found = upgrade_in(data)
    other.receive_data(data)

    if found is not None:
        (request,) = other.events_received()
        answer = other.accept(request)  # type: ignore[arg-type]  # the first event is the request
        assert answer.status_code == 101
        assert answer.headers["Sec-WebSocket-Accept"].encode() in found.accepted("")
