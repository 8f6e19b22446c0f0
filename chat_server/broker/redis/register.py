"""Who is where, over all workers. Each beats once a second; whoever has not beaten for LEASE_S is gone.

What could not be told while Redis was away is kept, and told with the first beat that succeeds.
"""

import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chat_server.broker.redis.commands import Commands, Keys
from chat_server.broker.redis.pipeline import Pipeline
from chat_server.broker.redis.scripts import BEAT, BURY, ENTER, MOVE
from chat_server.errors import BrokerUnavailable
from chat_server.ids import UserId

logger = logging.getLogger(__name__)

LEASE_S = 3.0
PRESENCE_S = 2 * 3600
RENEW_S = 3600.0
AT_ONCE = 200  # users of one command, times the workers
PAGE = 500


class Register:
    """One worker's entries and its view of the others'. `beat` is called once a second."""

    def __init__(self, commands: Commands, keys: Keys, pipeline: Pipeline, name: str) -> None:
        self._commands = commands
        self._keys = keys
        self._pipeline = pipeline
        self._name = name
        self._entered: dict[tuple[str, str], bytes] = {}
        self._departed: set[tuple[str, str]] = set()
        self._users: set[UserId] = set()
        self._gone: set[UserId] = set()
        self._born = b""
        self._owes_burial = True  # of those who died before this worker began
        self._renewed_at = time.monotonic()
        self.alive: set[str] = {name}

    async def enter(self, channel: str, client_id: str, info: bytes) -> None:
        self._entered[channel, client_id] = info
        self._departed.discard((channel, client_id))
        try:
            key = self._keys.presence(channel)
            await self._commands.script(ENTER, [key], client_id, self._value(info), PRESENCE_S)
        except BrokerUnavailable:
            self._pipeline.owes_presence = True

    async def depart(self, channel: str, client_id: str) -> None:
        if self._entered.pop((channel, client_id), None) is None:
            return
        try:
            await self._commands.ask("HDEL", self._keys.presence(channel), client_id)
        except BrokerUnavailable:
            self._departed.add((channel, client_id))
            self._pipeline.owes_presence = True

    async def present(self, channel: str) -> Mapping[str, bytes]:
        """Those of workers alive; the others are taken out on the way."""
        key = self._keys.presence(channel)
        found = {client: value.partition(b" ") for client, value in _pairs(await self._commands.ask("HGETALL", key))}
        if {worker.decode() for worker, _, _ in found.values()} - self.alive:
            await self.learn()
        inside = {client: info for client, (worker, _, info) in found.items() if worker.decode() in self.alive}
        if ghosts := found.keys() - inside.keys():
            self._pipeline.put(key, "HDEL", key, *ghosts)
        return {client.decode(): info for client, info in inside.items()}

    async def arrive(self, user_id: UserId) -> bool:
        self._users.add(user_id)
        self._gone.discard(user_id)
        try:
            return await self._move(user_id, 1)
        except BrokerUnavailable:
            self._pipeline.owes_presence = True
            raise

    async def go(self, user_id: UserId) -> bool:
        self._users.discard(user_id)
        try:
            return await self._move(user_id, -1)
        except BrokerUnavailable:
            self._gone.add(user_id)
            self._pipeline.owes_presence = True
            raise

    async def online(self, user_ids: Sequence[UserId]) -> set[UserId]:
        workers = sorted(self.alive)
        found: set[UserId] = set()
        for start in range(0, len(user_ids), AT_ONCE):
            part = user_ids[start : start + AT_ONCE]
            fields = [f"{user_id}/{worker}" for user_id in part for worker in workers]
            values = await self._commands.ask("HMGET", self._keys.online, *fields)
            found |= {part[index // len(workers)] for index, value in enumerate(values) if value is not None}
        return found

    async def beat(
        self, on_loss: Callable[[], None], on_departed: Callable[[list[UserId]], None], on_buried: Callable[[], None]
    ) -> None:
        """This worker lives, who else does, and what is owed after an outage is paid. Raises nothing."""
        before = self.alive
        try:
            was_buried = await self.learn()
            if gone := before - self.alive:
                logger.warning("broker.workers_gone", extra={"count": len(gone)})
                self._owes_burial = True
                on_loss()
            if self._pipeline.owes_presence or was_buried or time.monotonic() - self._renewed_at > RENEW_S:
                await self._renew()
            if was_buried:
                on_buried()
            if self._owes_burial and self._name == min(self.alive):
                self._owes_burial = False
                if found := await self._bury():
                    on_departed(found)
        except BrokerUnavailable:
            return

    async def learn(self) -> bool:
        """Beat, and learn who else does. Answers whether the others have taken this worker for dead meanwhile.

        While Redis is away, whoever lived before it went is taken to live on. BrokerUnavailable.
        """
        found = await self._commands.script(
            BEAT, self._keys.workers, self._name, int(LEASE_S * 1000), secrets.token_hex(4)
        )
        is_unknown, born = found[0] == b"1", found[1]
        was_buried = bool(is_unknown and self._born == born)
        if is_unknown:
            self._pipeline.owes_presence = True  # new here, taken for dead, or Redis has forgotten everything
        self._born = born
        self.alive = {worker.decode() for worker in found[2:]} | {self._name}
        return was_buried

    async def _move(self, user_id: UserId, delta: int) -> bool:
        others = sorted(self.alive - {self._name})
        return not await self._commands.script(MOVE, [self._keys.online], delta, user_id, self._name, *others)

    async def _renew(self) -> None:
        """Write everything again, and take out what ended while it could not be told. BrokerUnavailable."""
        self._pipeline.owes_presence = False
        self._renewed_at = time.monotonic()
        try:
            for user_id in tuple(self._gone):
                await self._commands.ask("HDEL", self._keys.online, f"{user_id}/{self._name}")
                self._gone.discard(user_id)
            for channel, client_id in tuple(self._departed):
                await self._commands.ask("HDEL", self._keys.presence(channel), client_id)
                self._departed.discard((channel, client_id))
        except BrokerUnavailable:
            self._pipeline.owes_presence = True
            raise
        for user_id in self._users:
            self._pipeline.put(self._keys.online, "HSET", self._keys.online, f"{user_id}/{self._name}", "1")
        for (channel, client_id), info in self._entered.items():
            key = self._keys.presence(channel)
            self._pipeline.put(key, "HSET", key, client_id, self._value(info))
            self._pipeline.put(key, "EXPIRE", key, PRESENCE_S)

    async def _bury(self) -> list[UserId]:
        """Take the people of dead workers off the register, and answer who they were. BrokerUnavailable."""
        found: list[UserId] = []
        cursor = 0
        try:
            while True:
                at, fields = await self._commands.ask("HSCAN", self._keys.online, cursor, "COUNT", PAGE)
                names = [name for name, _ in _pairs(fields)]
                strangers = [name for name in names if name.rpartition(b"/")[2].decode() not in self.alive]
                if strangers:
                    keys = [self._keys.workers[0], self._keys.online]
                    dead = await self._commands.script(BURY, keys, int(LEASE_S * 1000), *strangers)
                    found += [UserId(name.rpartition(b"/")[0].decode()) for name in dead]
                cursor = int(at)
                if cursor == 0:
                    return found
        except BrokerUnavailable:
            self._owes_burial = True
            raise

    def _value(self, info: bytes) -> bytes:
        return self._name.encode() + b" " + info


def _pairs(found: Any) -> list[tuple[bytes, bytes]]:
    """A hash, as the library gives it."""
    if isinstance(found, Mapping):
        return list(found.items())
    return list(zip(found[::2], found[1::2], strict=True))
