"""The only place that asks "SQLite or PostgreSQL?": how each is opened, begun, locked, interrupted, and fails."""

from contextlib import AbstractContextManager
from typing import Any, Protocol

from sqlalchemy import Connection, Executable
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.engine import Dialect

__all__ = ["CannotOpen", "Cursor", "DriverConnection", "Engine", "upsert"]


class CannotOpen(Exception):
    """The database cannot be used. The message says what is wrong and how to mend it, in one line."""


class Cursor(Protocol):
    """What of a driver's cursor (PEP 249) is used here."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: str, params: dict[str, Any] = ..., /) -> Any: ...
    def executemany(self, sql: str, rows: list[dict[str, Any]], /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...


class DriverConnection(Protocol):
    """What of a driver's connection is used here."""

    def cursor(self) -> Cursor: ...
    def close(self) -> None: ...


class Engine(Protocol):
    """One database engine. Connections belong to the thread that uses them; only `interrupt` crosses threads.

    `writers` threads may write at once; with more than one the commands of a room go one after another, its row locked.
    `changes` is a query whose answer is another one when another process committed since it was asked.
    """

    dialect: Dialect
    driver_error: type[Exception]
    integrity_error: type[Exception]
    writers: int
    changes: Executable

    def migrating(self, *, create: bool) -> AbstractContextManager[Connection]:
        """A connection that holds the lock of migrations, in one transaction that is committed at the end. CannotOpen.

        `create`: make the database if it is not there, where that is just a file.
        """

    def alone(self) -> AbstractContextManager[None]:
        """No other server that asks for this uses the database. CannotOpen when one does."""

    def start(self) -> None:
        """Before the first connection. CannotOpen."""

    def close(self) -> None:
        """After the last connection is closed."""

    def open_writer(self) -> DriverConnection: ...
    def open_reader(self) -> DriverConnection: ...

    def begin(self, cursor: Cursor) -> None:
        """Start a transaction that may write."""

    def begin_read(self, cursor: Cursor) -> None:
        """Start a read-only transaction that sees one snapshot."""

    def is_alive(self, connection: DriverConnection) -> bool:
        """Whether the transaction survived a driver's error, so that a savepoint can be rolled back to."""

    def is_lost(self, connection: DriverConnection) -> bool:
        """Whether the connection is of no more use."""

    def may_rerun(self, error: BaseException | None) -> bool:
        """Whether the engine sacrificed the transaction to others, so that the same one can succeed now."""

    def was_stopped(self, error: Exception) -> bool:
        """Whether a query ran into the engine's own limit of time."""

    def interrupt(self, connection: DriverConnection) -> None:
        """Stop what another thread runs on `connection`. May wait for the engine: never call it on the event loop."""

    def turn(self) -> AbstractContextManager[None]:
        """This process's turn to write, where processes must take turns."""
