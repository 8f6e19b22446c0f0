"""A WebSocket by hand: frames as a client masks them, and a TCP connection that has shaken hands."""

import json
import socket
from typing import Any

from chat_server.realtime.deflate import deflated
from tests.house import Person

KEY = b"\x5a\xc3\x01\xfe"  # any will do; the same every time, so that a test has one name
DEFLATED = 0x40  # RSV1
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
LONG = "the same words again and again, " * 40
OPENING = (
    "GET /ws?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
)


def masked(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    size, key = len(payload), KEY
    head = bytes((opcode | 0x80 * fin,))
    if size < 126:
        head += bytes((0x80 | size,))
    elif size < 65536:
        head += b"\xfe" + size.to_bytes(2, "big")
    else:
        head += b"\xff" + size.to_bytes(8, "big")
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def asked(**command: Any) -> bytes:
    """A command's JSON, for whoever frames it otherwise."""
    return json.dumps({"id": 7, **command}).encode()


def compressed(payload: bytes) -> bytes:
    return masked(1 | DEFLATED, deflated(payload))


def text(command_id: int, **command: Any) -> bytes:
    return masked(1, json.dumps({"id": command_id, **command}).encode())


class ByHand:
    """The person's socket, opened with `more` lines in its head.

    `frame` answers the next one that is no text of the server's own accord.
    """

    def __init__(self, person: Person, more: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", int(person.url.rpartition(":")[2])), 10)
        self.socket.sendall(OPENING.format(token=person.token, more=more).encode())
        self._bytes = b""
        while b"\r\n\r\n" not in self._bytes:
            self._more()
        head, _, self._bytes = self._bytes.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 "), head

    def __enter__(self) -> "ByHand":
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        size = self._take(2)
        opcode, length = size[0] & 15, size[1]
        if length == 126:
            length = int.from_bytes(self._take(2), "big")
        elif length == 127:
            length = int.from_bytes(self._take(8), "big")
        return opcode, self._take(length)

    def close_code(self) -> int:
        """The status of the close frame, once it comes."""
        while True:
            opcode, payload = self.frame()
            if opcode == 8:
                return int.from_bytes(payload[:2], "big")

    def is_cut(self) -> bool:
        """Wait until the server has closed the connection."""
        try:
            while self.socket.recv(65536):
                continue
        except ConnectionResetError:
            pass
        return True

    def _take(self, size: int) -> bytes:
        while len(self._bytes) < size:
            self._more()
        found, self._bytes = self._bytes[:size], self._bytes[size:]
        return found

    def _more(self) -> None:
        found = self.socket.recv(65536)
        assert found, "the server closed the connection"
        self._bytes += found
