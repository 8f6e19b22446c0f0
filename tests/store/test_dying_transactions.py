"""The engine ends a transaction in mid-batch, or COMMIT fails: who is told what, what is stored, what is published."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from chat_server.errors import RoomNotFound, StoreUnavailable
from chat_server.store import writer
from chat_server.store.dialects.sqlite import SqliteEngine
from chat_server.store.transaction import Transaction
from tests.store.rig import (
    Fault,
    FaultyEngine,
    Ledger,
    add,
    awaited,
    database,
    engine_at,
    held,
    opened,
    rows,
    tell,
    together,
)

_CONFLICT = text("INSERT OR ROLLBACK INTO meta (key, value) VALUES ('epoch', 'again')")
_FILL = text("INSERT INTO meta (key, value) VALUES ('large', zeroblob(4000000))")
_INTERRUPTED = text(
    "INSERT INTO meta (key, value) WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many LIMIT 100000)"
    " SELECT 'row ' || n, interrupted() FROM many"
)
_DEFER = text("PRAGMA defer_foreign_keys = ON")
_ORPHAN = text("INSERT INTO topic_readers (topic, user_id) VALUES ('nowhere', 'nobody')")


class FullEngine(SqliteEngine):
    """A disk with a few pages left, and a function that interrupts whoever calls it."""

    def open_writer(self) -> sqlite3.Connection:
        connection = super().open_writer()
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 40}")
        connection.create_function("interrupted", 0, lambda: connection.interrupt() or "x")
        return connection


def died(statement: Any) -> Callable[[Transaction], None]:
    """A command whose statement ends the whole transaction."""

    def run(transaction: Transaction) -> None:
        add("of the culprit")(transaction)
        tell("room:a", b'"of the culprit"')(transaction)
        transaction.run(statement)

    return run


def noted(key: str) -> Callable[[Transaction], str]:
    """A command that adds a row, tells an event, and answers its key."""

    def run(transaction: Transaction) -> str:
        tell("room:a", b'"%s"' % key.encode())(transaction)
        transaction.signals.append(key)
        return add(key)(transaction)

    return run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@pytest.fixture(autouse=True)
def _ample_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BATCH_S", 60.0)


@pytest.mark.parametrize("statement", [_CONFLICT, _FILL, _INTERRUPTED], ids=["rolled back", "disk full", "interrupted"])
@awaited
async def test_when_the_transaction_dies_the_culprit_is_refused_and_the_others_succeed(
    path: Path, statement: Any
) -> None:
    ledger = Ledger()
    async with opened(engine_at(path, FullEngine), ledger) as store:
        results = await together(store, noted("ann"), noted("bob"), died(statement), noted("carol"))

        assert results[:2] == ["ann", "bob"]
        assert isinstance(results[2], StoreUnavailable)
        assert results[3] == "carol"
        assert list(await store.read(rows)) == ["ann", "bob", "carol"]
    assert [(found.offset, found.payload) for found in ledger.publications] == [
        (1, b'"ann"'),
        (2, b'"bob"'),
        (3, b'"carol"'),
    ]
    assert ledger.signals == ["ann", "bob", "carol"]


@awaited
async def test_of_several_culprits_each_is_refused_and_the_others_succeed(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        results = await together(
            store, died(_CONFLICT), noted("ann"), died(_CONFLICT), died(_CONFLICT), noted("bob"), died(_CONFLICT)
        )

        assert [type(found) for found in results] == [
            StoreUnavailable,
            str,
            StoreUnavailable,
            StoreUnavailable,
            str,
            StoreUnavailable,
        ]
        assert list(await store.read(rows)) == ["ann", "bob"]


@awaited
async def test_a_commands_own_error_stays_its_own_when_the_transaction_dies_after_it(path: Path) -> None:
    def refused(_: Transaction) -> None:
        raise RoomNotFound(room_id="a")

    async with opened(engine_at(path)) as store:
        results = await together(store, refused, died(_CONFLICT), noted("ann"))

        assert [type(found) for found in results] == [RoomNotFound, StoreUnavailable, str]


@awaited
async def test_a_command_that_hides_that_the_transaction_died_is_refused_all_the_same(path: Path) -> None:
    def hiding(transaction: Transaction) -> str:
        try:
            transaction.run(_CONFLICT)
        except sqlite3.IntegrityError:
            return "nothing happened"
        return "impossible"

    async with opened(engine_at(path)) as store:
        results = await together(store, noted("ann"), hiding, noted("bob"))

        assert [type(found) for found in results] == [str, StoreUnavailable, str]
        assert list(await store.read(rows)) == ["ann", "bob"]


@awaited
async def test_a_full_disk_that_has_room_again_is_written_without_a_restart(path: Path) -> None:
    connections: list[sqlite3.Connection] = []

    class Watched(FullEngine):
        def open_writer(self) -> sqlite3.Connection:
            connections.append(super().open_writer())
            return connections[-1]

    async with opened(engine_at(path, Watched)) as store:
        with pytest.raises(StoreUnavailable):
            await store.write(died(_FILL))
        connections[0].execute("PRAGMA max_page_count = 1000000")

        await store.write(lambda transaction: transaction.run(_FILL))

        assert "large" in await store.read(rows)


@pytest.mark.parametrize("is_late", [False, True], ids=["before it commits", "outcome unknown"])
@awaited
async def test_when_commit_fails_every_command_is_refused_and_nothing_is_published(path: Path, is_late: bool) -> None:
    ledger = Ledger()
    engine = FaultyEngine(path)
    async with opened(engine, ledger) as store:
        async with held(store):
            tasks = [asyncio.create_task(store.write(noted(name))) for name in ("ann", "bob")]
            await asyncio.sleep(0)
            engine.faults.append(Fault("COMMIT", is_late=is_late, after_statements=1))  # the first one is the holder's
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert [type(found) for found in results] == [StoreUnavailable, StoreUnavailable]
        assert ledger.commits == []
        assert (await store.read(rows) == {}) is not is_late
        assert await store.write(noted("carol")) == "carol"
    assert [found.payload for found in ledger.publications] == [b'"carol"']


@awaited
async def test_a_command_that_only_commit_can_judge_is_refused_with_its_batch(path: Path) -> None:
    """A real COMMIT that fails: a foreign key whose check was put off until then."""

    def deferred(transaction: Transaction) -> None:
        transaction.run(_DEFER)
        transaction.run(_ORPHAN)

    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        results = await together(store, noted("ann"), deferred)

        assert [type(found) for found in results] == [StoreUnavailable, StoreUnavailable]
        assert await store.read(rows) == {}
        assert ledger.commits == []
        assert await store.write(noted("bob")) == "bob"


@pytest.mark.parametrize("sql", ["BEGIN", "SAVEPOINT", "ROLLBACK TO", "INSERT INTO event_log"])
@awaited
async def test_whatever_statement_fails_all_are_answered_and_what_succeeded_is_stored_once(
    path: Path, sql: str
) -> None:
    def refused(_: Transaction) -> None:
        raise RoomNotFound(room_id="a")

    ledger = Ledger()
    engine = FaultyEngine(path)
    async with opened(engine, ledger) as store:
        async with held(store):
            tasks = [asyncio.create_task(store.write(command)) for command in (noted("ann"), refused, noted("bob"))]
            await asyncio.sleep(0)
            engine.faults.append(Fault(sql))
        results = await asyncio.gather(*tasks, return_exceptions=True)

        assert {type(found) for found in results} <= {str, RoomNotFound, StoreUnavailable}
        succeeded = [found for found in results if isinstance(found, str)]
        assert list(await store.read(rows)) == succeeded
        assert await store.write(noted("carol")) == "carol"
    assert [found.payload for found in ledger.publications] == [b'"%s"' % key.encode() for key in (*succeeded, "carol")]
    assert [found.offset for found in ledger.publications] == list(range(1, len(succeeded) + 2))


@awaited
async def test_a_store_that_goes_away_while_a_batch_is_run_again_answers_all_and_comes_back(path: Path) -> None:
    """The batch dies, its commands run again one by one, and then BEGIN fails too."""
    engine = FaultyEngine(path)
    manager = opened(engine)
    store = await manager.__aenter__()
    async with held(store):
        tasks = [asyncio.create_task(store.write(command)) for command in (noted("ann"), died(_CONFLICT), noted("bob"))]
        await asyncio.sleep(0)
        engine.faults.append(Fault("BEGIN", after_statements=1))  # the batch's own passes

    answered, unanswered = await asyncio.wait(tasks, timeout=2)
    late = asyncio.create_task(store.write(noted("carol")))
    answered_late, _ = await asyncio.wait([late], timeout=2)
    await manager.__aexit__(None, None, None)

    assert not unanswered, "their callers wait for ever"
    assert answered_late, "the writer is dead"
    assert {type(task.exception()) for task in answered} <= {type(None), StoreUnavailable}
    assert late.result() == "carol"


@awaited
async def test_offsets_that_a_dead_transaction_took_are_given_out_again(path: Path) -> None:
    ledger = Ledger()
    engine = FaultyEngine(path)
    async with opened(engine, ledger) as store:
        await store.write(tell("room:a"))
        engine.faults.append(Fault("COMMIT"))
        with pytest.raises(StoreUnavailable):
            await store.write(tell("room:a"))

        await store.write(tell("room:a"))

    assert [found.offset for found in ledger.publications] == [1, 2]


@awaited
async def test_that_another_process_wrote_is_not_forgotten_with_a_dead_transaction(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        await store.written_elsewhere()
        with sqlite3.connect(path) as other:
            other.execute("INSERT INTO meta (key, value) VALUES ('other', '')")
        other.close()

        async with held(store):
            asked = asyncio.create_task(store.written_elsewhere())
            culprit = asyncio.create_task(store.write(died(_CONFLICT)))

        assert isinstance((await asyncio.gather(culprit, return_exceptions=True))[0], StoreUnavailable)
        assert await asked or await store.written_elsewhere()


@awaited
async def test_a_database_that_another_program_locks_is_refused_and_written_when_it_is_free(path: Path) -> None:
    class Impatient(SqliteEngine):
        def open_writer(self) -> sqlite3.Connection:
            connection = super().open_writer()
            connection.execute("PRAGMA busy_timeout = 50")
            return connection

    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    async with opened(engine_at(path, Impatient)) as store:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            await store.write(add("ann"))
        assert await store.read(rows) == {}
        other.execute("ROLLBACK")

        assert await store.write(add("ann")) == "ann"
    other.close()


@awaited
async def test_the_thread_of_the_writer_ends_with_the_store(path: Path) -> None:
    others = set(threading.enumerate())

    async with opened(engine_at(path)) as store:
        with pytest.raises(StoreUnavailable):
            await store.write(died(_CONFLICT))
        ours = [thread.name for thread in set(threading.enumerate()) - others]
        assert ours.count("store-writer") == 1

    assert not [thread for thread in set(threading.enumerate()) - others if thread.name.startswith("store-")]
