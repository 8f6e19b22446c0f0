"""Buckets that workers share through Redis: how long fetched tokens are good, and what happens without it."""

import asyncio
from collections.abc import Iterator

import pytest

from chat_server.broker.redis import quota
from chat_server.broker.redis.commands import Commands, Keys
from chat_server.broker.redis.quota import CHUNK_OF_RATE, REST_S, Quota
from chat_server.broker.redis.topology import topology_of
from chat_server.ids import new_id
from chat_server.settings import Rate
from tests.cluster import engines
from tests.cluster.engines import Engine
from tests.store.rig import awaited

FEW, MANY = Rate(2, 60.0), Rate(200, 20.0)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with engines.valkey() as found:
        yield found


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines that run tests are busy."""
    monkeypatch.setattr(quota, "ANSWER_S", 2.0)


class Asked:
    """A worker's quota. `times` counts how often it wanted to ask Redis, which is there or not."""

    def __init__(self, engine: Engine) -> None:
        self.is_up = True
        self.times = 0
        self._topology = topology_of(engine.url)
        self.quota = Quota(Commands(self._topology, self._count), Keys(new_id()))

    def _count(self, key: str) -> bool:
        self.times += 1
        return self.is_up

    async def close(self) -> None:
        await self._topology.close()


@awaited
async def test_tokens_of_a_large_rate_are_fetched_several_at_once_and_not_kept_for_later(engine: Engine) -> None:
    asked = Asked(engine)
    count = MANY.count // CHUNK_OF_RATE

    taken = [await asked.quota.take("b", MANY) for _ in range(count)]
    once = asked.times
    await asked.quota.take("b", MANY)
    await asyncio.sleep(MANY.per_s / CHUNK_OF_RATE)  # so long they are good
    await asked.quota.take("b", MANY)
    await asked.close()

    assert taken == [0.0] * count
    assert (once, asked.times) == (1, 3)


@awaited
async def test_without_redis_a_worker_counts_alone_and_asks_no_more_for_a_while(engine: Engine) -> None:
    asked = Asked(engine)
    asked.is_up = False

    waits = [await asked.quota.take("b", FEW) for _ in range(4)]
    once = asked.times
    await asyncio.sleep(REST_S)
    asked.is_up = True
    again = await asked.quota.take("b", FEW)
    await asked.close()

    assert waits[:2] == [0.0, 0.0]
    assert min(waits[2:]) > 0
    assert (once, asked.times) == (1, 2)
    assert again == 0.0


@awaited
async def test_what_is_given_back_without_redis_can_be_taken_again(engine: Engine) -> None:
    asked = Asked(engine)
    asked.is_up = False
    for _ in range(2):
        await asked.quota.take("b", FEW)

    await asked.quota.give_back("b", FEW)

    assert await asked.quota.take("b", FEW) == 0.0
    assert await asked.quota.take("b", FEW) > 0
    await asked.close()
