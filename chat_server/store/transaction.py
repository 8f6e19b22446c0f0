"""One open transaction: statements on the driver's cursor, and what is to be told once it is committed.

SQLAlchemy builds and compiles a statement once for each engine; running it goes straight to the driver, since
SQLAlchemy's own execution costs ten times the statement (a whole post has to fit into 40 us). Rows are plain tuples in
the order of the statement's columns. See docs/adr/0003.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Executable
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from chat_server.store.dialects import Cursor

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Told:
    """An event for one channel that has no offset yet."""

    channel: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Publication:
    """A committed event of a durable channel. `payload` is the event's JSON."""

    channel: str
    offset: int
    payload: bytes


class Transaction:
    """Runs statements, and collects events and signals. Everything collected by a command that fails is dropped.

    `has_changed`: something was written. `has_failed`: the engine refused a statement, whether or not a command made
    something of that. The writer asks both of every command.
    """

    __slots__ = ("_cursor", "_dialect", "has_changed", "has_failed", "signals", "told")

    def __init__(self, cursor: Cursor, dialect: Dialect) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self.told: list[Told] = []
        self.signals: list[object] = []
        self.has_changed = self.has_failed = False

    def execute(self, sql: str) -> None:
        """One of the engine's own words, such as SAVEPOINT."""
        self._cursor.execute(sql)

    def run(self, statement: Executable, **values: object) -> int:
        """Execute, and answer how many rows it changed."""
        self._execute(statement, values)
        return self._cursor.rowcount

    def one(self, statement: Executable, **values: object) -> Row | None:
        """The first row, or None."""
        self._execute(statement, values)
        row: Row | None = self._cursor.fetchone()
        return row

    def all(self, statement: Executable, **values: object) -> list[Row]:
        self._execute(statement, values)
        return self._cursor.fetchall()

    def many(self, statement: Executable, rows: list[dict[str, Any]]) -> None:
        """Execute once for each of `rows`."""
        found = compiled(statement, self._dialect)
        self.has_changed = True
        try:
            self._cursor.executemany(found.sql, rows)
        except Exception:
            self.has_failed = True
            raise

    def told_to(self, channel: str) -> int:
        """How many events wait for an offset in `channel`, in this transaction."""
        return sum(1 for told in self.told if told.channel == channel)

    def _execute(self, statement: Executable, values: dict[str, object]) -> None:
        sql, constants, is_query = compiled(statement, self._dialect)
        if not is_query:
            self.has_changed = True
        try:
            self._cursor.execute(sql, {**constants, **values} if constants else values)
        except Exception:
            self.has_failed = True
            raise


class Compiled(NamedTuple):
    """A statement in a dialect, and the values that are written into the statement itself."""

    sql: str
    constants: dict[str, Any]
    is_query: bool


@lru_cache(maxsize=2048)
def compiled(statement: Executable, dialect: Dialect) -> Compiled:
    found: SQLCompiler = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    named = {name for name, bind in found.binds.items() if bind.required}
    expanded = found.construct_expanded_state(dict.fromkeys(named))
    constants = {name: value for name, value in expanded.parameters.items() if name not in named}
    return Compiled(expanded.statement, constants, expanded.statement.startswith("SELECT"))
