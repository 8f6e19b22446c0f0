"""A channel as this worker follows it: its local subscribers, its position, and publications put back into order.

Laws, each a property test: a live subscriber hears offsets in order, without hole or repeat, from the position its join
answered. A publication that comes early waits; one that came already is dropped (so is the worker's own echo). What
comes in one turn of the loop is heard together, in the next (what a commit brings: at once); by a huge channel's
subscribers in slices, so that no other channel waits long; by each of them still in order.
"""

from typing import Protocol

from chat_server.ids import ClientId, UserId
from chat_server.realtime.batch import Batch
from chat_server.realtime.frames import Frame
from chat_server.settings import Slow

WAITING_FRAMES = 1024  # early ones kept per channel; beyond that the log is read anyway
SLICE_DELIVERIES = 400  # at once: 3-4 ms at 8 us each, a write to the kernel included
BACKLOG_FRAMES = 1024  # beyond that a channel is delivered at once: who publishes faster than it goes out waits


class Sink(Protocol):
    """Where a subscriber's publications go."""

    def deliver(self, batch: Batch) -> None:
        """Neither awaits, nor raises, nor lets anyone into or out of a channel."""


class Subscriber(Protocol):
    """A connection as the fan-out sees it. `sink` stays the same. None of these calls awaits or raises."""

    @property
    def client_id(self) -> ClientId: ...

    @property
    def user_id(self) -> UserId: ...

    @property
    def sink(self) -> Sink: ...

    def overrun(self) -> None:
        """It could not keep up: it is to be closed as slow."""


class Joining:
    """A subscriber on its way in. Frames collect until `go_live` says what its history reached."""

    __slots__ = ("_after", "_channel", "_held", "_held_bytes", "_limit_bytes", "_live", "subscriber")

    def __init__(self, channel: "LocalChannel", subscriber: Subscriber, limit_bytes: int) -> None:
        self._channel = channel
        self.subscriber = subscriber
        self._held: list[Frame] = []
        self._held_bytes = 0
        self._limit_bytes = limit_bytes
        self._live = False
        self._after = 0

    def collect(self, frame: Frame) -> None:
        if self._live:
            self._pass_on(frame)
        elif self._held_bytes > self._limit_bytes:
            self.subscriber.overrun()
        else:
            self._held.append(frame)
            self._held_bytes += frame.size

    def go_live(self, after: int) -> None:
        """The subscriber has everything up to `after`: deliver what collected beyond it, and all that follows.

        Nothing when it was put out of the channel meanwhile.
        """
        if not self._channel.is_joining(self):
            return
        self._live = True
        self._after = after
        held, self._held = self._held, []
        for frame in held:
            self._pass_on(frame)
        if self._channel.delivered >= after:
            self._channel.promote(self)

    def hear_out(self, frames: list[Frame]) -> None:
        """It has left: if it was answered already, it hears now what it would have heard next."""
        if self._live:
            for frame in frames:
                self._pass_on(frame)

    def _pass_on(self, frame: Frame) -> None:
        if frame.offset == 0 or frame.offset > self._after:
            self.subscriber.sink.deliver(self._channel.batch([frame]))
        if frame.offset >= self._after:
            self._channel.promote(self)


class LocalChannel:
    """`position` is the last offset accepted here, -1 until the first join has read where the channel stands.

    `began_at` is where that was: what is up to it was never delivered here. `delivered` is what all live subscribers
    have heard; it lags behind while there is a `backlog`. `slow` is its namespace's policy for slow readers.
    """

    __slots__ = (
        "_ahead",
        "_joining",
        "_live",
        "_waiting",
        "backlog",
        "began_at",
        "epoch",
        "is_durable",
        "name",
        "position",
        "slow",
    )

    def __init__(self, name: str, *, is_durable: bool, slow: Slow = "close") -> None:
        self.name = name
        self.is_durable = is_durable
        self.slow = slow
        self.position = self.began_at = -1
        self.epoch = ""
        self._live: dict[Subscriber, Sink] = {}
        self._joining: dict[Subscriber, Joining] = {}
        self._waiting: dict[int, Frame] = {}
        self.backlog: Backlog | None = None
        self._ahead = 0  # the highest offset heard, also of those that no longer fitted among the waiting

    def __len__(self) -> int:
        return len(self._live) + len(self._joining)

    def __contains__(self, subscriber: object) -> bool:
        return subscriber in self._live or subscriber in self._joining

    @property
    def live(self) -> tuple[Subscriber, ...]:
        return tuple(self._live)

    @property
    def joining(self) -> tuple[Subscriber, ...]:
        return tuple(self._joining)

    @property
    def delivered(self) -> int:
        return self.position if self.backlog is None else self.backlog.passed

    @property
    def is_known(self) -> bool:
        return self.position >= 0

    @property
    def has_hole(self) -> bool:
        """Whether something came early, so that something is missing."""
        return self.is_known and self._ahead > self.position

    def join(self, subscriber: Subscriber, limit_bytes: int) -> Joining:
        """Collect for `subscriber` from now on. It must not be in the channel yet."""
        assert subscriber not in self
        joining = self._joining[subscriber] = Joining(self, subscriber, limit_bytes)
        return joining

    def leave(self, subscriber: Subscriber) -> bool:
        """Whether it was here. It has heard then what was published until now."""
        joining = self._joining.pop(subscriber, None)
        was_live = self._live.pop(subscriber, None) is not None
        if self.backlog is not None and joining is not None:
            joining.hear_out(self.backlog.waiting)
        elif self.backlog is not None and was_live:
            self.backlog.hear_out(subscriber)
        return was_live or joining is not None

    def is_joining(self, joining: Joining) -> bool:
        return self._joining.get(joining.subscriber) is joining

    def promote(self, joining: Joining) -> None:
        if self.is_joining(joining):
            del self._joining[joining.subscriber]
            self._live[joining.subscriber] = joining.subscriber.sink

    def begin_at(self, position: int, epoch: str) -> list[Frame]:
        """The channel stands at `position`. Answers what waited beyond it and can be delivered now."""
        self.position = self.began_at = position
        self.epoch = epoch
        for offset in [offset for offset in self._waiting if offset <= position]:
            del self._waiting[offset]
        return self._in_order()

    def accept(self, frame: Frame) -> list[Frame]:
        """Answers what can be delivered now, in order: nothing for a repeat or an early one, several after a hole."""
        if frame.offset == 0:
            return [frame]
        if not self.is_known or frame.offset > self.position + 1:
            self._ahead = max(self._ahead, frame.offset)
            if len(self._waiting) < WAITING_FRAMES:
                self._waiting[frame.offset] = frame
            return []
        if frame.offset <= self.position:
            return []
        self.position = frame.offset
        return [frame, *self._in_order()] if self._waiting else [frame]

    def put(self, frames: list[Frame]) -> None:
        """To be heard by slices of the backlog. `frames` are the channel's next publications; at least one."""
        if self.backlog is None:
            first = frames[0].offset
            self.backlog = Backlog(self, first - 1 if first else self.position)
        self.backlog.add(frames)

    def batch(self, frames: list[Frame]) -> Batch:
        return Batch(self.name, frames, self.slow, self.epoch)

    def hearers(self, most: int) -> dict[Subscriber, Sink]:
        """The live subscribers: as they are now, when there are more than `most` or others are on their way in."""
        return self._live.copy() if self._joining or len(self._live) > most else self._live

    def collect(self, frames: list[Frame]) -> None:
        """For those on their way in: all of `frames`, though one of them may make its subscriber live."""
        for joining in tuple(self._joining.values()):
            for frame in frames:
                joining.collect(frame)

    def _in_order(self) -> list[Frame]:
        found = []
        while (frame := self._waiting.pop(self.position + 1, None)) is not None:
            self.position = frame.offset
            found.append(frame)
        return found


class Backlog:
    """What a channel's live subscribers are still to hear. All that is `waiting` goes to everyone in one pass, a slice
    at a time; what comes meanwhile waits for the next pass.

    `passed` is the offset that all of them have heard. Those on their way in collect at the beginning of a pass, so
    that whoever goes live during one hears the rest of it from nobody else.
    """

    __slots__ = ("_batch", "_channel", "_rest", "passed", "waiting")

    def __init__(self, channel: LocalChannel, passed: int) -> None:
        self._channel = channel
        self.passed = passed
        self.waiting: list[Frame] = []
        self._batch: Batch | None = None
        self._rest: dict[Subscriber, Sink] = {}

    @property
    def is_full(self) -> bool:
        return len(self.waiting) >= BACKLOG_FRAMES

    def add(self, frames: list[Frame]) -> None:
        self.waiting += frames

    def deliver_slice(self) -> int:
        """Answers the number of deliveries. After the last one the channel has no backlog any more."""
        batch = self._batch or self._begin_pass()
        rest, most = self._rest, _most(batch)
        if len(rest) > most:
            for _ in range(most):
                rest.popitem()[1].deliver(batch)
            return most * batch.count
        for sink in rest.values():
            sink.deliver(batch)
        self._end_pass(batch)
        return len(rest) * batch.count

    def hear_out(self, subscriber: Subscriber) -> None:
        """It has left: it hears now what it has not heard yet."""
        if self._batch is not None and self._rest.pop(subscriber, None) is not None:
            subscriber.sink.deliver(self._batch)
        if self.waiting:
            subscriber.sink.deliver(self._channel.batch(self.waiting.copy()))

    def _begin_pass(self) -> Batch:
        batch = self._batch = self._channel.batch(self.waiting)
        self.waiting = []
        self._rest = self._channel.hearers(_most(batch))
        self._channel.collect(batch.frames)
        return batch

    def _end_pass(self, batch: Batch) -> None:
        self.passed = max(self.passed, batch.offset)
        self._batch = None
        self._rest = {}
        if not self.waiting:
            self._channel.backlog = None


def _most(batch: Batch) -> int:
    """Who hear it in one slice."""
    return max(1, SLICE_DELIVERIES // batch.count)
