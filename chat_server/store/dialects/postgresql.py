"""PostgreSQL through psycopg: a few writers, each of them with one room at a time, and readers on snapshots."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumper
from sqlalchemy import Connection, Executable, create_engine, make_url, text
from sqlalchemy.engine import URL, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from chat_server.store.dialects import CannotOpen, Cursor
from chat_server.store.dialects.claim import SESSION, claimed

WRITERS = 4
MIGRATION_LOCK = 7_148_116_116  # any number that nobody else takes
CONNECT_S = 3
# How long a server that vanished without a word is waited for. A writer that froze with a room's row locked, or whose
# machine vanished, is thrown out by the server after the same time, so that others can go on.
PATIENCE_S = 10
# The server's parameters (postgresql.org/docs/current/runtime-config-client.html), times in milliseconds.
_WRITER = {
    "lock_timeout": 5_000,
    "statement_timeout": PATIENCE_S * 1000,
    "idle_in_transaction_session_timeout": PATIENCE_S * 1000,
    "tcp_user_timeout": PATIENCE_S * 1000,
}
_READER = {
    "default_transaction_read_only": "on",
    "statement_timeout": 2_000,
    "idle_in_transaction_session_timeout": PATIENCE_S * 1000,
}
_RERUNNABLE = frozenset({"40P01", "40001"})  # deadlock, serialization failure
_ALIVE = frozenset({TransactionStatus.INTRANS, TransactionStatus.INERROR})


class PostgresEngine:
    """One PostgreSQL database. Every worker of every machine uses it alike."""

    driver_error: type[Exception] = psycopg.Error
    integrity_error: type[Exception] = psycopg.IntegrityError
    writers = WRITERS
    # Which transactions are over: it also changes with what this process wrote.
    changes: Executable = text("SELECT CAST(pg_current_snapshot() AS TEXT)")

    def __init__(self, url: URL) -> None:
        self.dialect: Dialect = make_url("postgresql+psycopg://").get_dialect()()
        self._parameters = connection_parameters(url)

    @contextmanager
    def migrating(self, *, create: bool) -> Iterator[Connection]:
        engine = create_engine("postgresql+psycopg://", connect_args=self._parameters, poolclass=NullPool)
        with _one_line_errors(), engine.begin() as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            yield connection

    @contextmanager
    def alone(self) -> Iterator[None]:
        with ExitStack() as stack:
            with _one_line_errors():
                stack.enter_context(claimed(lambda: self._open(_READER | SESSION)))
            yield

    def start(self) -> None:
        with _one_line_errors():
            self.open_reader().close()

    def close(self) -> None:
        pass  # nothing is held besides the connections

    def open_writer(self) -> "psycopg.Connection[Any]":
        return self._open(_WRITER)

    def open_reader(self) -> "psycopg.Connection[Any]":
        return self._open(_READER)

    def begin(self, cursor: Cursor) -> None:
        # Each statement sees what was committed before it: behind its room's lock a command sees the room as it is.
        cursor.execute("BEGIN ISOLATION LEVEL READ COMMITTED")

    def begin_read(self, cursor: Cursor) -> None:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def is_alive(self, connection: Any) -> bool:
        return connection.info.transaction_status in _ALIVE

    def is_lost(self, connection: Any) -> bool:
        return bool(connection.closed)

    def may_rerun(self, error: BaseException | None) -> bool:
        return isinstance(error, psycopg.Error) and error.sqlstate in _RERUNNABLE

    def was_stopped(self, error: Exception) -> bool:
        return isinstance(error, psycopg.errors.QueryCanceled)

    def interrupt(self, connection: Any) -> None:
        connection.cancel_safe(timeout=1.0)

    def turn(self) -> AbstractContextManager[None]:
        return nullcontext()  # rows are locked, not the database

    def _open(self, parameters: Mapping[str, object]) -> "psycopg.Connection[Any]":
        options = " ".join(f"-c {name}={value}" for name, value in parameters.items())
        given = f"{self._parameters.get('options', '')} {options}".strip()
        connection = psycopg.connect(autocommit=True, **{**self._parameters, "options": given})
        connection.adapters.register_dumper(str, _TextDumper)
        return connection


class _TextDumper(StrDumper):
    """PostgreSQL has no NUL in texts. None is ever stored; one that is asked for, in an id say, is not found."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\x00", "\ufffd") if "\x00" in obj else obj)


def connection_parameters(url: URL) -> dict[str, Any]:
    """libpq's, from SQLAlchemy's URL, whose own parameters win."""
    return {
        "connect_timeout": CONNECT_S,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "tcp_user_timeout": PATIENCE_S * 1000,
        "application_name": "chat-server",
        **url.translate_connect_args(username="user", database="dbname"),
        **url.query,
    }


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, DBAPIError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        raise CannotOpen(f"PostgreSQL: {' '.join(str(reason).split())}") from error
