"""RFC 6455's opening handshake as bytes, without I/O: the head of an ordinary upgrade, and the answer that accepts it.

`upgrade_in` knows the ordinary one only: one packet, HTTP/1.1, no header twice, nothing that needs a word of refusal.
Whatever else comes is for a whole HTTP parser, and for the application, which says no (docs/adr/0016).
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

HEAD_BYTES = 16 * 1024
_ACCEPT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
_HEAD = re.compile(
    rb"GET (?P<path>/[!-\"$->@-~]*)(?:\?(?P<query>[!-\"$-~]*))? HTTP/1\.1\r\n"
    rb"(?P<headers>(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)+)\r\n"
)
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_WITH_A_BODY = frozenset({"content-length", "transfer-encoding", "expect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """A request to become a WebSocket. `headers` has lower-case names; `after` is what came behind the head."""

    path: str
    query: bytes
    headers: Mapping[str, str]
    after: bytes

    def accepted(self, extensions: str) -> bytes:
        """The answer that accepts it, with those extensions if there are any."""
        key = self.headers["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest())
        extended = b"Sec-WebSocket-Extensions: %b\r\n" % extensions.encode() if extensions else b""
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept, extended)
        )


def upgrade_in(data: bytes) -> Upgrade | None:
    """The upgrade that a connection's first packet asks for; None for what is not whole, or not ordinary."""
    found = _HEAD.match(data, 0, HEAD_BYTES)
    if found is None:
        return None
    lines = found["headers"].decode("latin-1").split("\r\n")[:-1]
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    if len(headers) != len(lines) or not _is_upgrade(headers):
        return None
    return Upgrade(path=found["path"].decode(), query=found["query"] or b"", headers=headers, after=data[found.end() :])


def _is_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether it is one by RFC 6455 4.2.1."""
    connection = headers.get("connection", "").lower()
    return (
        "host" in headers
        and headers.get("upgrade", "").lower() == "websocket"
        and "upgrade" in (connection, *(token.strip() for token in connection.split(",")))
        and headers.get("sec-websocket-version") == "13"
        and _KEY.fullmatch(headers.get("sec-websocket-key", "")) is not None
        and _WITH_A_BODY.isdisjoint(headers)
    )
