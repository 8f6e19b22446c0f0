"""Who waits for a writer, by lane. A lane is with one thread at a time, so what shares a lane keeps its order.

SQLite has one lane and one thread: a Line. On PostgreSQL each room is a lane, so that threads do not wait for each
other at a room's row while other rooms have something to do; a command without a room is a lane of its own.
"""

from collections import deque
from collections.abc import Hashable
from queue import SimpleQueue
from threading import Condition
from typing import Generic, TypeVar

T = TypeVar("T")


class Line(Generic[T]):
    """One lane for one thread. The event loop, which puts, never waits for a lock that the thread holds without the
    interpreter's: with Lanes it did, and a post cost it a seventh more.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: SimpleQueue[T | None] = SimpleQueue()  # None is the end
        self._is_closed = False

    def put(self, lane: Hashable, item: T) -> bool:
        """Whether it was taken in: not when the capacity is reached, nor after `close`."""
        if self._is_closed or self._waiting.qsize() >= self._capacity:
            return False
        self._waiting.put(item)
        return True

    def take(self, at_most: int) -> tuple[Hashable, list[T]] | None:
        """Wait for something and take what waits. None when nothing will come any more."""
        items: list[T] = []
        while not items or (len(items) < at_most and self._waiting.qsize()):
            item = self._waiting.get()
            if item is None:
                self._waiting.put(None)
                break
            items.append(item)
        return ("", items) if items else None

    def done(self, lane: Hashable) -> None:
        """Nobody else waits for it."""

    def close(self) -> None:
        """Nothing more comes in; what waits is still taken. By the thread that puts."""
        self._is_closed = True
        self._waiting.put(None)


class Lanes(Generic[T]):
    """Safe to use from any thread."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._change = Condition()
        self._waiting: dict[Hashable, deque[T]] = {}  # of a lane that is with a thread too
        self._ready: deque[Hashable] = deque()
        self._size = 0
        self._is_closed = False

    def put(self, lane: Hashable, item: T) -> bool:
        """Whether it was taken in: not when the capacity is reached, nor after `close`."""
        with self._change:
            if self._is_closed or self._size >= self._capacity:
                return False
            self._size += 1
            waiting = self._waiting.get(lane)
            if waiting is None:
                self._waiting[lane] = deque((item,))
                self._ready.append(lane)
                self._change.notify()
            else:
                waiting.append(item)
            return True

    def take(self, at_most: int) -> tuple[Hashable, list[T]] | None:
        """Wait for a lane and take what waits in it. None when nothing will come any more."""
        with self._change:
            while not self._ready:
                if self._is_closed and not self._waiting:
                    return None
                self._change.wait()
            lane = self._ready.popleft()
            waiting = self._waiting[lane]
            items = [waiting.popleft() for _ in range(min(at_most, len(waiting)))]
            self._size -= len(items)
            return lane, items

    def done(self, lane: Hashable) -> None:
        """What was taken from the lane is finished: the next thread may have it, after the lanes that wait already."""
        with self._change:
            if self._waiting[lane]:
                self._ready.append(lane)
            else:
                del self._waiting[lane]
            self._change.notify_all() if self._is_closed else self._change.notify()

    def close(self) -> None:
        """Nothing more comes in; what waits is still taken."""
        with self._change:
            self._is_closed = True
            self._change.notify_all()
