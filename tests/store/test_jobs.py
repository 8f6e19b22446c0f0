"""Work after a commit: done once, tried again after longer and longer waits, never lost."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import select, text

from chat_server.errors import RoomNotFound, StoreUnavailable
from chat_server.store import jobs
from chat_server.store.jobs import ADDED, ATTEMPTS, Jobs
from chat_server.store.schema import jobs as table
from chat_server.store.store import Store
from chat_server.store.transaction import Told, Transaction
from chat_server.store.writer import Commit
from tests.store.rig import Fault, FaultyEngine, Hand, Ledger, add, awaited, database, engine_at, opened, rows, until

_STORED = select(table.c.kind, table.c.payload, table.c.run_at, table.c.attempts, table.c.failed, table.c.last_error)
_DIES = text("INSERT OR ROLLBACK INTO meta (key, value) VALUES ('epoch', 'again')")


def stored(transaction: Transaction) -> list[tuple[object, ...]]:
    return transaction.all(_STORED.order_by(table.c.run_at))


def note(transaction: Transaction, payload: str) -> None:
    """A job that leaves a row under its payload."""
    add(payload)(transaction)


def fail(transaction: Transaction, payload: str) -> None:
    """A job that does something and then breaks."""
    add(payload)(transaction)
    transaction.told.append(Told("room:a", b"{}"))
    jobs.add(transaction, "note", "from a failed job", 0)
    raise ZeroDivisionError(payload)


def later(kind: str, payload: str, at_ms: int = 0) -> Callable[[Transaction], None]:
    return lambda transaction: jobs.add(transaction, kind, payload, at_ms)


@asynccontextmanager
async def running(found: Jobs) -> AsyncIterator[None]:
    task = asyncio.create_task(found.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@pytest.fixture
def clock() -> Hand:
    return Hand()


@awaited
async def test_a_job_runs_once_and_its_row_goes_with_it(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        found = Jobs(store, {"note": note})
        await store.write(later("note", "done"))

        assert await found.run_one() is True

        assert await store.read(rows) == {"done": ""}
        assert await store.read(stored) == []
        assert await found.run_one() is False


@awaited
async def test_a_job_of_a_command_that_fails_is_never_run(path: Path) -> None:
    def refused(transaction: Transaction) -> None:
        later("note", "gone")(transaction)
        raise RoomNotFound(room_id="a")

    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        with pytest.raises(RoomNotFound):
            await store.write(refused)

        assert await Jobs(store, {"note": note}).run_one() is False
    assert ledger.signals == []


@awaited
async def test_a_job_is_not_run_before_its_time_and_the_longest_due_goes_first(path: Path, clock: Hand) -> None:
    async with opened(engine_at(path), clock_ms=clock) as store:
        found = Jobs(store, {"note": note})
        for payload, wait_ms in (("third", 3_000), ("first", 1_000), ("second", 2_000)):
            await store.write(later("note", payload, clock() + wait_ms))

        assert await found.run_one() is False
        clock.advance(1)
        assert await found.run_one() is True
        assert await found.run_one() is False
        assert await store.read(rows) == {"first": ""}
        clock.advance(5)
        assert await found.run_one() is True
        assert set(await store.read(rows)) == {"first", "second"}


@awaited
async def test_what_a_failing_job_did_is_undone_and_its_row_says_why(path: Path, clock: Hand) -> None:
    ledger = Ledger()
    async with opened(engine_at(path), ledger, clock_ms=clock) as store:
        await store.write(later("fail", "why"))

        assert await Jobs(store, {"fail": fail}).run_one() is True

        assert await store.read(rows) == {}
        assert await store.read(stored) == [("fail", "why", clock() + 1_000, 1, 0, "ZeroDivisionError: why")]
    assert ledger.publications == []


@awaited
async def test_a_failing_job_waits_twice_as_long_each_time_and_is_given_up_in_the_end(path: Path, clock: Hand) -> None:
    async with opened(engine_at(path), clock_ms=clock) as store:
        found = Jobs(store, {"fail": fail})
        await store.write(later("fail", "x"))
        waits_s = []
        for _ in range(ATTEMPTS - 1):
            assert await found.run_one() is True
            wait_ms = int(str((await store.read(stored))[0][2])) - clock()
            waits_s.append(wait_ms / 1000)
            clock.advance(wait_ms / 1000 - 0.001)
            assert await found.run_one() is False
            clock.advance(0.001)

        assert await found.run_one() is True

        assert waits_s == [min(3600, 2**number) for number in range(ATTEMPTS - 1)]
        assert [row[3:5] for row in await store.read(stored)] == [(ATTEMPTS, 1)]
        clock.advance(100 * 24 * 3600)
        assert await found.run_one() is False


@awaited
async def test_a_job_that_succeeds_after_failures_is_done(path: Path, clock: Hand) -> None:
    tried: list[str] = []

    def flaky(transaction: Transaction, payload: str) -> None:
        add(payload)(transaction)
        tried.append(payload)
        if len(tried) < 3:
            raise ConnectionError(payload)

    async with opened(engine_at(path), clock_ms=clock) as store:
        found = Jobs(store, {"flaky": flaky})
        await store.write(later("flaky", "done"))
        for _ in range(3):
            await found.run_one()
            clock.advance(10)

        assert await store.read(rows) == {"done": ""}
        assert await store.read(stored) == []


@awaited
async def test_a_job_of_an_unknown_kind_is_kept_for_a_version_that_knows_it(path: Path, clock: Hand) -> None:
    async with opened(engine_at(path), clock_ms=clock) as store:
        await store.write(later("newer", "x"))
        await store.write(later("note", "done", 1))

        assert await Jobs(store, {"note": note}).run_one() is True
        assert await Jobs(store, {"note": note}).run_one() is True

        assert await store.read(rows) == {"done": ""}
        clock.advance(10)
        assert await Jobs(store, {"newer": note}).run_one() is True
        assert await store.read(rows) == {"done": "", "x": ""}


@awaited
async def test_a_job_whose_commit_failed_has_done_nothing_and_runs_again(path: Path, clock: Hand) -> None:
    engine = FaultyEngine(path)
    async with opened(engine, clock_ms=clock) as store:
        found = Jobs(store, {"note": note})
        await store.write(later("note", "done"))
        engine.faults.append(Fault("COMMIT"))
        with suppress(StoreUnavailable):
            await found.run_one()

        assert await store.read(rows) == {}
        clock.advance(10)
        assert await found.run_one() is True
        assert await store.read(rows) == {"done": ""}
        assert await found.run_one() is False


@awaited
async def test_a_job_that_ends_its_transaction_is_put_off_and_does_not_hold_up_the_others(
    path: Path, clock: Hand
) -> None:
    """SQLITE_FULL in a job, say: it has failed like any other, and what is due after it has its turn."""
    async with opened(engine_at(path), clock_ms=clock) as store:
        found = Jobs(store, {"note": note, "dies": lambda transaction, _: transaction.run(_DIES)})
        await store.write(later("dies", "", 1))
        await store.write(later("note", "done", 2))

        for _ in range(3):
            with suppress(StoreUnavailable):
                await found.run_one()

        assert await store.read(rows) == {"done": ""}
        assert [row[3] for row in await store.read(stored)] == [1]


_CRASHES = """
import asyncio, os, sys
from sqlalchemy import make_url
from chat_server.store import jobs
from chat_server.store.dialects.sqlite import SqliteEngine
from chat_server.store.store import Store
from tests.store.rig import add

def crash(transaction, payload):
    add(payload)(transaction)
    os._exit(7)

async def main():
    async with Store(SqliteEngine(make_url(sys.argv[1]), "FULL")) as store:
        await store.write(lambda transaction: jobs.add(transaction, "crash", "done", 0))
        await jobs.Jobs(store, {"crash": crash}).run_one()

asyncio.run(main())
"""


@awaited
async def test_a_job_survives_a_crash_in_the_middle_of_it(path: Path) -> None:
    root = str(Path(__file__).parents[2])
    crashed = subprocess.run([sys.executable, "-c", _CRASHES, f"sqlite:///{path}"], cwd=root, timeout=30, check=False)
    assert crashed.returncode == 7

    async with opened(engine_at(path)) as store:
        assert await store.read(rows) == {}
        assert await Jobs(store, {"crash": note}).run_one() is True

        assert await store.read(rows) == {"done": ""}


@awaited
async def test_two_workers_on_one_database_run_each_job_once(path: Path) -> None:
    ran: list[str] = []

    def noted(transaction: Transaction, payload: str) -> None:
        ran.append(payload)
        note(transaction, payload)

    async def drain(store: Store) -> None:
        while await Jobs(store, {"note": noted}).run_one():
            pass

    async with opened(engine_at(path)) as first, opened(engine_at(path)) as second:
        names = [f"{number:02}" for number in range(30)]
        await asyncio.gather(*(first.write(later("note", name)) for name in names))

        await asyncio.gather(drain(first), drain(second))

        assert sorted(ran) == names
        assert list(await first.read(rows)) == names


@awaited
async def test_a_job_runs_soon_after_its_commit_without_waiting_for_the_poll(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "POLL_S", 3600.0)
    async with opened(engine_at(path)) as store:
        found = Jobs(store, {"note": note})

        def heard(commit: Commit) -> None:
            if ADDED in commit.signals:
                found.wake()

        store.on_commit = heard
        async with running(found):
            for number in range(20):
                await store.write(later("note", f"{number:02}"))
                while f"{number:02}" not in await store.read(rows):
                    await asyncio.sleep(0)


@awaited
async def test_the_loop_finds_a_job_whose_time_has_come_by_itself(
    path: Path, clock: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "POLL_S", 0.01)
    async with opened(engine_at(path), clock_ms=clock) as store:
        await store.write(later("note", "done", clock() + 5_000))
        async with running(Jobs(store, {"note": note})):
            assert await store.read(rows) == {}
            clock.advance(5)

            while await store.read(rows) != {"done": ""}:
                await asyncio.sleep(0)


@pytest.mark.parametrize("after_statements", [0, 1], ids=["at its start", "later"])
@awaited
async def test_the_loop_waits_for_a_store_that_is_away(
    path: Path, monkeypatch: pytest.MonkeyPatch, after_statements: int
) -> None:
    monkeypatch.setattr(jobs, "POLL_S", 0.01)
    engine = FaultyEngine(path)
    async with opened(engine) as store:
        await store.write(later("note", "done"))
        engine.faults.append(Fault("BEGIN", times=3, after_statements=after_statements))

        def hourly(transaction: Transaction, _: str) -> None:
            jobs.again(transaction, "hourly", "", store.clock_ms() + 3_600_000)

        task = asyncio.create_task(Jobs(store, {"note": note, "hourly": hourly}, recurring=("hourly",)).run())
        await until(lambda: task.done() or not engine.faults[0].times, "the store to be away")

        while not task.done() and await store.read(rows) != {"done": ""}:
            await asyncio.sleep(0)
        assert not task.done(), task.exception()
        task.cancel()


@awaited
async def test_of_a_recurring_job_there_is_one_however_often_it_is_ensured(path: Path, clock: Hand) -> None:
    async with opened(engine_at(path), clock_ms=clock) as store:
        for at in (5, 1, 9):
            await store.write(lambda transaction, at=at: jobs.ensure(transaction, "hourly", at))

        assert await store.read(stored) == [("hourly", "", 5, 0, 0, "")]


@awaited
async def test_a_recurring_job_goes_on_from_where_it_left_off_and_never_gives_up(path: Path, clock: Hand) -> None:
    seen: list[str] = []

    def hourly(transaction: Transaction, payload: str) -> None:
        seen.append(payload)
        if 2 <= len(seen) < 2 + 2 * ATTEMPTS:
            raise ConnectionError
        jobs.again(transaction, "hourly", payload + "x", clock() + 3_600_000)

    async with opened(engine_at(path), clock_ms=clock) as store:
        found = Jobs(store, {"hourly": hourly}, recurring=("hourly",))
        await store.write(lambda transaction: jobs.ensure(transaction, "hourly", clock()))
        for _ in range(2 + 2 * ATTEMPTS):
            assert await found.run_one() is True
            assert await found.run_one() is False
            clock.advance(3_600)

        assert set(seen[1:]) == {"x"}
        assert await store.read(stored) == [("hourly", "xx", clock(), 0, 0, "")]
