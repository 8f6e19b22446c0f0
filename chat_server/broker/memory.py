"""The broker of one process: workers in it share a `Hub`. Nothing leaves the process, nothing survives it."""

import asyncio
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Self

from chat_server.broker import Envelope, Keep, Kind, Listener, Stream
from chat_server.broker.buckets import Buckets
from chat_server.ids import UserId
from chat_server.settings import Rate

IDEMPOTENCY_S = 300.0
EPOCH_S = 86400.0  # a quiet stream's offsets go on for a day, though what it held is gone sooner
SWEEP_AT = 1024  # appends and new streams between looks for what has outlived its time
EMPTY_STREAMS = 10_000  # that were looked at and never published to; clients choose the names they look at


class _Stream:
    """What it holds lasts until `stale_at`, moved by every append; where it stands lasts until `expires_at`."""

    __slots__ = ("epoch", "expires_at", "items", "stale_at", "top")

    def __init__(self, expires_at: float) -> None:
        self.epoch = secrets.token_hex(4)
        self.top = 0
        self.items: deque[tuple[int, bytes]] = deque()
        self.stale_at = 0.0
        self.expires_at = expires_at


class Hub:
    """What the brokers of one process share."""

    def __init__(self) -> None:
        self.brokers: list[MemoryBroker] = []
        self.streams: dict[str, _Stream] = {}
        self.appended: OrderedDict[tuple[str, str], tuple[Stream, float]] = OrderedDict()  # by channel and key
        self.present: dict[str, dict[str, bytes]] = {}
        self.online: dict[UserId, set[MemoryBroker]] = {}
        self.buckets = Buckets(time.monotonic)
        self.changes = 0


class MemoryBroker:
    """One worker's end. Always up; a call of the listener follows in the loop's next turn, as with a real broker."""

    is_up = True

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub or Hub()
        self._followed: set[str] = set()
        self._entered: set[tuple[str, str]] = set()
        self._listener: Listener | None = None

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._hub.brokers.append(self)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._hub.brokers.remove(self)
        for channel, client_id in tuple(self._entered):
            await self.depart(channel, client_id)
        mine = [user_id for user_id, brokers in self._hub.online.items() if self in brokers]
        for user_id in mine:
            await self.go(user_id)
        if mine and self._hub.brokers and (heir := self._hub.brokers[0])._listener is not None:
            heir._loop.call_soon(heir._listener.departed, mine)

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def ready(self, within_s: float) -> bool:
        return True

    async def flushed(self) -> None:
        return None

    def publish(self, envelope: Envelope) -> None:
        for broker in self._hub.brokers:
            if broker is not self:
                broker._hear(envelope)

    def signal(self, message: bytes) -> None:
        for broker in self._hub.brokers:
            if broker is not self and broker._listener is not None:
                broker._loop.call_soon(broker._listener.signalled, message)

    async def follow(self, channel: str) -> None:
        self._followed.add(channel)

    def unfollow(self, channel: str) -> None:
        self._followed.discard(channel)

    async def append(self, channel: str, payload: bytes, keep: Keep | None, idempotency_key: str = "") -> Stream:
        now = time.monotonic()
        self._sweep(now)
        epoch = "" if keep is None else self._stream(channel, now).epoch
        known, known_until = self._hub.appended.get((channel, idempotency_key), (None, 0.0))
        if known is not None and known_until > now and known.epoch == epoch:
            return known
        answer = Stream("", 0) if keep is None else self._kept(channel, payload, keep, now)
        if idempotency_key:
            self._hub.appended[channel, idempotency_key] = (answer, now + IDEMPOTENCY_S)
            self._hub.appended.move_to_end((channel, idempotency_key))
        self._tell_all(Envelope(channel, "pub", payload, answer.top, answer.epoch))
        return answer

    async def announce(self, channel: str, kind: Kind, payload: bytes) -> None:
        self._tell_all(Envelope(channel, kind, payload))

    async def history(self, channel: str, since: int, limit: int, *, reverse: bool = False) -> Stream:
        stream = self._stream(channel, time.monotonic())
        if reverse:
            items = (item for item in reversed(stream.items) if not since or item[0] < since)
        else:
            items = (item for item in stream.items if item[0] > since)
        return Stream(stream.epoch, stream.top, tuple(islice(items, limit)))  # a join asks for none of them

    async def forget(self, channel: str) -> None:
        self._hub.streams.pop(channel, None)

    @property
    def peers(self) -> int:
        return len(self._hub.brokers) - 1

    async def enter(self, channel: str, client_id: str, info: bytes) -> None:
        self._hub.present.setdefault(channel, {})[client_id] = info
        self._entered.add((channel, client_id))

    async def depart(self, channel: str, client_id: str) -> None:
        self._entered.discard((channel, client_id))
        inside = self._hub.present.get(channel)
        if inside is not None:
            inside.pop(client_id, None)
            if not inside:
                del self._hub.present[channel]

    async def present(self, channel: str) -> Mapping[str, bytes]:
        return dict(self._hub.present.get(channel, {}))

    async def arrive(self, user_id: UserId) -> bool:
        brokers = self._hub.online.setdefault(user_id, set())
        was_nowhere = not brokers
        brokers.add(self)
        return was_nowhere

    async def go(self, user_id: UserId) -> bool:
        brokers = self._hub.online.get(user_id, set())
        brokers.discard(self)
        if not brokers:
            self._hub.online.pop(user_id, None)
        return not brokers

    async def online(self, user_ids: Sequence[UserId]) -> set[UserId]:
        return {user_id for user_id in user_ids if user_id in self._hub.online}

    async def take(self, bucket: str, rate: Rate) -> float:
        return self._hub.buckets.take(bucket, rate)

    async def give_back(self, bucket: str, rate: Rate) -> None:
        self._hub.buckets.give_back(bucket, rate)

    def _tell_all(self, envelope: Envelope) -> None:
        for broker in self._hub.brokers:
            broker._hear(envelope)

    def _hear(self, envelope: Envelope) -> None:
        if envelope.channel in self._followed and self._listener is not None:
            self._loop.call_soon(self._listener.heard, envelope)

    def _kept(self, channel: str, payload: bytes, keep: Keep, now: float) -> Stream:
        stream = self._stream(channel, now)
        stream.top += 1
        stream.items.append((stream.top, payload))
        while len(stream.items) > keep.size:
            stream.items.popleft()
        stream.stale_at = now + keep.ttl_s
        stream.expires_at = now + max(keep.ttl_s, EPOCH_S)
        return Stream(stream.epoch, stream.top)

    def _stream(self, channel: str, now: float) -> _Stream:
        stream = self._hub.streams.get(channel)
        if stream is None or stream.expires_at <= now:
            self._sweep(now)
            stream = self._hub.streams[channel] = _Stream(now + EPOCH_S)
        if stream.stale_at <= now:
            stream.items.clear()
        return stream

    def _sweep(self, now: float) -> None:
        """Now and then drop what has outlived its time, and the oldest of too many streams that only were looked at."""
        hub = self._hub
        hub.changes += 1
        while hub.appended and next(iter(hub.appended.values()))[1] <= now:
            hub.appended.popitem(last=False)
        if hub.changes % SWEEP_AT:
            return
        for channel in [name for name, stream in hub.streams.items() if stream.expires_at <= now]:
            del hub.streams[channel]
        followed = set().union(*(broker._followed for broker in hub.brokers))
        empty = [name for name, stream in hub.streams.items() if not stream.top and name not in followed]
        for channel in empty[:-EMPTY_STREAMS]:
            del hub.streams[channel]
