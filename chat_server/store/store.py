"""The store as the rest of the house sees it: `write` and `read`, each with a function over a transaction."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from chat_server.clock import Clock, now_ms
from chat_server.store import event_log
from chat_server.store.dialects import Engine
from chat_server.store.readers import LIMIT_S, Readers
from chat_server.store.transaction import Row, Transaction
from chat_server.store.writer import Commit, Writer

R = TypeVar("R")


class Store:
    """Owns the writer and the readers of one database. Used from the event loop of one worker.

    `on_commit` hears of every commit, on the loop and before the commands' callers do.
    """

    def __init__(
        self,
        engine: Engine,
        on_commit: Callable[[Commit], None] = lambda commit: None,
        clock_ms: Clock = now_ms,
        query_limit_s: float = LIMIT_S,
    ) -> None:
        self.engine = engine
        self.clock_ms = clock_ms
        self.on_commit = on_commit
        self.epoch = ""
        self._changes: Row | None = None
        self._writer = Writer(engine, self._committed, clock_ms)
        self._readers = Readers(engine, query_limit_s)

    async def __aenter__(self) -> "Store":
        await asyncio.to_thread(self.engine.start)
        self._writer.start()
        self._readers.start()
        try:
            self.epoch = await self.write(event_log.epoch)  # no limit of time: the first connection may be slow
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._writer.stop()
        await self._readers.stop()
        await asyncio.to_thread(self.engine.close)

    async def write(self, run: Callable[[Transaction], R], room_id: str = "") -> R:
        """Run in the next batch; answer after its commit. Raises what `run` raises, or StoreUnavailable.

        `room_id` is the room that the command changes, if it is one room's.
        """
        result: R = await self._writer.write(run, room_id)
        return result

    async def read(self, run: Callable[[Transaction], R]) -> R:
        """Run on a snapshot that holds every commit answered before. Raises what `run` raises, or Unavailable."""
        result: R = await self._readers.read(run)
        return result

    async def written_elsewhere(self) -> bool:
        """Whether another process may have committed since the last call."""
        found = await self.write(lambda transaction: transaction.one(self.engine.changes))
        before, self._changes = self._changes, found
        return before != found

    def _committed(self, commit: Commit) -> None:
        self.on_commit(commit)
