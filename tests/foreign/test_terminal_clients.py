"""From a terminal, as docs/protocol.md says: `python -m websockets`, and a client that knows nothing but RFC 6455."""

import base64
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.house import PATIENCE_S, House, Person, until


class Terminal:
    """`python -m websockets URL`: what is typed is sent, what comes is printed behind `< `."""

    def __init__(self, url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "websockets", url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NO_PROXY": "*"},
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._seen = b""

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def shows(self, text: str) -> bool:
        assert self._process.stdout is not None
        self._seen += self._process.stdout.read() or b""
        return text in self._seen.decode(errors="replace")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()


@contextmanager
def terminal(url: str) -> Iterator[Terminal]:
    found = Terminal(url)
    try:
        yield found
    finally:
        found.close()


def test_a_newcomer_chats_with_python_m_websockets(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)

    with terminal(f"{bob.socket_url}?token={bob.token}&subscribe=rooms") as screen:
        until(lambda: screen.shows("Connected to"), what="the connection")
        screen.type('{"id": 1, "rpc": {"method": "rooms.list", "data": {}}}')
        until(lambda: screen.shows(f'"id":"{room_id}"'), what="the rooms")
        screen.type(
            json.dumps({"id": 2, "rpc": {"method": "messages.post", "data": {"room_id": room_id, "text": "yo"}}})
        )
        until(lambda: screen.shows('"text":"yo"'), what="one's own message")
        ann.say(room_id, "hello bob")
        until(lambda: screen.shows('"text":"hello bob"'), what="the other's message")

    assert [message["text"] for message in ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]] == ["yo", "hello bob"]


class Raw:
    """RFC 6455 by hand, as the smallest client would do it; it answers pings and knows nothing else."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        self.headers = {}
        while (line := self._file.readline().strip()) != b"":
            name, _, value = line.decode().partition(": ")
            self.headers[name.lower()] = value
        accept = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
        assert self.headers["sec-websocket-accept"] == base64.b64encode(accept).decode()

    def send(self, data: bytes, opcode: int = 1) -> None:
        mask = os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + struct.pack("!H", len(data))
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self._socket.sendall(bytes([0x80 | opcode]) + size + mask + masked)

    def receive(self) -> tuple[int, bytes]:
        """The next frame's opcode and payload; a ping is answered on the way."""
        while True:
            first, second = self._file.read(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self._file.read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._file.read(8))
            payload = self._file.read(size)
            assert first & 0x80, "servers here send whole frames"
            assert not second & 0x80, "a server does not mask"
            if first & 0x0F != 9:
                return first & 0x0F, payload
            self.send(payload, opcode=10)

    def lines(self) -> list[Any]:
        opcode, payload = self.receive()
        assert opcode == 1
        return [json.loads(line) for line in payload.split(b"\n")]

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def raw(house: House, ann: Person) -> Iterator[Raw]:
    found = Raw(house.port, f"/ws?token={ann.token}")
    yield found
    found.close()


def test_a_client_that_only_listens_hears_its_own_channel(house: House, ann: Person, bob: Person, raw: Raw) -> None:
    """A second of silence implies its connect."""
    until(lambda: f"user:{ann.id}" in house.worker.manager.channels, what="the implied connect")
    room_id = bob.room()
    ann.join(room_id)
    pushes: list[Any] = []
    while not any(push["push"]["pub"]["data"]["type"] == "member.joined" for push in pushes):
        pushes += raw.lines()

    assert {push["push"]["channel"] for push in pushes} == {f"user:{ann.id}"}


def test_a_client_that_knows_only_rfc_6455_asks_and_is_answered(ann: Person, raw: Raw) -> None:
    raw.send(b'{"id": 1, "rpc": {"method": "users.me", "data": {}}}')

    (answer,) = raw.lines()

    assert answer["id"] == 1
    assert answer["rpc"]["data"]["id"] == ann.id


def test_a_close_is_answered_with_a_close(raw: Raw) -> None:
    raw.send(b"\x03\xe8", opcode=8)
    opcode, payload = raw.receive()

    assert opcode == 8
    assert payload[:2] == b"\x03\xe8"


def test_protocol_pings_are_answered(raw: Raw) -> None:
    raw.send(b"are you there", opcode=9)

    assert raw.receive() == (10, b"are you there")
