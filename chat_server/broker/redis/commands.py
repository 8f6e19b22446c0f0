"""Asking Redis: commands whose answer is waited for, within a bound, and the names of the keys."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from chat_server.broker.redis.scripts import Script
from chat_server.broker.redis.topology import COMMAND_S, LOST, Topology, heed_cancellation
from chat_server.errors import BrokerUnavailable

AT_ONCE = 16  # and so many connections: more would only wait in Redis, which answers one after another


@dataclass(frozen=True, slots=True)
class Keys:
    """Everything is under the prefix. What one script uses together shares the braces, so that it shares a slot."""

    prefix: str

    def channel(self, channel: str) -> str:
        return f"{self.prefix}:{{{channel}}}"

    def name_of(self, key: str) -> str:
        """The channel that `channel` was given."""
        return key[len(self.prefix) + 2 : -1]

    def stream(self, channel: str) -> list[str]:
        return [f"{self.prefix}:m:{{{channel}}}", f"{self.prefix}:s:{{{channel}}}"]

    def idempotency(self, channel: str, key: str) -> str:
        return f"{self.prefix}:i:{{{channel}}}:{key}"

    def presence(self, channel: str) -> str:
        return f"{self.prefix}:p:{{{channel}}}"

    def bucket(self, bucket: str) -> str:
        return f"{self.prefix}:b:{{{bucket}}}"

    @property
    def online(self) -> str:
        return f"{self.prefix}:{{online}}"

    @property
    def workers(self) -> list[str]:
        """Who beats, and a mark that is gone when Redis has forgotten everything."""
        return [f"{self.prefix}:{{online}}:workers", f"{self.prefix}:{{online}}:born"]


class Commands:
    """Both raise BrokerUnavailable: at once while the key's node is known to be away, else after COMMAND_S."""

    def __init__(self, topology: Topology, is_up_at: Callable[[str], bool]) -> None:
        self._topology = topology
        self._is_up_at = is_up_at
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(self, verb: str, key: str, *values: object) -> Any:
        return await self._answered(key, lambda: self._topology.commands.execute_command(verb, key, *values))

    async def script(self, script: Script, keys: Sequence[str], *values: object) -> Any:
        return await self._answered(keys[0], lambda: script.run(self._topology.commands, keys, *values))

    async def _answered(self, key: str, asked: Callable[[], Awaitable[Any]]) -> Any:
        if not self._is_up_at(key):
            raise BrokerUnavailable(retry_after_s=1.0)
        try:
            async with asyncio.timeout(COMMAND_S), self._turns:
                found = await asked()
        except LOST as error:
            heed_cancellation()
            raise BrokerUnavailable(retry_after_s=1.0) from error
        heed_cancellation()  # the library sends through `wait_for`
        return found
