"""RedisBroker: the broker's contract on Redis or Valkey."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Self, cast

from chat_server.broker import Envelope, Keep, Kind, Listener, Stream
from chat_server.broker.redis.commands import Commands, Keys
from chat_server.broker.redis.messages import EVERYONE, SIGNALS, VERSION, message_of, signal_of
from chat_server.broker.redis.pipeline import Pipeline
from chat_server.broker.redis.quota import Quota
from chat_server.broker.redis.receiver import Receiver
from chat_server.broker.redis.register import Register
from chat_server.broker.redis.scripts import APPEND, POSITION
from chat_server.broker.redis.topology import LOST, topology_of
from chat_server.errors import BrokerUnavailable
from chat_server.ids import UserId

logger = logging.getLogger(__name__)

IDEMPOTENCY_S = 300
EPOCH_S = 86400  # a quiet stream's offsets go on for a day, though what it held is gone sooner
BEAT_S = 1.0
GAP = b"gap"


class RedisBroker:
    """One worker's end. `name` is the worker's, new at every start."""

    def __init__(self, url: str, prefix: str, name: str) -> None:
        self._topology = topology_of(url)
        self._keys = Keys(prefix)
        self._sender = name.encode()
        self._verb = "SPUBLISH" if self._topology.is_sharded else "PUBLISH"
        self._pipeline = Pipeline(self._topology)
        self._receiver = Receiver(
            self._topology, f"{prefix}:{{self-{name}", self._send_probe, self._on_message, self._on_gap
        )
        self._commands = Commands(self._topology, self._receiver.is_up_at)
        self._register = Register(self._commands, self._keys, self._pipeline, name)
        self._quota = Quota(self._commands, self._keys)
        self._listener: Listener | None = None
        self.enter = self._register.enter
        self.depart = self._register.depart
        self.present = self._register.present
        self.arrive = self._register.arrive
        self.go = self._register.go
        self.online = self._register.online
        self.take = self._quota.take
        self.give_back = self._quota.give_back

    @property
    def is_up(self) -> bool:
        return self._receiver.is_up

    @property
    def peers(self) -> int:
        return len(self._register.alive) - 1

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Say good-bye, so that the others need not wait for the lease: this worker's people and clients go with it."""
        with suppress(*LOST):
            async with asyncio.timeout(BEAT_S):
                await self._topology.commands.execute_command("ZREM", self._keys.workers[0], self._sender)
        await self._topology.close()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for work in (self._pipeline.run(), self._receiver.run(), self._beat()):
                tasks.create_task(work)

    async def ready(self, within_s: float) -> bool:
        """Whether it is up, waited for so long; the signals are followed from then on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.is_up:  # noqa: ASYNC110  once, at the start
                    await asyncio.sleep(0.01)
        with suppress(BrokerUnavailable):
            await self._receiver.follow(self._keys.channel(SIGNALS))
            await self._register.learn()
        return self.is_up

    async def flushed(self) -> None:
        await self._pipeline.flushed()

    def publish(self, envelope: Envelope) -> None:
        key = self._keys.channel(envelope.channel)
        if self._receiver.is_up_at(key):
            self._put(key, message_of(envelope, self._sender))
        else:
            self._pipeline.owes_gap = True  # the event log has it, and the others poll it while there is no broker

    def signal(self, message: bytes) -> None:
        self._put(self._keys.channel(SIGNALS), signal_of(message, self._sender))

    async def follow(self, channel: str) -> None:
        await self._receiver.follow(self._keys.channel(channel))

    def unfollow(self, channel: str) -> None:
        self._receiver.unfollow(self._keys.channel(channel))

    async def append(self, channel: str, payload: bytes, keep: Keep | None, idempotency_key: str = "") -> Stream:
        if keep is None:
            await self._tell(channel, payload, idempotency_key)
            return Stream("", 0)
        has_key = "1" if idempotency_key else "0"
        found = await self._commands.script(
            APPEND,
            [*self._keys.stream(channel), self._keys.idempotency(channel, idempotency_key)],
            self._keys.channel(channel),
            self._verb,
            b"%s pub %s " % (VERSION, EVERYONE),
            payload,
            keep.size,
            keep.ttl_s,
            max(EPOCH_S, keep.ttl_s),
            IDEMPOTENCY_S,
            has_key,
            secrets.token_hex(4),
        )
        return Stream(found[0].decode(), found[1])

    async def announce(self, channel: str, kind: Kind, payload: bytes) -> None:
        self._put(self._keys.channel(channel), message_of(Envelope(channel, kind, payload)))

    async def history(self, channel: str, since: int, limit: int, *, reverse: bool = False) -> Stream:
        keys = self._keys.stream(channel)
        epoch, top = await self._commands.script(POSITION, keys, secrets.token_hex(4), EPOCH_S)
        if not limit:
            return Stream(epoch.decode(), top)
        if reverse:
            rows = await self._commands.ask("XREVRANGE", keys[1], f"({since}-0" if since else "+", "-", "COUNT", limit)
        else:
            rows = await self._commands.ask("XRANGE", keys[1], f"({since}-0" if since else "-", "+", "COUNT", limit)
        items = tuple((int(row[0].partition(b"-")[0]), _field(row[1])) for row in rows or ())
        return Stream(epoch.decode(), max(top, *(offset for offset, _ in items)) if items else top, items)

    async def forget(self, channel: str) -> None:
        await self._commands.ask("DEL", *self._keys.stream(channel))

    async def _tell(self, channel: str, payload: bytes, idempotency_key: str) -> None:
        """A publication that is not kept."""
        key = self._keys.channel(channel)
        if not self._receiver.is_up_at(key):
            raise BrokerUnavailable(retry_after_s=1.0)
        if idempotency_key:
            once = self._keys.idempotency(channel, idempotency_key)
            if await self._commands.ask("SET", once, "0", "NX", "EX", IDEMPOTENCY_S) is None:
                return
        self._put(key, message_of(Envelope(channel, "pub", payload)))

    def _put(self, key: str, message: bytes) -> None:
        self._pipeline.put(key, self._verb, key, message)

    def _send_probe(self, key: str) -> None:
        self._put(key, VERSION)

    def _on_message(self, key: str, data: bytes) -> None:
        version, kind, sender, offset, epoch, payload = (*data.split(b" ", 5), b"", b"", b"", b"", b"")[:6]
        if sender == self._sender:
            return
        if version != VERSION or self._listener is None:
            logger.warning("broker.unknown_message")
        elif kind == b"signal":
            self._on_signal(payload)
        elif kind in {b"pub", b"join", b"leave"} and offset.isdigit():
            told = cast(Kind, kind.decode())
            of = "" if epoch == b"-" else epoch.decode()
            self._listener.heard(Envelope(self._keys.name_of(key), told, payload, int(offset), of))
        else:
            logger.warning("broker.unknown_message")

    def _on_signal(self, message: bytes) -> None:
        assert self._listener is not None
        if message == GAP:
            self._listener.gap()
        else:
            self._listener.signalled(message)

    def _on_gap(self) -> None:
        if self._listener is not None:
            self._listener.gap()

    async def _beat(self) -> None:
        """Once a second, and what is owed after an outage is paid."""
        while True:
            await self._register.beat(self._on_gap, self._on_departed, self._on_buried)
            if self._pipeline.owes_gap and self.is_up:
                self._pipeline.owes_gap = False
                self.signal(GAP)
            await asyncio.sleep(BEAT_S)

    def _on_departed(self, user_ids: list[UserId]) -> None:
        if self._listener is not None:
            self._listener.departed(user_ids)

    def _on_buried(self) -> None:
        if self._listener is not None:
            self._listener.buried()


def _field(fields: Any) -> bytes:
    """The one field of a stream's entry."""
    found: bytes = fields[b"d"] if isinstance(fields, Mapping) else fields[1]
    return found
