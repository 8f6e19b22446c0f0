"""A store on a SQLite file of its own, engines that fail on purpose, and async tests without a plugin."""

import asyncio
import functools
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, insert, make_url, select

from chat_server.store.dialects import Engine
from chat_server.store.dialects.sqlite import SqliteEngine
from chat_server.store.engine import migrate
from chat_server.store.schema import meta
from chat_server.store.store import Store
from chat_server.store.transaction import Publication, Told, Transaction
from chat_server.store.writer import Commit

PATIENCE_S = 20.0

ADD = insert(meta)
FIND = select(meta.c.value).where(meta.c.key == bindparam("wanted"))
ALL = select(meta.c.key, meta.c.value).where(meta.c.key != "epoch").order_by(meta.c.key)


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a loop of its own. An error that only the loop hears of fails it too."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        unheard: list[dict[str, Any]] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
            async with asyncio.timeout(PATIENCE_S):
                await test(*args, **kwargs)

        asyncio.run(bounded())
        assert not unheard, unheard

    return run


async def until(condition: Callable[[], Any], what: str = "the condition", patience_s: float = 10.0) -> Any:
    """Let the loop turn until `condition` answers something true, and answer that."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < deadline, f"waited {patience_s} s for {what}"
        await asyncio.sleep(0.002)
    return found


@lru_cache(maxsize=1)
def _template() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()


def database(folder: Path) -> Path:
    """A database as a migration leaves it."""
    path = folder / "chat.db"
    path.write_bytes(_template())
    return path


def engine_at(path: Path, kind: type[SqliteEngine] = SqliteEngine) -> SqliteEngine:
    return kind(make_url(f"sqlite:///{path}"), "FULL")


@dataclass
class Ledger:
    """What a store published."""

    commits: list[Commit] = field(default_factory=list)

    @property
    def publications(self) -> list[Publication]:
        return [publication for commit in self.commits for publication in commit.publications]

    @property
    def signals(self) -> list[object]:
        return [signal for commit in self.commits for signal in commit.signals]


@asynccontextmanager
async def opened(engine: Engine, ledger: Ledger | None = None, **options: Any) -> AsyncIterator[Store]:
    on_commit = (ledger or Ledger()).commits.append
    async with Store(engine, on_commit=on_commit, **options) as store:
        yield store


def add(key: str, value: str = "") -> Callable[[Transaction], str]:
    """A command that adds a row and answers its key."""

    def run(transaction: Transaction) -> str:
        transaction.run(ADD, key=key, value=value)
        return key

    return run


def tell(channel: str, payload: bytes = b"{}") -> Callable[[Transaction], None]:
    """A command that tells one event."""
    return lambda transaction: transaction.told.append(Told(channel, payload))


def rows(transaction: Transaction) -> dict[str, str]:
    """What commands of `add` left."""
    return dict(transaction.all(ALL))


@asynccontextmanager
async def held(store: Store) -> AsyncIterator[None]:
    """Keep the writer busy until the end of the block: what is written in it waits together and becomes one batch."""
    running, go = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        running.set()
        assert go.wait(PATIENCE_S), "nobody let the writer go on"

    holding = asyncio.create_task(store.write(hold))
    try:
        await until(running.is_set, "the writer to be held")
        yield
        await asyncio.sleep(0)  # what was only just begun gets into the queue
    finally:
        go.set()
        await asyncio.gather(holding, return_exceptions=True)


async def together(store: Store, *commands: Callable[[Transaction], Any]) -> list[Any]:
    """Write `commands` so that they wait together; answers their results or errors."""
    async with held(store):
        tasks = [asyncio.create_task(store.write(command)) for command in commands]
    return await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Fault:
    """Fail the next `times` statements that begin with `sql`, before or after they did what they do."""

    sql: str
    times: int = 1
    is_late: bool = False
    after_statements: int = 0  # so many of them pass first
    error: type[Exception] = sqlite3.OperationalError

    def strikes(self, sql: str, *, is_late: bool) -> bool:
        if is_late is not self.is_late or not sql.startswith(self.sql) or not self.times:
            return False
        if self.after_statements:
            self.after_statements -= 1
            return False
        self.times -= 1
        return True


class FaultyEngine(SqliteEngine):
    """SQLite whose writing connection fails as `faults` say."""

    def __init__(self, path: Path, *faults: Fault) -> None:
        super().__init__(make_url(f"sqlite:///{path}"), "FULL")
        self.faults = list(faults)

    def open_writer(self) -> Any:
        return _FaultyConnection(super().open_writer(), self.faults)


class _FaultyConnection:
    def __init__(self, connection: sqlite3.Connection, faults: list[Fault]) -> None:
        self._connection = connection
        self._faults = faults

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    def cursor(self) -> "_FaultyCursor":
        return _FaultyCursor(self._connection.cursor(), self._faults)

    def interrupt(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()


class _FaultyCursor:
    def __init__(self, cursor: sqlite3.Cursor, faults: list[Fault]) -> None:
        self._cursor = cursor
        self._faults = faults
        self.fetchone, self.fetchall = cursor.fetchone, cursor.fetchall

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount

    def execute(self, sql: str, *params: Any) -> Any:
        return self._faced(sql, lambda: self._cursor.execute(sql, *params))

    def executemany(self, sql: str, rows: list[dict[str, Any]]) -> Any:
        return self._faced(sql, lambda: self._cursor.executemany(sql, rows))

    def _faced(self, sql: str, run: Callable[[], Any]) -> Any:
        self._raise(sql, is_late=False)
        found = run()
        self._raise(sql, is_late=True)
        return found

    def _raise(self, sql: str, *, is_late: bool) -> None:
        for fault in self._faults:
            if fault.strikes(sql, is_late=is_late):
                raise fault.error(f"made to fail: {sql}")


class Hand:
    """A clock that a test moves by hand, in milliseconds."""

    def __init__(self, now_ms: int = 1_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)


@contextmanager
def transaction_on(engine: SqliteEngine) -> Iterator[Callable[[], AbstractContextManager[Transaction]]]:
    """Transactions on a writing connection without a thread: `with begin() as transaction`, committed at the end."""
    connection = engine.open_writer()
    cursor = connection.cursor()

    @contextmanager
    def begin() -> Iterator[Transaction]:
        engine.begin(cursor)
        try:
            yield Transaction(cursor, engine.dialect)
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")

    yield begin
    connection.close()
