"""A stream on a transport: an event is one chunk for all who hear it; no task, no generator, no ASGI after the head.

It takes the place of the mailbox that the portable way drains. `connection_lost` is the one end, whoever began it.
"""

import asyncio
from operator import attrgetter
from typing import Any

from chat_server.errors import SHUTDOWN
from chat_server.gateway.gateway import Gateway
from chat_server.gateway.pipe import Pipe
from chat_server.gateway.stream import NEVER, RETRY_MS, Stream
from chat_server.metrics import CONNECTIONS
from chat_server.realtime.batch import as_chunk
from chat_server.settings import Slow

PING = b"8\r\n: ping\n\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"
SEND_TIMEOUT_S = 30.0  # a reader that takes nothing for so long is cut off; it resumes

_OPEN = CONNECTIONS.labels("sse")
_AS_CHUNK = attrgetter("chunk")


class DirectStream(asyncio.Protocol):
    """One stream's mailbox and transport. `feeding` is what replays and joins its channels."""

    __slots__ = (
        "_address",
        "_connections",
        "_full_since",
        "_gateway",
        "_pipe",
        "_room",
        "_transport",
        "capacity_bytes",
        "feeding",
        "is_overrun",
        "stream",
        "wake_at",
    )

    def __init__(self, gateway: Gateway, address: str) -> None:
        self._gateway = gateway
        self._address = address
        self._pipe = Pipe(
            self, gateway.turn, _AS_CHUNK, limit_bytes=gateway.slow_bytes, hold_bytes=gateway.hold_bytes // 2
        )
        self._full_since = NEVER
        self._room: asyncio.Future[None] | None = None
        self.capacity_bytes = gateway.slow_bytes
        self.is_overrun = False
        self.feeding: asyncio.Task[None] | None = None
        self.stream: Stream
        self.wake_at = NEVER

    def begin(self, transport: asyncio.Transport, connections: "set[Any]") -> None:
        """Write to this transport from now on. `connections` are the server's, told to `shutdown`."""
        self._transport = transport
        self._connections = connections
        connections.add(self)
        _OPEN.inc()
        if transport.is_closing():
            self.connection_lost(None)
            return
        self._pipe.begin(transport)
        if self._pipe.is_full:
            self._full_since = self._gateway.wheel.now
        transport.set_protocol(self)
        transport.resume_reading()
        self._pipe.put(as_chunk(b"retry: %d\n\n" % RETRY_MS))
        self._sleep(self._gateway.worker.settings.stream_ping_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._pipe.drop()
        self._make_room()
        if self.feeding is not None:
            self.feeding.cancel()
        self.wake_at = NEVER
        self._connections.discard(self)
        gateway = self._gateway
        gateway.wheel.forget(self)
        gateway.wheel.forget(self.stream)
        gateway.worker.fanout.remove(self.stream)
        gateway.release(self._address)
        _OPEN.dec()

    def pause_writing(self) -> None:
        self._pipe.paused()
        self._full_since = self._gateway.wheel.now

    def resume_writing(self) -> None:
        self._pipe.resumed()
        self._full_since = NEVER
        self._make_room()

    def shutdown(self) -> None:
        """The process ends."""
        self.stream.close(SHUTDOWN)

    def wake(self, now: float) -> None:
        if not self._pipe.is_open or now - self._full_since > SEND_TIMEOUT_S:
            self._transport.abort()
            return
        if not self._pipe.is_full:
            self._pipe.put(PING)
        self._sleep(self._gateway.worker.settings.stream_ping_s)

    @property
    def is_open(self) -> bool:
        return self._pipe.is_open

    @property
    def sink(self) -> Pipe:
        return self._pipe

    @property
    def size_bytes(self) -> int:
        return self._pipe.waiting_bytes

    def put(self, item: bytes, size: int) -> None:
        self._pipe.put(as_chunk(item))

    def put_under(self, slow: Slow, channel: str, item: bytes, size: int) -> None:
        self._pipe.put_under(slow, channel, as_chunk(item))

    async def drained(self) -> None:
        """Until the transport has room."""
        self._pipe.flush()
        if self._pipe.is_open and self._pipe.is_full:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def overrun(self) -> None:
        self.is_overrun = True
        self.stream.overrun()

    def end(self) -> None:
        """The stream is closed: what waits goes out, then the connection ends."""
        self._pipe.flush()
        self._pipe.end(LAST_CHUNK)
        self._make_room()
        self._transport.close()
        self._sleep(SEND_TIMEOUT_S)

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _sleep(self, seconds: float) -> None:
        self.wake_at = self._gateway.wheel.now + seconds
        self._gateway.wheel.watch(self)
