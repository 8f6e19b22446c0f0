"""Reading: one snapshot, nothing written, an end to what takes too long, and the reader lives on."""

import asyncio
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import bindparam, text

from chat_server.errors import QueryTooSlow, RoomNotFound, StoreUnavailable
from chat_server.store import readers
from chat_server.store.transaction import Transaction
from tests.store.rig import add, awaited, database, engine_at, opened, rows, until

# Counts to `upto`: some seconds to LONG. Finite, so that a reader that nobody stops does end.
_COUNT = text(
    "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many LIMIT :upto) SELECT count(*) FROM many"
).bindparams(bindparam("upto"))
LONG = 10_000_000
LIMIT_S = 0.1


def count_long(transaction: Transaction) -> object:
    return transaction.one(_COUNT, upto=LONG)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@awaited
async def test_a_query_sees_one_snapshot_whatever_is_committed_meanwhile(path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    def look_twice(transaction: Transaction) -> tuple[dict[str, str], dict[str, str]]:
        first = rows(transaction)
        began.set()
        assert go_on.wait(10)
        return first, rows(transaction)

    async with opened(engine_at(path)) as store:
        await store.write(add("ann"))
        looking = asyncio.create_task(store.read(look_twice))
        await until(began.is_set)
        await store.write(add("bob"))
        go_on.set()
        first, second = await looking

        assert list(first) == list(second) == ["ann"]
        assert list(await store.read(rows)) == ["ann", "bob"]


@awaited
async def test_a_query_cannot_write(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        with pytest.raises(StoreUnavailable):
            await store.read(add("ann"))

        assert await store.read(rows) == {}


@awaited
async def test_a_post_does_not_wait_for_a_search(path: Path) -> None:
    began, go_on = threading.Event(), threading.Event()

    def search(_: Transaction) -> None:
        began.set()
        assert go_on.wait(10)

    async with opened(engine_at(path)) as store:
        searching = asyncio.create_task(store.read(search))
        await until(began.is_set)

        await store.write(add("ann"))

        assert not searching.done()
        go_on.set()
        await searching


@awaited
async def test_as_many_queries_run_beside_each_other_as_there_are_readers(path: Path) -> None:
    all_at_once = threading.Barrier(readers.READERS, timeout=10)
    async with opened(engine_at(path)) as store:
        places = await asyncio.gather(*(store.read(lambda _: all_at_once.wait()) for _ in range(readers.READERS)))

    assert sorted(places) == list(range(readers.READERS))


@awaited
async def test_what_a_query_raises_reaches_its_caller(path: Path) -> None:
    crash = ZeroDivisionError("ours")

    def refused(_: Transaction) -> None:
        raise RoomNotFound(room_id="a")

    def crashing(_: Transaction) -> None:
        raise crash

    async with opened(engine_at(path)) as store:
        with pytest.raises(RoomNotFound):
            await store.read(refused)
        with pytest.raises(ZeroDivisionError) as caught:
            await store.read(crashing)

        assert caught.value is crash


@awaited
async def test_a_query_that_the_engine_refuses_is_store_unavailable_and_the_reader_lives_on(path: Path) -> None:
    def wrong(transaction: Transaction) -> None:
        transaction.one(text("SELECT * FROM nowhere"))

    async with opened(engine_at(path)) as store:
        for _ in range(readers.READERS + 1):
            with pytest.raises(StoreUnavailable):
                await store.read(wrong)

        assert await store.read(rows) == {}


@awaited
async def test_a_query_over_the_limit_is_stopped_and_the_reader_lives_on(path: Path) -> None:
    async with opened(engine_at(path), query_limit_s=LIMIT_S) as store:
        for _ in range(readers.READERS + 1):
            with pytest.raises(QueryTooSlow) as caught:
                await store.read(count_long)
            assert caught.value.retry_after_s is not None

        assert await store.read(rows) == {}


@awaited
async def test_a_query_that_waited_over_the_limit_for_a_reader_is_not_begun(path: Path) -> None:
    go_on = threading.Event()
    begun: list[str] = []
    async with opened(engine_at(path), query_limit_s=LIMIT_S) as store:
        holding = [asyncio.create_task(store.read(lambda _: go_on.wait(10))) for _ in range(readers.READERS)]
        await asyncio.sleep(0)
        late = asyncio.create_task(store.read(lambda _: begun.append("late")))
        await asyncio.sleep(LIMIT_S * 2)
        go_on.set()

        with pytest.raises(QueryTooSlow):
            await late
        await asyncio.gather(*holding)
        assert begun == []


@awaited
async def test_the_limit_holds_for_a_query_of_several_statements(path: Path) -> None:
    """The limit passes while no statement runs: there is nothing to interrupt at that moment, but the next one."""

    def pause_and_count(transaction: Transaction) -> object:
        time.sleep(LIMIT_S * 2)
        return count_long(transaction)

    async with opened(engine_at(path), query_limit_s=LIMIT_S) as store:
        with pytest.raises(QueryTooSlow):
            await store.read(pause_and_count)


@awaited
async def test_a_query_whose_caller_gave_up_is_stopped_at_the_limit_all_the_same(path: Path) -> None:
    begun: list[int] = []
    ended: list[int] = []

    def abandoned(transaction: Transaction) -> None:
        begun.append(1)
        try:
            count_long(transaction)
        except engine.driver_error:
            ended.append(1)

    engine = engine_at(path)
    async with opened(engine, query_limit_s=LIMIT_S) as store:
        asking = [asyncio.create_task(store.read(abandoned)) for _ in range(readers.READERS)]
        await until(lambda: len(begun) == readers.READERS)
        for task in asking:
            task.cancel()

        await until(lambda: len(ended) == readers.READERS, "the readers to be free again", patience_s=1.5)


@awaited
async def test_an_interrupt_never_hits_the_next_query(path: Path) -> None:
    """Short queries at full speed beside ones that are interrupted again and again."""

    async def short() -> int:
        found = await store.read(lambda transaction: transaction.one(_COUNT, upto=200))
        return int(found[0])

    async def slow() -> None:
        with pytest.raises(QueryTooSlow):
            await store.read(count_long)

    async with opened(engine_at(path), query_limit_s=0.02) as store:
        async with asyncio.TaskGroup() as tasks:
            stopped = tasks.create_task(_repeated(slow, 15))
            answered = 0
            while not stopped.done():
                try:
                    assert await short() == 200
                    answered += 1
                except (
                    QueryTooSlow
                ):  # it waited for a reader too long; hit by another's interrupt it is StoreUnavailable
                    pass

        assert answered > 0
        assert await store.read(rows) == {}


async def _repeated(work: object, times: int) -> None:
    for _ in range(times):
        await work()  # type: ignore[operator]


@awaited
async def test_a_query_that_was_given_up_before_it_began_is_not_run(path: Path) -> None:
    go_on = threading.Event()
    begun: list[str] = []
    async with opened(engine_at(path)) as store:
        holding = [asyncio.create_task(store.read(lambda _: go_on.wait(10))) for _ in range(readers.READERS)]
        await asyncio.sleep(0)
        given_up = asyncio.create_task(store.read(lambda _: begun.append("given up")))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(*holding)
        await store.read(rows)

    assert begun == []


@awaited
async def test_more_waiting_queries_than_the_bound_are_refused_at_once(path: Path) -> None:
    go_on, all_busy = threading.Event(), threading.Barrier(readers.READERS + 1, timeout=10)

    def hold(_: Transaction) -> None:
        all_busy.wait()
        go_on.wait(20)

    async with opened(engine_at(path), query_limit_s=60) as store:
        holding = [asyncio.create_task(store.read(hold)) for _ in range(readers.READERS)]
        await asyncio.to_thread(all_busy.wait)
        waiting = [asyncio.create_task(store.read(lambda _: "read")) for _ in range(readers.WAITING_QUERIES)]
        await asyncio.sleep(0)

        with pytest.raises(StoreUnavailable):
            await store.read(lambda _: "too many")

        go_on.set()
        await asyncio.gather(*holding)
        assert await asyncio.gather(*waiting) == ["read"] * readers.WAITING_QUERIES


@awaited
async def test_queries_that_come_while_the_store_closes_are_answered(path: Path) -> None:
    go_on = threading.Event()
    manager = opened(engine_at(path), query_limit_s=0.5)
    store = await manager.__aenter__()
    holding = [asyncio.create_task(store.read(lambda _: go_on.wait(10))) for _ in range(readers.READERS)]
    await asyncio.sleep(0)
    closing = asyncio.create_task(manager.__aexit__(None, None, None))
    late = []

    for _ in range(50):
        late.append(asyncio.create_task(store.read(rows)))
        await asyncio.sleep(0.002)
    go_on.set()
    await closing
    await asyncio.gather(*holding, return_exceptions=True)

    _, unanswered = await asyncio.wait(late, timeout=2)
    for task in late:
        task.cancel()
    assert not unanswered, "their callers wait for ever"
