"""A WebSocket client small and fast enough for hundreds in one process: an asyncio protocol, no task a connection."""

import asyncio
import base64
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
CONNECT_S = 5.0


class Line(asyncio.Protocol):
    """One connection. `on_object` hears each JSON object, `on_lost` the end; neither awaits."""

    def __init__(self, on_object: Callable[[Any], None], on_lost: Callable[[], None]) -> None:
        self._on_object = on_object
        self._on_lost = on_lost
        self._data = b""
        self._parts: list[bytes] = []
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.close_code = 0
        self._transport: asyncio.Transport
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self.opened.done():
            head, found, rest = self._data.partition(b"\r\n\r\n")
            if not found:
                return
            self._data = rest
            if not head.startswith(b"HTTP/1.1 101"):
                self.opened.set_exception(ConnectionRefusedError(head.partition(b"\r\n")[0].decode()))
                self._transport.abort()
                return
            self.opened.set_result(None)
        self._take_frames()

    def connection_lost(self, error: Exception | None) -> None:
        self._is_lost = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionResetError())
        self._on_lost()

    def begin(self, request: bytes) -> None:
        self._transport.write(request)

    def send(self, *objects: Any) -> None:
        if not self._is_lost:
            self._write(TEXT, b"\n".join(orjson.dumps(each) for each in objects))

    def cut(self) -> None:
        """Without a word, as a network does."""
        self._transport.abort()

    def _take_frames(self) -> None:
        data, at, end = self._data, 0, len(self._data)
        while end - at >= 2:
            size, body = data[at + 1] & 127, at + 2
            if size == 126:
                size, body = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            elif size == 127:
                size, body = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end < body + size or end < body:
                break
            self._take_frame(data[at], data[body : body + size])
            at = body + size
        self._data = data[at:]

    def _take_frame(self, first: int, payload: bytes) -> None:
        opcode = first & 15
        if opcode == PING:
            self._write(PONG, payload)
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
            self._write(CLOSE, payload[:2])
            self._transport.close()
        elif opcode in {0, TEXT}:
            self._parts.append(payload)
            if first & 128:
                text, self._parts = b"".join(self._parts), []
                for line in text.split(b"\n"):
                    self._take(line)

    def _take(self, line: bytes) -> None:
        found = orjson.loads(line)
        if found == {}:
            self.send({})
        else:
            self._on_object(found)

    def _write(self, opcode: int, payload: bytes) -> None:
        """Masked with zeros, which every server undoes like any other mask."""
        size = len(payload)
        head = bytes([128 | opcode])
        if size < 126:
            head += bytes([128 | size])
        elif size < 65536:
            head += bytes([128 | 126]) + size.to_bytes(2, "big")
        else:
            head += bytes([128 | 127]) + size.to_bytes(8, "big")
        self._transport.write(head + b"\0\0\0\0" + payload)


async def opened(url: str, on_object: Callable[[Any], None], on_lost: Callable[[], None]) -> Line:
    """Connected, and past the handshake. OSError."""
    parts = urlsplit(url)
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(CONNECT_S):
        _, line = await loop.create_connection(lambda: Line(on_object, on_lost), parts.hostname, parts.port)
        line.begin(
            f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
        )
        try:
            await line.opened
        except BaseException:
            line.cut()
            raise
    return line
