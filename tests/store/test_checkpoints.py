"""SQLite's log is copied beside the writer, and begins anew: it does not grow for ever, whoever reads or fails."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from chat_server.store.dialects import checkpoints
from chat_server.store.dialects.checkpoints import Checkpoints
from chat_server.store.dialects.sqlite import LONGEST_LOG_PAGES, SqliteEngine
from chat_server.store.dialects.sqlite_file import Turns
from chat_server.store.store import Store
from tests.store.rig import PATIENCE_S, add, awaited, database, engine_at, opened, rows, until

ROWS = 20
SALTS = slice(16, 24)  # of the log's header: others each time it begins anew (sqlite.org/fileformat2.html#walformat)
KEYS = count()
INSERT = "INSERT INTO meta (key, value) VALUES (?, '')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "ROWS", ROWS)


def salts(path: Path) -> bytes:
    return path.with_name(f"{path.name}-wal").read_bytes()[SALTS]


async def write_rows(store: Store, how_many: int) -> None:
    for _ in range(how_many):
        await store.write(add(f"key-{next(KEYS):06}"))


async def until_anew(store: Store, path: Path) -> None:
    """Write until the log begins anew: it does so with the transaction that follows a whole copy.

    The writer itself would see to that only after more pages than are written here.
    """
    before = salts(path)
    for _ in range(LONGEST_LOG_PAGES // 50):
        await write_rows(store, 1)
        if salts(path) != before:
            return
    raise AssertionError("the log only grew")


@pytest.fixture
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who keeps a snapshot of what the log has now."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as connection:
        yield connection


@awaited
async def test_the_log_begins_anew_again_and_again(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        await write_rows(store, 1)
        for _ in range(5):
            await until_anew(store, path)
        written = await store.read(rows)

    async with opened(engine_at(path)) as store:
        assert await store.read(rows) == written


@awaited
async def test_a_store_that_changes_little_makes_no_checkpoint(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        await write_rows(store, 1)
        first = salts(path)
        await write_rows(store, ROWS // 2)

        assert salts(path) == first


@awaited
async def test_who_reads_an_old_snapshot_keeps_it_and_holds_up_nobody(path: Path, reader: sqlite3.Connection) -> None:
    async with opened(engine_at(path)) as store:
        await write_rows(store, 1)
        reader.execute("BEGIN")
        seen = reader.execute("SELECT count(*) FROM meta").fetchone()
        first = salts(path)

        await write_rows(store, 5 * ROWS)
        assert salts(path) == first, "what the reader sees is in the log"
        assert reader.execute("SELECT count(*) FROM meta").fetchone() == seen

        reader.execute("COMMIT")
        await until_anew(store, path)


@awaited
async def test_after_a_checkpoint_that_failed_comes_one_that_does_not(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_for_copies = []

    def open_one(self: SqliteEngine, mode: str) -> sqlite3.Connection:
        if threading.current_thread().name == "store-checkpoints":
            opened_for_copies.append(mode)
            if len(opened_for_copies) == 1:
                raise sqlite3.OperationalError("disk I/O error")
        return really_open(self, mode)  # type: ignore[arg-type]

    really_open = SqliteEngine._open
    monkeypatch.setattr(SqliteEngine, "_open", open_one)
    async with opened(engine_at(path)) as store:
        with caplog.at_level(logging.WARNING):
            await write_rows(store, ROWS + 1)
            await until(lambda: caplog.records, "the failure to be told")
        assert [record.message for record in caplog.records] == ["store.checkpoint_failed"]

        await until_anew(store, path)


def test_the_turns_of_one_process_exclude_each_other(path: Path) -> None:
    mine, other = Turns(path), Turns(path)
    has_turn = threading.Event()

    def take() -> None:
        with other.turn():
            has_turn.set()

    mine.open()
    other.open()
    thread = threading.Thread(target=take, daemon=True)
    with mine.turn():
        thread.start()
        assert not has_turn.wait(0.1)
    assert has_turn.wait(PATIENCE_S)
    thread.join()
    mine.close()
    other.close()


class _Overtaken(sqlite3.Connection):
    """A connection for copying that runs `meanwhile` after it copied nearly all."""

    meanwhile: Callable[[], None]

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        found = super().execute(sql, *values)
        if "PASSIVE" in sql:
            _Overtaken.meanwhile()
        return found


def test_what_is_written_and_read_while_it_copies_does_not_keep_the_log(
    path: Path, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "READERS_MS", PATIENCE_S * 1000)
    is_overtaken = threading.Event()
    timer = threading.Timer(0.05, reader.execute, ("COMMIT",))

    def meanwhile() -> None:
        writer.execute(INSERT, ("in the log",))
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM meta").fetchone()
        writer.execute(INSERT, ("after what is read",))
        timer.start()
        is_overtaken.set()

    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        monkeypatch.setattr(_Overtaken, "meanwhile", meanwhile, raising=False)
        copying = Checkpoints(path, partial(sqlite3.connect, path, isolation_level=None, factory=_Overtaken))
        copying.start()
        copying.watch(writer)
        writer.executemany(INSERT, [(f"key-{row}",) for row in range(ROWS)])
        copying.consider()
        assert is_overtaken.wait(PATIENCE_S)
        before = salts(path)
        copying.stop()
        timer.join()

        writer.execute(INSERT, ("afterwards",))
        assert salts(path) != before


def test_one_that_has_begun_is_ended_before_the_store_is_closed(path: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def connect() -> sqlite3.Connection:
        begun.set()
        assert go.wait(PATIENCE_S)
        return sqlite3.connect(path)

    with closing(sqlite3.connect(path, check_same_thread=False)) as writer:
        copying = Checkpoints(path, connect)
        copying.start()
        copying.watch(writer)
        writer.executemany(INSERT, [(f"key-{row}",) for row in range(ROWS)])
        copying.consider()
        assert begun.wait(PATIENCE_S)
        stopping = threading.Thread(target=copying.stop)
        stopping.start()
        stopping.join(0.1)
        assert stopping.is_alive()
        go.set()
        stopping.join(PATIENCE_S)
        assert not stopping.is_alive()
