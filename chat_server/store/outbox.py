"""The order in which commits leave, when several threads commit: of one channel always by offset.

A commit is announced when it has its offsets and still holds its channels' rows, so announcements of one channel come
in the order of offsets. It leaves when it is settled and nothing announced before it in any of its channels is not.
"""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


class Outbox(Generic[T]):
    """Safe to use from any thread. `send` is called in order, must not block, and must not come back here."""

    def __init__(self, send: Callable[[T], None]) -> None:
        self._send = send
        self._lock = Lock()
        self._announced: dict[str, deque[Parcel[T]]] = {}

    def announce(self, channels: Iterable[str]) -> "Parcel[T]":
        parcel: Parcel[T] = Parcel(frozenset(channels))
        with self._lock:
            for channel in parcel.channels:
                self._announced.setdefault(channel, deque()).append(parcel)
        return parcel

    def settle(self, parcel: "Parcel[T]", content: T) -> None:
        """It is committed, or failed: `content` leaves as soon as it is its turn."""
        with self._lock:
            parcel.content = content
            self._release(parcel)

    def _release(self, parcel: "Parcel[T]") -> None:
        waiting = [parcel]
        while waiting:
            first = waiting.pop()
            if first.content is None or any(self._announced[name][0] is not first for name in first.channels):
                continue
            content, first.content = first.content, None
            self._send(content)
            for name in first.channels:
                behind = self._announced[name]
                behind.popleft()
                if behind:
                    waiting.append(behind[0])
                else:
                    del self._announced[name]


class Parcel(Generic[T]):
    """What one transaction sends. Its content comes when the transaction is over."""

    __slots__ = ("channels", "content")

    def __init__(self, channels: frozenset[str]) -> None:
        self.channels = channels
        self.content: T | None = None
