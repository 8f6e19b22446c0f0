"""The readers: a few threads with a read-only connection each, so that a search never stalls a post.

Each query sees one snapshot. One that takes longer than `limit_s` is interrupted and answered with QueryTooSlow.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from chat_server.errors import ChatError, QueryTooSlow, StoreUnavailable
from chat_server.metrics import QUERIES
from chat_server.store.dialects import Cursor, Engine
from chat_server.store.link import Link
from chat_server.store.transaction import Transaction

logger = logging.getLogger(__name__)

READERS = 3
LIMIT_S = 2.0
WAITING_QUERIES = 10_000
INTERRUPT_EVERY_S = 0.05
GRACE_S = 1.0  # for an engine that does not even answer that it was interrupted


@dataclass(slots=True, eq=False)
class Query:
    run: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"
    reader: "_Reader | None" = None
    is_overdue: bool = False
    is_settled: bool = False


class Readers:
    """Owns the reading threads. Every method is called on the event loop."""

    def __init__(self, engine: Engine, limit_s: float = LIMIT_S) -> None:
        self._engine = engine
        self._limit_s = limit_s
        self._queue: SimpleQueue[Query | None] = SimpleQueue()
        self._threads: list[Thread] = []

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        for number in range(READERS):
            reader = _Reader(self._engine, self._queue, self._loop)
            self._threads.append(Thread(target=reader.work, name=f"store-reader-{number}", daemon=True))
            self._threads[-1].start()

    async def stop(self) -> None:
        """Answer what waits, then close."""
        threads, self._threads = self._threads, []  # from here on `read` refuses
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)

    async def read(self, run: Callable[[Transaction], Any]) -> Any:
        """Run on a snapshot. QueryTooSlow over the limit; StoreUnavailable when the engine fails."""
        if not self._threads or self._queue.qsize() >= WAITING_QUERIES:
            raise StoreUnavailable(retry_after_s=1.0)
        query = Query(run, self._loop.create_future())
        self._queue.put(query)
        deadline = self._loop.call_later(self._limit_s, self._stop_query, query)
        found = await query.future  # a caller who gives up leaves the limit to do its work
        deadline.cancel()
        return found

    def _stop_query(self, query: Query, overdue_s: float = 0.0) -> None:
        """Again and again: an interrupt between two statements hits neither. Who waits in vain is answered anyway."""
        query.is_overdue = True
        if query.is_settled:
            return
        if overdue_s > GRACE_S:
            _settle(query.future, None, QueryTooSlow(retry_after_s=1.0))
        again = partial(self._stop_query, query, overdue_s + INTERRUPT_EVERY_S)
        if query.reader is None:
            self._loop.call_later(INTERRUPT_EVERY_S, again)
            return
        interrupted = self._loop.run_in_executor(None, query.reader.interrupt, query)
        interrupted.add_done_callback(lambda _: self._loop.call_later(INTERRUPT_EVERY_S, again))


class _Reader:
    """One thread's work, on a connection of its own."""

    def __init__(self, engine: Engine, queue: "SimpleQueue[Query | None]", loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._queue = queue
        self._loop = loop
        self._lock = Lock()  # between ending a query and interrupting it, so that the next one is not hit
        self._current: Query | None = None
        self._link = Link(engine, engine.open_reader)

    def interrupt(self, query: Query) -> None:
        """From another thread."""
        with self._lock:
            if self._current is query:
                self._link.interrupt()

    def work(self) -> None:
        while (query := self._queue.get()) is not None:
            if query.future.cancelled():
                query.is_settled = True
                continue
            began = time.perf_counter()
            result, error = self._answer(query)
            query.is_settled = True
            QUERIES.observe(time.perf_counter() - began)
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_settle, query.future, result, error)
        self._link.close()

    def _answer(self, query: Query) -> tuple[Any, Exception | None]:
        try:
            if query.is_overdue:
                raise QueryTooSlow(retry_after_s=1.0)
            cursor = self._link.begun(self._engine.begin_read)
            with self._lock:
                self._current = query
                query.reader = self
            return query.run(Transaction(_Limited(cursor, query), self._engine.dialect)), None
        except Exception as error:  # noqa: BLE001  the caller's to handle; the reader goes on
            return None, self._judged(error, query)
        finally:
            with self._lock:
                self._current = None
            self._link.roll_back()

    def _judged(self, error: Exception, query: Query) -> Exception:
        if isinstance(error, ChatError):
            return error
        if isinstance(error, self._engine.driver_error):
            if query.is_overdue or self._engine.was_stopped(error):
                return QueryTooSlow(retry_after_s=1.0)
            logger.error("store.query_failed", exc_info=error)
            return StoreUnavailable(retry_after_s=1.0)
        logger.error("store.query_crashed", exc_info=error)
        return error


class _Limited:
    """The cursor of a query: begins no statement after the limit, which may pass while none runs."""

    __slots__ = ("_cursor", "_query", "fetchall", "fetchone")

    def __init__(self, cursor: Cursor, query: Query) -> None:
        self._cursor = cursor
        self._query = query
        self.fetchone, self.fetchall = cursor.fetchone, cursor.fetchall

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, params: dict[str, Any] | None = None, /) -> Any:
        if self._query.is_overdue:
            raise QueryTooSlow(retry_after_s=1.0)
        return self._cursor.execute(sql, params or {})

    def executemany(self, sql: str, rows: list[dict[str, Any]], /) -> Any:
        return self._cursor.executemany(sql, rows)


def _settle(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
