"""One stream of server-sent events: what it follows, where it stands, and the chunks that wait to be written."""

import random
from typing import Protocol

from chat_server.actor import Actor
from chat_server.errors import EXPIRED, INSUFFICIENT_STATE, SHUTDOWN, SLOW, CloseCode, UnsubscribeCode
from chat_server.gateway import cursor
from chat_server.ids import ClientId, UserId, new_id
from chat_server.metrics import SLOW_CONSUMERS
from chat_server.realtime.batch import Batch
from chat_server.realtime.channel import Sink
from chat_server.realtime.resume import Asked
from chat_server.realtime.wheel import Wheel
from chat_server.settings import Namespace, Slow
from chat_server.wire import encode

RETRY_MS = 2000
NEVER = float("inf")


class Chunks(Protocol):
    """Where a stream's chunks wait for their reader: a Mailbox, or a DirectStream. Only `drained` awaits.

    `sink`: what a stream's only channel may be delivered to itself, if there is such a thing.
    """

    capacity_bytes: int
    is_overrun: bool

    @property
    def sink(self) -> Sink | None: ...

    @property
    def size_bytes(self) -> int: ...

    def put(self, item: bytes, size: int) -> None: ...

    def put_under(self, slow: Slow, channel: str, item: bytes, size: int) -> None: ...

    async def drained(self) -> None:
        """Until little waits, or the stream has ended."""

    def end(self) -> None:
        """Nothing more comes."""


class Stream:
    """A connection of the manager. `positions` has the channels whose publications have offsets."""

    __slots__ = (
        "_is_single",
        "_wheel",
        "actor",
        "channels",
        "client_id",
        "closing",
        "mailbox",
        "pending",
        "positions",
        "rules",
        "wake_at",
    )

    def __init__(self, actor: Actor, channels: list[str], mailbox: Chunks, wheel: Wheel) -> None:
        self.client_id = ClientId(new_id())
        self.actor = actor
        self.channels: set[str] = set()
        self.pending: set[str] = set()
        self.rules: dict[str, Namespace] = {}
        self.positions: dict[str, Asked] = {}
        self.mailbox = mailbox
        self.closing: CloseCode | None = None
        self.wake_at = NEVER
        self._wheel = wheel
        self._is_single = len(channels) == 1

    @property
    def user_id(self) -> UserId:
        return self.actor.user_id

    @property
    def sink(self) -> Sink:
        """Where a stream has one channel only, all who follow that hear the same."""
        return self.mailbox.sink or self if self._is_single else self

    def deliver(self, batch: Batch) -> None:
        if self.closing is not None:
            return
        for frame in batch.publications:
            event = frame.sse
            if frame.offset:
                self.moved_to(batch.channel, batch.epoch, frame.offset)
                event += b"id: %s\n" % self._id()
            self.mailbox.put_under(batch.slow, batch.channel, event + b"\n", len(event))
        if self.mailbox.is_overrun:
            self.overrun()

    def tell(self, event: str, fields: dict[str, object], *, with_id: bool = False) -> None:
        """An event of the stream's own."""
        chunk = b"event: %s\ndata: %s\n" % (event.encode(), encode({"type": event, **fields}))
        if with_id and self.positions:
            chunk += b"id: %s\n" % self._id()
        self.mailbox.put(chunk + b"\n", len(chunk))

    def overrun(self) -> None:
        if self.closing is None:
            SLOW_CONSUMERS.inc()
            self.close(SLOW)

    def lost(self, channel: str, code: UnsubscribeCode) -> None:
        """A channel that must be read anew ends the stream, which resumes; one that is lost is left out from now on."""
        if code.resubscribe:
            self.close(INSUFFICIENT_STATE)
            return
        self.positions.pop(channel, None)
        self.tell("stream.lost", {"channel": channel, "code": code.code, "reason": code.reason})
        if not self.channels:
            self.close(code_of_loss(code))

    def close(self, code: CloseCode) -> None:
        """Say why where the client should know, then end."""
        if self.closing is not None:
            return
        if code.code == EXPIRED.code:
            self.tell("stream.expired", {})
        elif not code.reconnect:
            self.tell("stream.revoked", {"reason": code.reason})
        elif code.code == SHUTDOWN.code:
            retry = b"retry: %d\n\n" % random.randint(500, 5000)  # noqa: S311  so that not all come back at once
            self.mailbox.put(retry, len(retry))
        self.closing = code
        self.mailbox.end()

    def leave(self, code: CloseCode) -> None:
        self.close(code)

    def wake(self, now: float) -> None:
        if now >= self.wake_at:
            self.wake_at = NEVER
            self.close(EXPIRED)

    def expire_in(self, seconds: float | None) -> None:
        self.wake_at = NEVER if seconds is None else self._wheel.now + seconds
        self._wheel.watch(self)

    def moved_to(self, channel: str, epoch: str, offset: int) -> None:
        self.positions[channel] = Asked(epoch, offset)

    def _id(self) -> bytes:
        if self._is_single:
            for asked in self.positions.values():
                return cursor.single(asked.epoch, asked.offset)
        return cursor.several(self.positions)


def code_of_loss(code: UnsubscribeCode) -> CloseCode:
    """A stream that follows nothing any more is not to be opened again."""
    return CloseCode(3507, code.reason)
