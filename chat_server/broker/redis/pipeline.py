"""Telling Redis: commands nobody waits for, sent together once a turn of the loop.

A PUBLISH of its own costs 97 us, one of a hundred in a pipeline 11. What cannot be sent is dropped, not kept: the event
log has it, and `owes_gap` makes the other workers look there.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import AskError, MovedError, ResponseError

from chat_server.broker.redis.topology import LOST, Topology

logger = logging.getLogger(__name__)

CAPACITY_COMMANDS = 100_000
CHUNK_COMMANDS = 500
WRITE_S = 2.0
PAUSE_S = 0.25  # after a failure, so that an outage does not cost a connection attempt each turn

Command = tuple[Any, ...]


class Pipeline:
    """`put` never waits and never raises. `run` is its only writer."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self._waiting: list[tuple[str, Command]] = []
        self._wake = asyncio.Event()
        self._connections: dict[str, AbstractConnection] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.owes_gap = False
        self.owes_presence = False

    def put(self, key: str, *command: Any) -> None:
        """Send `command`, which belongs to the node of `key`, soon."""
        if len(self._waiting) >= CAPACITY_COMMANDS:
            self._drop([command])
            return
        self._waiting.append((key, command))
        self._wake.set()
        self._idle.clear()

    async def flushed(self) -> None:
        """Until all that was put is out, or dropped."""
        await self._idle.wait()

    async def run(self) -> None:
        """Until cancelled; then the connections are closed."""
        try:
            while True:
                if not self._waiting:
                    self._idle.set()
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(0)  # whatever else this turn of the loop publishes goes along
                waiting, self._waiting = self._waiting, []
                await self._write(waiting)
        finally:
            for connection in self._connections.values():
                with suppress(*LOST):
                    await connection.disconnect(nowait=True)

    async def _write(self, waiting: list[tuple[str, Command]]) -> None:
        for start in range(0, len(waiting), CHUNK_COMMANDS):
            by_node: dict[str, list[Command]] = {}
            for key, command in waiting[start : start + CHUNK_COMMANDS]:
                try:
                    by_node.setdefault(self._topology.node_of(key), []).append(command)
                except LOST:
                    self._drop([command])
            for node, commands in by_node.items():
                await self._write_to(node, commands)

    async def _write_to(self, node: str, commands: list[Command]) -> None:
        try:
            async with asyncio.timeout(WRITE_S):
                connection = await self._connection(node)
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                for command in commands:
                    await self._reply(connection, command)
        except LOST as error:
            logger.warning("broker.write_failed", extra={"error": f"{type(error).__name__}: {error}"})
            broken = self._connections.pop(node, None)
            if broken is not None:
                with suppress(*LOST):
                    await broken.disconnect(nowait=True)
            self._drop(commands)
            await asyncio.sleep(PAUSE_S)

    async def _reply(self, connection: AbstractConnection, command: Command) -> None:
        try:
            await connection.read_response(disconnect_on_error=False)
        except (MovedError, AskError):
            self._drop([command])
            await self._topology.refresh(str(command[1]))
        except ResponseError as error:
            logger.error("broker.command_refused", extra={"verb": command[0], "error": str(error)})
            self._drop([command])

    async def _connection(self, node: str) -> AbstractConnection:
        connection = self._connections.get(node)
        if connection is None:
            connection = self._topology.connection(node)
            await connection.connect()  # type: ignore[no-untyped-call]
            self._connections[node] = connection
        return connection

    def _drop(self, commands: list[Command]) -> None:
        """What a publication's loss owes the others, and a registration's loss this worker's own entries."""
        for command in commands:
            if command[0] in {"PUBLISH", "SPUBLISH"}:
                self.owes_gap = True
            else:
                self.owes_presence = True
