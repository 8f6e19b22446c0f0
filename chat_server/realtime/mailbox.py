"""What waits to be written to one connection, within a bound of bytes; one writer drains it.

Over the bound the mailbox overruns: it takes nothing more, and the connection is closed as slow. Channels whose readers
do not mind gaps (`latest`, `drop_oldest`) are held back instead once HOLD_BYTES wait, and flushed when the rest is out.
"""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from chat_server.metrics import DROPPED
from chat_server.settings import Slow

HOLD_BYTES = 64 * 1024
RING_FRAMES = 64

T = TypeVar("T")


class Mailbox(Generic[T]):
    """`put` and `put_under` never await and never raise; `take` waits for something and takes all there is."""

    sink = None  # its items are one reader's own

    __slots__ = (
        "_drained",
        "_held",
        "_hold_bytes",
        "_is_woken",
        "_items",
        "_put",
        "_ready",
        "_taken",
        "_written",
        "capacity_bytes",
        "is_overrun",
        "size_bytes",
    )

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._hold_bytes = min(HOLD_BYTES, capacity_bytes // 2)
        self.size_bytes = 0
        self.is_overrun = False
        self._items: list[tuple[T, int]] = []
        self._held: dict[str, deque[tuple[T, int]]] = {}
        self._put = self._taken = self._written = 0  # items so far
        self._ready = asyncio.Event()
        self._drained = asyncio.Event()
        self._is_woken = False

    @property
    def is_empty(self) -> bool:
        return not self._items and not self._held

    def put(self, item: T, size: int) -> None:
        if self.is_overrun:
            return
        if self.size_bytes + size > self.capacity_bytes and self._items:
            self.overrun()
            return
        self._items.append((item, size))
        self._put += 1
        self.size_bytes += size
        self._ready.set()

    def put_under(self, slow: Slow, channel: str, item: T, size: int) -> None:
        """Put a publication under its namespace's policy for slow readers."""
        if slow == "close":
            self.put(item, size)
            return
        fits = not self._items or self.size_bytes + size <= self._hold_bytes
        if fits and channel not in self._held:
            self.put(item, size)
            return
        held = self._held.setdefault(channel, deque(maxlen=1 if slow == "latest" else RING_FRAMES))
        if len(held) == held.maxlen:
            DROPPED.inc()
        held.append((item, size))

    def overrun(self) -> None:
        """Too much waits: drop it all and wake the writer, who closes."""
        self.is_overrun = self._is_woken = True
        self._drained.set()
        self._items.clear()
        self._held.clear()
        self.size_bytes = 0
        self._ready.set()

    def end(self) -> None:
        """Nothing more comes."""
        self.wake()

    def wake(self) -> None:
        """The end is near: let `take` and `drained` answer whatever waits."""
        self._is_woken = True
        self._ready.set()
        self._drained.set()

    async def take(self) -> list[T]:
        """All that waits, in order; nothing after an overrun or `wake`."""
        self._written = self._taken
        self._drained.set()
        await self._ready.wait()
        self._ready.clear()
        taken = [item for item, _ in self._items]
        self._items.clear()
        self._taken = self._put
        self.size_bytes = 0
        for held in self._held.values():
            taken += [item for item, _ in held]
        self._held.clear()
        return taken

    async def drained(self) -> None:
        """Until the writer has written all that waits now and comes for more, or `wake`."""
        until = self._put
        while self._written < until and not self._is_woken:
            self._drained.clear()
            await self._drained.wait()
