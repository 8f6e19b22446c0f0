"""Workers that share a broker, and what each of them hears. Another implementation joins by one line in BROKERS."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from chat_server.broker import Broker, Envelope
from chat_server.broker.memory import Hub, MemoryBroker
from chat_server.broker.redis.broker import RedisBroker
from chat_server.ids import UserId, new_id
from tests.cluster import engines
from tests.store.rig import until

NewBroker = Callable[[], Broker]
READY_S = 10.0


@contextmanager
def memory() -> Iterator[NewBroker]:
    hub = Hub()
    yield lambda: MemoryBroker(hub)


@contextmanager
def oldest_redis() -> Iterator[NewBroker]:
    with engines.oldest_redis() as engine:
        yield lambda: redis_at(engine.url)


@contextmanager
def valkey() -> Iterator[NewBroker]:
    with engines.valkey() as engine:
        yield lambda: redis_at(engine.url)


@contextmanager
def redis_with_tls() -> Iterator[NewBroker]:
    with engines.guarded() as found:
        yield lambda: redis_at(found.url)


@contextmanager
def cluster() -> Iterator[NewBroker]:
    with engines.cluster() as nodes:
        yield lambda: redis_at(nodes[0].url.replace("redis", "redis+cluster", 1))


@contextmanager
def sentinel() -> Iterator[NewBroker]:
    with engines.sentinel() as found:
        yield lambda: redis_at(found.url)


def redis_at(url: str) -> Broker:
    return RedisBroker(url, "chat", new_id())


BROKERS: list[Any] = [
    memory,
    valkey,
    pytest.param(oldest_redis, marks=pytest.mark.long),
    pytest.param(redis_with_tls, marks=pytest.mark.long),
    pytest.param(cluster, marks=pytest.mark.long),
    pytest.param(sentinel, marks=pytest.mark.long),
]


@dataclass
class Ear:
    """A Listener that keeps what it hears, and notices when it is called where it may not be."""

    envelopes: list[Envelope] = field(default_factory=list)
    signals: list[bytes] = field(default_factory=list)
    departures: list[UserId] = field(default_factory=list)
    gaps: int = 0
    burials: int = 0
    is_calling: bool = False
    thread: int = field(default_factory=threading.get_ident)

    def heard(self, envelope: Envelope) -> None:
        self._check()
        self.envelopes.append(envelope)

    def signalled(self, message: bytes) -> None:
        self._check()
        self.signals.append(message)

    def gap(self) -> None:
        self._check()
        self.gaps += 1

    def departed(self, user_ids: Sequence[UserId]) -> None:
        self._check()
        self.departures += user_ids

    def buried(self) -> None:
        self._check()
        self.burials += 1

    def payloads(self, channel: str) -> list[bytes]:
        return [envelope.payload for envelope in self.envelopes if envelope.channel == channel]

    def _check(self) -> None:
        assert threading.get_ident() == self.thread, "called beside the event loop"
        assert not self.is_calling, "called from within a call of the broker"


@dataclass(eq=False)
class End:
    """One worker's end of the broker."""

    broker: Broker
    ear: Ear

    async def hears(self, channel: str, *payloads: bytes) -> None:
        """Wait until the last of `payloads` is heard in the channel; then it must have been just these, in order."""
        await until(lambda: payloads[-1] in self.ear.payloads(channel), f"{payloads[-1]!r} in {channel}")
        assert self.ear.payloads(channel) == list(payloads)

    def publish(self, channel: str, payload: bytes, offset: int = 0) -> None:
        self.ear.is_calling = True
        self.broker.publish(Envelope(channel, "pub", payload, offset))
        self.ear.is_calling = False


@asynccontextmanager
async def end_of(broker: Broker) -> AsyncIterator[End]:
    """Enter the broker as a worker's lifespan does; what it published is out before it leaves."""
    ear = Ear()
    broker.listen(ear)
    async with broker:
        running = asyncio.create_task(broker.run())
        try:
            assert await broker.ready(READY_S)
            yield End(broker, ear)
            await broker.flushed()
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


@asynccontextmanager
async def ends(new_broker: NewBroker, count: int) -> AsyncIterator[list[End]]:
    """So many workers that share a broker."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(end_of(new_broker())) for _ in range(count)]


async def followed(channel: str, *workers: End) -> None:
    for worker in workers:
        await worker.broker.follow(channel)
