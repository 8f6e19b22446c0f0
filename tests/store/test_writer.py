"""One batch, one transaction, one commit; and each command's fate its own."""

import asyncio
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import bindparam, select

from chat_server.errors import RoomNotFound, StoreUnavailable
from chat_server.store import event_log, writer
from chat_server.store.schema import meta
from chat_server.store.transaction import Transaction
from chat_server.store.writer import Commit
from tests.store.rig import (
    ADD,
    PATIENCE_S,
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
    until,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@pytest.fixture
def ample_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch ends by its number of commands only, however busy this machine is."""
    monkeypatch.setattr(writer, "BATCH_S", 60.0)


@awaited
async def test_each_caller_gets_the_result_of_its_own_command(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        results = await together(store, *(add(f"key-{number:03}") for number in range(200)))

        assert results == [f"key-{number:03}" for number in range(200)]
        assert list(await store.read(rows)) == results


@pytest.mark.usefixtures("ample_time")
@awaited
async def test_commands_that_wait_together_share_one_commit(path: Path) -> None:
    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        await together(store, *(tell("room:a") for _ in range(writer.BATCH_COMMANDS)))

    assert [len(commit.publications) for commit in ledger.commits] == [writer.BATCH_COMMANDS]


@pytest.mark.usefixtures("ample_time")
@awaited
async def test_a_batch_has_no_more_commands_than_its_bound(path: Path) -> None:
    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        await together(store, *(tell("room:a") for _ in range(2 * writer.BATCH_COMMANDS + 5)))

    assert [len(commit.publications) for commit in ledger.commits] == [writer.BATCH_COMMANDS] * 2 + [5]


@awaited
async def test_a_slow_command_ends_its_batch_so_that_it_is_answered(path: Path) -> None:
    go_on = threading.Event()

    def slow(_: Transaction) -> None:
        threading.Event().wait(writer.BATCH_S * 2)

    async with opened(engine_at(path)) as store:
        async with held(store):
            first = asyncio.create_task(store.write(slow))
            second = asyncio.create_task(store.write(lambda _: go_on.wait(10)))

        await first

        assert not second.done()
        go_on.set()
        assert await second is True


@awaited
async def test_what_comes_one_after_another_behind_a_batch_is_taken_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BETWEEN_S", 0.5)
    ledger, waiting = Ledger(), []
    async with opened(engine_at(path), ledger) as store:
        await together(store, tell("room:a"), tell("room:a"))
        for _ in range(5):
            waiting.append(asyncio.create_task(store.write(tell("room:a"))))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)

    assert [len(commit.publications) for commit in ledger.commits] == [2, 5]


@awaited
async def test_a_lone_sender_waits_for_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "BETWEEN_S", PATIENCE_S)
    async with opened(engine_at(path)) as store, asyncio.timeout(PATIENCE_S / 2):
        for number in range(3):
            assert await store.write(add(str(number))) == str(number)


@pytest.mark.usefixtures("ample_time")
@awaited
async def test_a_command_sees_what_the_one_before_it_in_the_batch_did(path: Path) -> None:
    find = select(meta.c.value).where(meta.c.key == bindparam("wanted"))
    async with opened(engine_at(path)) as store:
        results = await together(store, add("ann", "first"), lambda transaction: transaction.one(find, wanted="ann"))

    assert results == ["ann", ("first",)]


@pytest.mark.usefixtures("ample_time")
@awaited
async def test_a_command_that_fails_takes_back_its_rows_events_and_signals_only(path: Path) -> None:
    def failing(transaction: Transaction) -> None:
        add("gone")(transaction)
        tell("room:a", b'"gone"')(transaction)
        transaction.signals.append("gone")
        raise RoomNotFound(room_id="a")

    def signalling(transaction: Transaction) -> None:
        transaction.signals.append("kept")

    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        before, error, after, signalled = await together(
            store, tell("room:a", b'"1"'), failing, tell("room:a", b'"2"'), signalling
        )

        assert before is None
        assert isinstance(error, RoomNotFound)
        assert after is None
        assert signalled is None
        assert await store.read(rows) == {}
    assert [(found.offset, found.payload) for found in ledger.publications] == [(1, b'"1"'), (2, b'"2"')]
    assert ledger.signals == ["kept"]


@awaited
async def test_what_a_refused_command_told_before_it_wrote_anything_is_heard_by_nobody(path: Path) -> None:
    def refused(transaction: Transaction) -> None:
        tell("room:a", b'"gone"')(transaction)
        transaction.signals.append("gone")
        raise RoomNotFound(room_id="a")

    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        await together(store, tell("room:a", b'"1"'), refused, tell("room:a", b'"2"'))

    assert [(found.offset, found.payload) for found in ledger.publications] == [(1, b'"1"'), (2, b'"2"')]
    assert ledger.signals == []


@pytest.mark.usefixtures("ample_time")
@awaited
async def test_a_command_that_was_refused_is_not_run_again_and_only_one_that_wrote_costs_the_others_a_second_run(
    path: Path,
) -> None:
    ran: list[str] = []
    numbers = count()

    def running(name: str, *, writes: bool, fails: bool) -> Callable[[Transaction], str]:
        def run(transaction: Transaction) -> str:
            ran.append(name)
            if writes:
                add(f"{name} {next(numbers)}")(transaction)
            if fails:
                raise RoomNotFound(room_id="a")
            return name

        return run

    first, last = running("first", writes=True, fails=False), running("last", writes=True, fails=False)
    async with opened(engine_at(path)) as store:
        for writes, runs in ((False, ["first", "refused", "last"]), (True, ["first", "refused", "first", "last"])):
            ran.clear()
            found = await together(store, first, running("refused", writes=writes, fails=True), last)

            assert [type(outcome) for outcome in found] == [str, RoomNotFound, str]
            assert ran == runs
        assert not any(key.startswith("refused") for key in await store.read(rows))


@awaited
async def test_a_command_that_crashes_hands_its_own_exception_to_its_caller(path: Path) -> None:
    crash = ZeroDivisionError("ours")

    def crashing(_: Transaction) -> None:
        raise crash

    async with opened(engine_at(path)) as store:
        error, key = await together(store, crashing, add("kept"))

        assert error is crash
        assert key == "kept"


@awaited
async def test_a_driver_error_that_a_command_lets_pass_is_store_unavailable_and_temporary(path: Path) -> None:
    def twice(transaction: Transaction) -> None:
        transaction.run(ADD, key="same", value="")
        transaction.run(ADD, key="same", value="")

    async with opened(engine_at(path)) as store:
        error, key = await together(store, twice, add("kept"))

        assert isinstance(error, StoreUnavailable)
        assert error.temporary
        assert error.retry_after_s is not None
        assert key == "kept"
        assert await store.read(rows) == {"kept": ""}


@awaited
async def test_a_command_may_handle_a_conflict_itself_and_go_on(path: Path) -> None:
    engine = engine_at(path)

    def careful(transaction: Transaction) -> str:
        add("same")(transaction)
        try:
            add("same")(transaction)
        except engine.integrity_error:
            add("instead")(transaction)
        return "done"

    async with opened(engine) as store:
        assert await store.write(careful) == "done"
        assert await store.read(rows) == {"same": "", "instead": ""}


@awaited
async def test_the_world_hears_of_a_commit_before_the_callers_do(path: Path) -> None:
    order: list[str] = []
    async with opened(engine_at(path)) as store:
        store.on_commit = lambda commit: order.append(f"commit of {len(commit.publications)}")
        writing = asyncio.create_task(store.write(tell("room:a")))
        writing.add_done_callback(lambda _: order.append("answer"))
        await writing
        await until(lambda: len(order) == 2)

    assert order == ["commit of 1", "answer"]


@awaited
async def test_nothing_is_published_before_it_is_committed(path: Path) -> None:
    """A reader on another connection finds every publication in the log at the moment it is told."""
    found: list[tuple[int, int]] = []
    other = engine_at(path).open_reader()

    def look(commit: Commit) -> None:
        stored = other.execute("SELECT max(offset) FROM event_log WHERE channel = 'room:a'").fetchone()[0]
        found.extend((publication.offset, stored) for publication in commit.publications)

    async with opened(engine_at(path)) as store:
        store.on_commit = look
        await asyncio.gather(*(store.write(tell("room:a")) for _ in range(50)))
    other.close()

    assert [offset for offset, _ in found] == list(range(1, 51))
    assert all(stored >= offset for offset, stored in found)


@awaited
async def test_a_commit_without_events_and_signals_is_told_to_nobody(path: Path) -> None:
    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        await store.write(add("quiet"))

    assert ledger.commits == []


@awaited
async def test_a_read_after_an_answer_sees_what_was_written(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        for number in range(30):
            await store.write(add(f"{number:02}"))

            assert len(await store.read(rows)) == number + 1


@awaited
async def test_a_caller_that_gives_up_leaves_its_command_and_the_others_alone(path: Path) -> None:
    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        async with held(store):
            impatient = asyncio.create_task(store.write(tell("room:a")))
            patient = asyncio.create_task(store.write(tell("room:a")))
            await asyncio.sleep(0)
            impatient.cancel()
        await patient

        assert impatient.cancelled()
    assert [publication.offset for publication in ledger.publications] == [1, 2]


@awaited
async def test_more_waiting_commands_than_the_bound_are_refused_at_once_and_the_rest_carried_out(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        async with held(store):
            waiting = [asyncio.create_task(store.write(lambda _: "done")) for _ in range(writer.WAITING_COMMANDS)]
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable):
                await store.write(lambda _: "too many")
            assert not waiting[0].done()

        assert await asyncio.gather(*waiting) == ["done"] * writer.WAITING_COMMANDS
        assert await store.write(lambda _: "there is room again") == "there is room again"


@awaited
async def test_leaving_the_store_finishes_what_waits(path: Path) -> None:
    async with opened(engine_at(path)) as store, held(store):
        waiting = [asyncio.create_task(store.write(add(f"{number}"))) for number in range(5)]

    assert await asyncio.gather(*waiting) == ["0", "1", "2", "3", "4"]


@awaited
async def test_a_command_that_comes_while_the_store_closes_is_carried_out_or_refused_but_answered(path: Path) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        entered.set()
        go_on.wait(10)

    manager = opened(engine_at(path))
    store = await manager.__aenter__()
    holding = asyncio.create_task(store.write(hold))
    await until(entered.is_set)
    closing = asyncio.create_task(manager.__aexit__(None, None, None))
    await asyncio.sleep(0)

    late = asyncio.create_task(store.write(add("late")))
    await asyncio.sleep(0)
    go_on.set()
    await closing
    await holding

    answered, _ = await asyncio.wait([late], timeout=2)
    late.cancel()
    assert answered, "the caller waits for ever"


@awaited
async def test_a_closed_store_refuses_at_once(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        pass

    with pytest.raises(StoreUnavailable):
        await store.write(add("late"))
    with pytest.raises(StoreUnavailable):
        await store.read(rows)


@awaited
async def test_an_event_is_stamped_with_the_stores_clock(path: Path) -> None:
    async with opened(engine_at(path), clock_ms=lambda: 1_234_567) as store:
        await store.write(tell("room:a"))

    stamp = engine_at(path).open_reader().execute("SELECT at FROM event_log").fetchall()
    assert stamp == [(1_234_567,)]


@awaited
async def test_the_store_knows_its_epoch_from_the_start(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        assert store.epoch == await store.read(event_log.epoch)
        assert len(store.epoch) >= 8
