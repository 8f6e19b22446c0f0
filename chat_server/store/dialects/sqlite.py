"""SQLite: one file in WAL mode, one writer at a time, processes in turns."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Executable, create_engine, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from chat_server.store.dialects import CannotOpen, Cursor
from chat_server.store.dialects.checkpoints import Checkpoints
from chat_server.store.dialects.power_cut import PowerCutGuard
from chat_server.store.dialects.sqlite_file import Turns, check_integrity, uri_of

BUSY_TIMEOUT_S = 5.0
# 128 MiB. The log is copied into the file long before, and not by the writer: it does so itself only when it has to.
LONGEST_LOG_PAGES = 32_000


class SqliteEngine:
    """A SQLite file in WAL mode. Processes take turns to write by lock files, as its own busy handler starves some."""

    driver_error: type[Exception] = sqlite3.Error
    integrity_error: type[Exception] = sqlite3.IntegrityError
    writers = 1
    # It moves only when another connection committed (sqlite.org/pragma.html#pragma_data_version).
    changes: Executable = text("PRAGMA data_version")

    def __init__(self, url: URL, synchronous: Literal["FULL", "NORMAL"]) -> None:
        self.dialect: Dialect = sqlite.dialect(paramstyle="named")
        self._url = url
        self.path = Path(url.database or "chat.db")
        self._synchronous = synchronous
        self._guard = PowerCutGuard(self.path, is_at_risk=synchronous == "NORMAL")
        self._turns = Turns(self.path)
        self._checkpoints = Checkpoints(self.path, partial(self._open, "rw"))

    @contextmanager
    def migrating(self, *, create: bool) -> Iterator[Connection]:
        with self._one_line_errors():
            if create:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            elif not self.path.exists():
                raise CannotOpen(f"there is no database at {self.path}: chat-server migrate makes it")
            # SQLite would open a file read-only, without a word, when it cannot be written.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            check_integrity(self.path)
            engine = create_engine(self._url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout = 60000")
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                connection.exec_driver_sql("BEGIN EXCLUSIVE")
                yield connection
                connection.exec_driver_sql("COMMIT")

    def alone(self) -> AbstractContextManager[None]:
        return nullcontext()  # whoever holds the data directory has the file

    def start(self) -> None:
        with self._one_line_errors():
            try:
                self._turns.open()
                with self.turn():
                    self._guard.enter()
                self._checkpoints.start()
            except BaseException:
                self._turns.close()
                raise

    def close(self) -> None:
        self._checkpoints.stop()
        with self.turn():
            self._guard.leave()
        self._turns.close()

    def open_writer(self) -> sqlite3.Connection:
        connection = self._open("rw")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LONGEST_LOG_PAGES}")
        self._checkpoints.watch(connection)
        return connection

    def open_reader(self) -> sqlite3.Connection:
        connection = self._open("ro")
        connection.execute("PRAGMA query_only = ON")
        return connection

    def begin(self, cursor: Cursor) -> None:
        self._checkpoints.consider()
        cursor.execute("BEGIN IMMEDIATE")  # it holds its lock from here on, never upgrades later

    def begin_read(self, cursor: Cursor) -> None:
        cursor.execute("BEGIN")

    def is_alive(self, connection: Any) -> bool:
        return bool(connection.in_transaction)

    def is_lost(self, connection: Any) -> bool:
        return False

    def may_rerun(self, error: BaseException | None) -> bool:
        return False

    def was_stopped(self, error: Exception) -> bool:
        return False

    def interrupt(self, connection: Any) -> None:
        connection.interrupt()

    def turn(self) -> AbstractContextManager[None]:
        return self._turns.turn()

    @contextmanager
    def _one_line_errors(self) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise CannotOpen(
                f"{error.filename} cannot be written by uid {os.getuid()}: set CHAT_DATA_DIR or mend its mode"
            ) from error
        except OSError as error:
            raise CannotOpen(f"{error.filename or self.path}: {error.strerror}") from error
        except (sqlite3.Error, DBAPIError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            raise CannotOpen(f"{self.path}: {reason}: is it a SQLite file that this user can write?") from error

    def _open(self, mode: Literal["rw", "ro"]) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri_of(self.path, mode),
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        connection.execute("PRAGMA cache_size = -32000")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection
