"""Hearing from Redis: one reader a node, and one place that says what it is subscribed to.

Pub/sub loses silently: whatever is published while a connection is down, or overran the server's buffer, is gone. So
each loss of a connection is seen here (nothing reconnects behind our back), every confirmation after the first one of
a channel is a gap, and each reader sends itself a message every PROBE_S: one that hears nothing for DEAF_S is deaf,
whatever TCP says, and is opened anew.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError

from chat_server.broker.redis.topology import LOST, Topology, heed_cancellation
from chat_server.errors import BrokerUnavailable
from chat_server.metrics import BROKER_LOSSES

logger = logging.getLogger(__name__)

CONFIRM_S = 1.0
PROBE_S = 1.0
DEAF_S = 3.5
BACKOFF_S = (0.1, 1.0)
BATCH_CHANNELS = 500
NEVER = float("-inf")
PROBE_TRIES = 10_000  # names tried until one falls on a node: more than any cluster has nodes


class Receiver:
    """Owns the readers. `on_message` gets (key, data); `on_gap` is called when messages may have been missed."""

    def __init__(
        self,
        topology: Topology,
        probe: str,
        send_probe: Callable[[str], None],
        on_message: Callable[[str, bytes], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._topology = topology
        self._probe = probe
        self.send_probe = send_probe
        self.on_message = on_message
        self.on_gap = on_gap
        self._readers: dict[str, _Reader] = {}
        self._wanted: dict[str, str] = {}
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def is_up(self) -> bool:
        return bool(self._readers) and all(reader.is_up for reader in self._readers.values())

    def is_up_at(self, key: str) -> bool:
        """Whether the node of `key` is heard."""
        try:
            reader = self._readers.get(self._topology.node_of(key))
        except LOST:  # a Cluster that has not been reached, or has lost the slot
            return False
        return reader is not None and reader.is_up

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            while True:
                if not self.is_up:
                    await self._learn_nodes()
                self._match_nodes()
                await asyncio.sleep(PROBE_S)

    async def follow(self, key: str) -> None:
        """Return when the subscription is confirmed. BrokerUnavailable after CONFIRM_S, or at once when it is away."""
        reader = self._want(key)
        if reader is None or not reader.is_up:
            raise BrokerUnavailable(retry_after_s=1.0)
        if key in reader.confirmed:
            return
        try:
            async with asyncio.timeout(CONFIRM_S):
                await reader.confirmation(key)
        except TimeoutError as error:
            raise BrokerUnavailable(retry_after_s=1.0) from error

    def unfollow(self, key: str) -> None:
        node = self._wanted.pop(key, None)
        if node is not None and node in self._readers:
            self._readers[node].unwant(key)

    def moved(self, key: str) -> None:
        """The key's slot may live elsewhere now."""
        if key in self._wanted:
            self.unfollow(key)
            self._want(key)

    def _want(self, key: str) -> "_Reader | None":
        node = self._wanted.get(key)
        if node is None or node not in self._readers:
            with suppress(*LOST):
                node = self._topology.node_of(key)
            if node is None or node not in self._readers:
                self._wanted.setdefault(key, "")
                return None
            self._wanted[key] = node
            self._readers[node].want(key)
        return self._readers[node]

    async def _learn_nodes(self) -> None:
        try:
            async with asyncio.timeout(DEAF_S):
                await self._topology.learn()
        except LOST as error:
            heed_cancellation()
            logger.warning("broker.unreachable", extra={"error": f"{type(error).__name__}: {error}"})

    def _match_nodes(self) -> None:
        """A reader for every primary there is, none for those that are gone, and every key with its node."""
        nodes = set(self._topology.nodes())
        for name in nodes - self._readers.keys():
            probe_key = self._probe_key(name)
            if probe_key is None:
                continue
            reader = self._readers[name] = _Reader(name, self._topology, probe_key, self)
            assert self._tasks is not None
            reader.task = self._tasks.create_task(reader.run())
        for name in self._readers.keys() - nodes:
            self._readers.pop(name).task.cancel()
        for key, node in tuple(self._wanted.items()):
            if node not in self._readers:
                self._wanted.pop(key)
                self._want(key)

    def _probe_key(self, node: str) -> str | None:
        """A key that lives on that node; None while it has no slots."""
        for number in range(PROBE_TRIES):
            key = f"{self._probe}-{number}}}"
            with suppress(*LOST):
                if self._topology.node_of(key) == node:
                    return key
        return None


class _Reader:
    """One node's subscriber. `wanted` is what it should hear, `confirmed` what it does."""

    def __init__(self, node: str, topology: Topology, probe_key: str, receiver: Receiver) -> None:
        self._node = node
        self._topology = topology
        self._probe_key = probe_key
        self._receiver = receiver
        self._connection: AbstractConnection | None = None
        self._wanted: set[str] = {probe_key}
        self._sent: set[str] = set()
        self._waiting: dict[str, asyncio.Future[None]] = {}
        self._wake = asyncio.Event()
        self._heard_at = NEVER
        self._was_lost = False
        self._owed: set[str] = set()
        self._verbs = ("SSUBSCRIBE", "SUNSUBSCRIBE") if topology.is_sharded else ("SUBSCRIBE", "UNSUBSCRIBE")
        self.confirmed: set[str] = set()
        self.task: asyncio.Task[None]

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    @property
    def is_up(self) -> bool:
        return self.is_connected and asyncio.get_running_loop().time() - self._heard_at < DEAF_S

    def want(self, key: str) -> None:
        self._wanted.add(key)
        self._wake.set()

    def unwant(self, key: str) -> None:
        self._wanted.discard(key)
        self._wake.set()

    async def confirmation(self, key: str) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
        await asyncio.shield(waiting)

    async def run(self) -> None:
        wait_s = BACKOFF_S[0]
        while True:
            began = asyncio.get_running_loop().time()
            try:
                await self._listen()
            except* LOST as errors:
                BROKER_LOSSES.inc()
                logger.warning("broker.lost", extra={"node": self._node, "error": _first(errors)})
            finally:
                await self._close()
            heed_cancellation()
            if asyncio.get_running_loop().time() - began > BACKOFF_S[1]:
                wait_s = BACKOFF_S[0]
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  so that workers do not come back at once
            wait_s = min(wait_s * 2, BACKOFF_S[1])

    async def _listen(self) -> None:
        connection = self._topology.connection(self._node)
        try:
            async with asyncio.timeout(DEAF_S):
                await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._connection = connection
        self._heard_at = NEVER  # a paused Redis takes connections, so only a message that came shows that it is heard
        self._wake.set()
        logger.info("broker.connected", extra={"node": self._node})
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reconcile(connection))
            tasks.create_task(self._watch())
            await self._read(connection)

    async def _reconcile(self, connection: AbstractConnection) -> None:
        """The only place that subscribes: what is wanted against what was sent, all at once."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await asyncio.sleep(0)  # whatever else this turn of the loop wants goes along
            wanted, sent = set(self._wanted), self._sent
            self._sent = wanted
            await self._send(connection, self._verbs[0], wanted - sent)
            await self._send(connection, self._verbs[1], sent - wanted)

    async def _send(self, connection: AbstractConnection, verb: str, keys: set[str]) -> None:
        names = sorted(keys)
        for start in range(0, len(names), BATCH_CHANNELS):
            part = names[start : start + BATCH_CHANNELS]
            # In a Cluster the names of one command must share a slot, so each has a command of its own.
            commands: list[Any] = [(verb, name) for name in part] if self._topology.is_sharded else [(verb, *part)]
            async with asyncio.timeout(DEAF_S):
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
        if verb == self._verbs[1]:
            self.confirmed -= keys

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            self._receiver.send_probe(self._probe_key)
            await asyncio.sleep(PROBE_S)
            self._settle()  # what was owed last may have been left
            if loop.time() - max(began, self._heard_at) > DEAF_S:
                raise TimeoutError("deaf")

    async def _read(self, connection: AbstractConnection) -> None:
        while True:
            try:
                response = await connection.read_response()  # `_watch` ends it when nothing comes
            except MovedError:
                await self._move_unconfirmed()
                continue
            kind, name = response[0], response[1].decode()
            if kind in {b"message", b"smessage"}:
                if name == self._probe_key:
                    self._heard_at = asyncio.get_running_loop().time()
                else:
                    self._receiver.on_message(name, response[2])
            elif kind in {b"subscribe", b"ssubscribe"}:
                self._confirm(name)
            elif kind == b"sunsubscribe" and name in self._wanted:
                self._lose(name)

    def _confirm(self, key: str) -> None:
        is_again = key in self.confirmed
        self.confirmed.add(key)
        waiting = self._waiting.pop(key, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        self._owed.discard(key)
        if is_again:
            self._receiver.on_gap()
        self._settle()

    def _settle(self) -> None:
        """After a loss: a gap once all that was followed before it is heard again, whoever joins what meanwhile."""
        if self._was_lost and not self._owed & self._wanted:
            self._was_lost = False
            self._receiver.on_gap()

    def _lose(self, key: str) -> None:
        """The slot moved to another node: the server has ended the subscription."""
        self._sent.discard(key)
        self.confirmed.discard(key)
        self._receiver.moved(key)
        self._receiver.on_gap()

    async def _move_unconfirmed(self) -> None:
        """A subscription was refused because its slot lives elsewhere; the error does not say which one."""
        for key in tuple(self._wanted - self.confirmed - {self._probe_key}):
            await self._topology.refresh(key)
            self._sent.discard(key)
            self._receiver.moved(key)

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._was_lost = self._was_lost or connection is not None
        self._owed |= self.confirmed
        self.confirmed.clear()
        self._sent.clear()
        if connection is not None:
            with suppress(*LOST):
                await connection.disconnect(nowait=True)


def _first(errors: BaseExceptionGroup[Any]) -> str:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return f"{type(found).__name__}: {found}"
