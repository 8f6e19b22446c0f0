"""A transport as one connection's bounded queue. What is put in a turn leaves in one write, and nobody waits.

A channel's batch, whose bytes all its subscribers share, goes out with theirs where nothing waits before it: by the
turn's one call, or by the transport where there is no ring. Over the bound the pipe overruns, and its owner closes.
Channels whose readers do not mind gaps (`latest`, `drop_oldest`) are held back while the transport is full, and let go
when it has room.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from chat_server.gateway.turn import Turn
from chat_server.metrics import DROPPED
from chat_server.realtime.batch import PIECE_BYTES, Batch
from chat_server.realtime.mailbox import RING_FRAMES
from chat_server.settings import Slow


class Owner(Protocol):
    def overrun(self) -> None:
        """Too much waits; what does is dropped. To be closed as slow."""


class Pipe:
    """A channel's sink. `bytes_of` is what a batch is on this transport; what else is put has that framing already."""

    __slots__ = (
        "_held",
        "_hold_bytes",
        "_is_full",
        "_is_open",
        "_limit_bytes",
        "_out_bytes",
        "_owner",
        "_transport",
        "_turn",
        "bytes_of",
        "entry",
        "is_clear",
        "out",
        "sent",
    )

    def __init__(
        self, owner: Owner, turn: Turn, bytes_of: Callable[[Batch], bytes], *, limit_bytes: int, hold_bytes: int
    ) -> None:
        self._owner = owner
        self._turn = turn
        self.bytes_of = bytes_of
        self._limit_bytes = limit_bytes
        self._hold_bytes = hold_bytes
        self.out: list[bytes] = []
        self._out_bytes = 0
        self._held: dict[str, deque[bytes]] | None = None
        self._is_full = False
        self._is_open = True
        self.is_clear = True  # open, not full, and nothing under way: all that a delivery has to look at
        self.entry = b""
        self.sent = 0

    def begin(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        # It is full as soon as the kernel takes no more, and uvloop writes at once, not in a second round of all.
        is_tls = transport.get_extra_info("sslcontext") is not None
        transport.set_write_buffer_limits(high=1 if is_tls else 0)  # TLS counts as full what only reaches its limit
        if transport.get_write_buffer_size():  # the head has not left yet
            self.paused()
        self.entry = self._turn.entry_for(transport)

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def waiting_bytes(self) -> int:
        """What has not reached the kernel."""
        return self._out_bytes + self._transport.get_write_buffer_size()

    @property
    def is_full(self) -> bool:
        return self._is_full

    def deliver(self, batch: Batch) -> None:
        """A channel's publications, in the one call that every delivery costs."""
        if self.is_clear and batch.is_plain:
            self.sent += batch.count
            if self.entry:
                self.is_clear = False
                self._turn.send(self, self.bytes_of(batch))
            else:
                self.write_rest(self.bytes_of(batch))
        else:
            for data in filter(None, map(self.bytes_of, batch.singles)):
                self.put_under(batch.slow, batch.channel, data)
            if self._is_full:
                self.load()

    def put(self, data: bytes) -> None:
        if not self._is_open:
            return
        if not self.out:
            self.is_clear = False
            self._turn.add(self)
        self.out.append(data)
        self._out_bytes += len(data)

    def put_under(self, slow: Slow, channel: str, data: bytes) -> None:
        """Under its namespace's policy for slow readers."""
        if not self._is_open or slow == "close":
            self.put(data)
            return
        held = self._held
        is_free = not self._is_full and (not self.out or self._out_bytes + len(data) <= self._hold_bytes)
        if is_free and (held is None or channel not in held):
            self.put(data)
            return
        if held is None:
            held = self._held = {}
        ring = held.setdefault(channel, deque(maxlen=1 if slow == "latest" else RING_FRAMES))
        if len(ring) == ring.maxlen:
            DROPPED.inc()
        ring.append(data)

    def flush(self) -> None:
        """Write what was put and delivered, now."""
        self._turn.submit()
        self.load()
        self._turn.submit()

    def load(self) -> None:
        """Pass on what was put. When too much waits the rest is dropped, and the owner closes."""
        parts, size = self.out, self._out_bytes
        if not parts or not self._is_open:
            return
        self.out, self._out_bytes = [], 0
        self.is_clear = not self._is_full
        self.sent += len(parts)
        if not (self._write(parts, self.entry) if size <= PIECE_BYTES else all(map(self._write, _pieces(parts)))):
            self._owner.overrun()
        elif self._held and not self._is_full:
            self._let_go()

    def end(self, last: bytes) -> None:
        """Write `last` behind what was flushed; nothing after it."""
        if self._is_open and not self._transport.is_closing():
            self._transport.write(last)
        self.drop()

    def write_rest(self, rest: bytes) -> None:
        if self._transport.is_closing():
            self.drop()
            return
        try:
            self._transport.write(rest)
        except RuntimeError:  # uvloop's: it broke, and has yet to say so
            self.drop()

    def drop(self) -> None:
        """Nobody is there any more."""
        self._is_open = self.is_clear = False
        self.entry = b""
        self.out, self._out_bytes, self._held = [], 0, None

    def paused(self) -> None:
        """The transport says that it is full."""
        self._is_full = True
        self.is_clear = False

    def resumed(self) -> None:
        """The transport has room again."""
        self._is_full = False
        self.is_clear = self._is_open and not self.out
        if self._held:
            self._let_go()

    def _write(self, parts: list[bytes], entry: bytes = b"") -> bool:
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        transport = self._transport
        if transport.is_closing():
            self.drop()
            return True
        waiting = transport.get_write_buffer_size()
        if waiting and waiting + len(data) > self._limit_bytes:
            return False
        if entry and not waiting and not self._is_full:
            self.is_clear = False
            self._turn.send(self, data)
        else:
            transport.write(data)
        return True

    def _let_go(self) -> None:
        """Write what was held back, as far as it goes."""
        self._turn.submit()
        held, self._held = self._held or {}, None
        while held and not self._is_full and self._is_open and not self._transport.is_closing():
            channel = next(iter(held))
            self._transport.write(held[channel].popleft())
            self.sent += 1
            if not held[channel]:
                del held[channel]
        self._held = held or None


def _pieces(parts: list[bytes]) -> list[list[bytes]]:
    """Parts that are written at once: together up to PIECE_BYTES, or one that is larger."""
    pieces: list[list[bytes]] = []
    size = PIECE_BYTES
    for part in parts:
        size += len(part)
        if size > PIECE_BYTES:
            pieces.append([])
            size = len(part)
        pieces[-1].append(part)
    return pieces
