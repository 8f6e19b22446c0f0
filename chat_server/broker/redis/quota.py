"""Token buckets that all workers share; without Redis, this worker's own."""

import asyncio
import time
from contextlib import suppress

from chat_server.broker.buckets import Buckets
from chat_server.broker.redis.commands import Commands, Keys
from chat_server.broker.redis.scripts import TAKE
from chat_server.errors import BrokerUnavailable
from chat_server.settings import Rate

CHUNK_OF_RATE = 50  # so many tokens of a bucket are fetched at once that fifty fetches use up its rate
ANSWER_S = 0.25  # a request does not wait longer than that to be counted
REST_S = 1.0  # and after that the next ones do not wait at all
KEPT = 10_000


class Quota:
    """Exact for small rates; of large ones a fiftieth is fetched at a time."""

    def __init__(self, commands: Commands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys
        self._own = Buckets(time.monotonic)
        self._fetched: dict[str, tuple[int, float]] = {}
        self._rests_until = 0.0

    async def take(self, bucket: str, rate: Rate) -> float:
        """0 and one is taken, or the seconds until there is one."""
        if not rate:
            return 0.0
        now = time.monotonic()
        left, until = self._fetched.get(bucket, (0, 0.0))
        if left and now < until:
            self._fetched[bucket] = (left - 1, until)
            return 0.0
        if now < self._rests_until:
            return self._own.take(bucket, rate)
        try:
            taken, wait_ms = await self._run(bucket, rate, max(1, rate.count // CHUNK_OF_RATE))
        except (BrokerUnavailable, TimeoutError):
            self._rests_until = time.monotonic() + REST_S
            return self._own.take(bucket, rate)
        if not taken:
            return max(wait_ms / 1000, 0.001)
        if taken > 1:
            self._keep(bucket, taken - 1, rate.per_s / CHUNK_OF_RATE)
        return 0.0

    async def give_back(self, bucket: str, rate: Rate) -> None:
        if rate:
            self._own.give_back(bucket, rate)
            with suppress(BrokerUnavailable, TimeoutError):
                await self._run(bucket, rate, -1)

    async def _run(self, bucket: str, rate: Rate, wanted: int) -> tuple[int, int]:
        async with asyncio.timeout(ANSWER_S):
            taken, wait_ms = await self._commands.script(
                TAKE, [self._keys.bucket(bucket)], rate.count, rate.per_s, wanted
            )
        return int(taken), int(wait_ms)

    def _keep(self, bucket: str, tokens: int, good_s: float) -> None:
        if len(self._fetched) > KEPT:
            self._fetched.clear()
        self._fetched[bucket] = (tokens, time.monotonic() + good_s)
