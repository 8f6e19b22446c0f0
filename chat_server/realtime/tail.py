"""The recent publications of a channel, kept in memory while it has local subscribers.

A tail holds an unbroken run of offsets up to the channel's position, or nothing. So a reconnect storm recovers from
memory, and what it answers equals what the log would.
"""

from collections import OrderedDict, deque

from chat_server.realtime.frames import Frame

CHANNEL_PUBLICATIONS = 300
CHANNEL_BYTES = 256 * 1024
WORKER_BYTES = 64 * 1024 * 1024


class Tail:
    """One channel's. Only `TailMemory` makes and feeds it."""

    __slots__ = ("frames", "size_bytes")

    def __init__(self) -> None:
        self.frames: deque[Frame] = deque()
        self.size_bytes = 0

    def after(self, offset: int, position: int) -> list[Frame] | None:
        """The frames after `offset` up to `position`; None when the tail does not reach back that far."""
        if offset == position:
            return []
        if not self.frames or self.frames[0].offset > offset + 1:
            return None
        return [frame for frame in self.frames if frame.offset > offset]


class TailMemory:
    """All tails of a worker, within one bound: the channel that was quiet longest loses its tail first."""

    def __init__(self, capacity_bytes: int = WORKER_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._tails: OrderedDict[str, Tail] = OrderedDict()
        self.size_bytes = 0

    def tail_of(self, channel: str) -> Tail:
        return self._tails.get(channel) or Tail()

    def add(self, channel: str, frame: Frame) -> None:
        """`frame` is the channel's next publication."""
        tail = self._tails.get(channel)
        if tail is None:
            tail = self._tails[channel] = Tail()
        if tail.frames and tail.frames[-1].offset + 1 != frame.offset:
            self._shrink(tail, 0, 0)
        tail.frames.append(frame)
        tail.size_bytes += frame.size
        self.size_bytes += frame.size
        self._shrink(tail, CHANNEL_PUBLICATIONS, CHANNEL_BYTES)
        self._tails.move_to_end(channel)
        while self.size_bytes > self._capacity_bytes:
            self.drop(next(iter(self._tails)))

    def drop(self, channel: str) -> None:
        tail = self._tails.pop(channel, None)
        if tail is not None:
            self._shrink(tail, 0, 0)

    def _shrink(self, tail: Tail, publications: int, size_bytes: int) -> None:
        while len(tail.frames) > publications or tail.size_bytes > size_bytes:
            gone = tail.frames.popleft()
            tail.size_bytes -= gone.size
            self.size_bytes -= gone.size
