"""One thread's connection: opened when it is first needed, and again, with back-off, when the engine has lost it."""

import logging
import time
from collections.abc import Callable
from contextlib import suppress

from chat_server.errors import StoreUnavailable
from chat_server.store.dialects import Cursor, DriverConnection, Engine

logger = logging.getLogger(__name__)

SHORTEST_WAIT_S = 0.05
LONGEST_WAIT_S = 1.0


class Link:
    """Belongs to its thread; only `interrupt` may be called by another, while a statement runs."""

    def __init__(self, engine: Engine, connect: Callable[[], DriverConnection]) -> None:
        self._engine = engine
        self._connect = connect
        self._connection: DriverConnection | None = None
        self._wait_s = 0.0
        self._retry_at = 0.0

    def begun(self, begin: Callable[[Cursor], None]) -> Cursor:
        """A cursor in a new transaction. A connection that was lost while nobody used it is opened again at once.

        Raises the driver's error, or StoreUnavailable until it is time to try again.
        """
        was_open = self._connection is not None
        try:
            return self._begun(begin)
        except self._engine.driver_error:
            if not was_open or self._connection is None or not self._engine.is_lost(self._connection):
                raise
        return self._begun(begin)

    @property
    def is_alive(self) -> bool:
        """Whether the transaction that was begun can go on."""
        return self._connection is not None and self._engine.is_alive(self._connection)

    def roll_back(self) -> None:
        """End the transaction, if there is one."""
        if self._connection is not None:
            with suppress(self._engine.driver_error):
                self._cursor.execute("ROLLBACK")

    def interrupt(self) -> None:
        if self._connection is not None:
            with suppress(self._engine.driver_error):
                self._engine.interrupt(self._connection)

    def close(self) -> None:
        if self._connection is not None:
            with suppress(self._engine.driver_error):
                self._connection.close()
            self._connection = None

    def _begun(self, begin: Callable[[Cursor], None]) -> Cursor:
        if self._connection is not None and self._engine.is_lost(self._connection):
            self.close()
        if self._connection is None:
            self._cursor = self._opened().cursor()
        begin(self._cursor)
        return self._cursor

    def _opened(self) -> DriverConnection:
        if time.monotonic() < self._retry_at:
            raise StoreUnavailable(retry_after_s=1.0)
        try:
            self._connection = self._connect()
        except self._engine.driver_error as error:
            self._wait_s = min(LONGEST_WAIT_S, max(SHORTEST_WAIT_S, self._wait_s * 2))
            self._retry_at = time.monotonic() + self._wait_s
            logger.warning("store.away", extra={"error": " ".join(str(error).split()), "retry_in_s": self._wait_s})
            raise
        if self._wait_s:
            logger.warning("store.back")
        self._wait_s = 0.0
        return self._connection
