"""What a process that is no worker, the command line say, tells the workers by Redis."""

from collections.abc import Iterator

import pytest

from chat_server.broker import Envelope
from chat_server.broker.redis.broker import RedisBroker
from chat_server.broker.redis.messages import tell
from chat_server.errors import BrokerUnavailable
from chat_server.ids import new_id
from tests.cluster import engines
from tests.contracts.brokers import end_of
from tests.store.rig import awaited, until


@pytest.fixture(params=["one node", pytest.param("cluster", marks=pytest.mark.long)], scope="module")
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "cluster":
        with engines.cluster() as nodes:
            yield nodes[0].url.replace("redis", "redis+cluster", 1)
    else:
        with engines.valkey() as engine:
            yield engine.url


@awaited
async def test_every_worker_hears_what_is_told_from_outside(url: str) -> None:
    prefix = new_id()
    told = Envelope("room:r", "pub", b'{"n":1}', 7)
    async with end_of(RedisBroker(url, prefix, new_id())) as ann, end_of(RedisBroker(url, prefix, new_id())) as bob:
        for worker in (ann, bob):
            await worker.broker.follow("room:r")

        await tell(url, prefix, [told], [b"logged out"])

        for worker in (ann, bob):
            await until(lambda worker=worker: worker.ear.envelopes == [told], "the event")
            await until(lambda worker=worker: worker.ear.signals == [b"logged out"], "the signal")


@awaited
async def test_it_is_said_when_nobody_can_be_told() -> None:
    with pytest.raises(BrokerUnavailable):
        await tell("redis://127.0.0.1:1", "p", [], [b"logged out"])
