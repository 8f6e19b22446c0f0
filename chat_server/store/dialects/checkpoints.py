"""Checkpoints: SQLite's write-ahead log is copied into the file beside the writer, which would stand still for it.

Nearly all is copied while others write. What they wrote meanwhile is copied in a turn to write, so that nothing is left
over and the next transaction begins the log anew: it neither grows for ever nor is written to a fresh part of the disk.
See sqlite.org/wal.html#ckpt and docs/adr/0023.
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

from chat_server.store.dialects.sqlite_file import Turns

logger = logging.getLogger(__name__)

# Some 6,000 to 10,000 pages of a log, or 1,600 posts. Less often is cheaper: a page that changes often is copied once.
ROWS = 8000
READERS_MS = 20  # how long writing may wait for who still reads in the old log; else it begins anew another time


class Checkpoints:
    """One process's, on a thread and a connection of its own. A process that changes little makes none."""

    def __init__(self, database: Path, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._turns = Turns(database)
        self._due = Event()
        self._is_ending = False

    def start(self) -> None:
        self._turns.open()
        self._thread = Thread(target=self._work, name="store-checkpoints", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """One that has begun is ended."""
        self._is_ending = True
        self._due.set()
        self._thread.join()
        self._turns.close()

    def watch(self, writer: sqlite3.Connection) -> None:
        """Count what this connection changes from now on."""
        self._writer, self._since = writer, writer.total_changes

    def consider(self) -> None:
        """At every transaction: begin one when it is time. Never waits."""
        changed = self._writer.total_changes
        if changed - self._since >= ROWS:
            self._since = changed
            self._due.set()

    def _work(self) -> None:
        while self._due.wait() and not self._is_ending:
            self._due.clear()
            try:
                self._copy()
            except (sqlite3.Error, OSError) as error:  # the disk is full, say: the log grows until the next one
                logger.warning("store.checkpoint_failed", extra={"error": str(error)})

    def _copy(self) -> None:
        with closing(self._connect()) as connection:
            connection.execute(f"PRAGMA busy_timeout = {READERS_MS}")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with self._turns.turn():
                connection.execute("PRAGMA wal_checkpoint(RESTART)")
