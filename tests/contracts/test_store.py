"""What every database engine must give the store. Another engine joins by one line in ENGINES."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import bindparam, false, func, insert, select, text

from chat_server.errors import QueryTooSlow, RoomNotFound, StoreUnavailable
from chat_server.store import event_log, jobs
from chat_server.store.dialects import Engine
from chat_server.store.engine import migrate, open_engine
from chat_server.store.event_log import Position
from chat_server.store.idempotency import Once, keep_answer, kept_answer
from chat_server.store.jobs import Jobs
from chat_server.store.schema import idempotency, meta
from chat_server.store.schema import jobs as job_table
from chat_server.store.store import Store
from chat_server.store.transaction import Told, Transaction
from tests.store.rig import ADD, Hand, Ledger, add, awaited, opened, rows, tell, together

NewEngine = Callable[[], Engine]


def sqlite(request: pytest.FixtureRequest) -> str:
    """The URL of a migrated database of one's own."""
    url = f"sqlite:///{request.getfixturevalue('tmp_path') / 'chat.db'}"
    migrate(url)
    return url


def postgresql(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("postgres").clean_database()
    return found


ENGINES = [sqlite, postgresql]


@pytest.fixture(params=ENGINES, ids=lambda made: made.__name__)
def new_engine(request: pytest.FixtureRequest) -> NewEngine:
    """Each call opens the same database once more, as another worker would."""
    url: str = request.param(request)
    return lambda: open_engine(url)


def since(channel: str, offset: int = 0) -> Callable[[Transaction], list[int]]:
    return lambda transaction: [found.offset for found in event_log.since(transaction, channel, offset, 10_000)]


def position(channel: str) -> Callable[[Transaction], Position]:
    return lambda transaction: event_log.position(transaction, channel)


@awaited
async def test_what_was_acknowledged_is_read_by_every_worker(new_engine: NewEngine) -> None:
    async with opened(new_engine()) as first, opened(new_engine()) as second:
        await first.write(add("ann", "here"))

        assert await first.read(rows) == await second.read(rows) == {"ann": "here"}


@awaited
async def test_workers_of_one_database_have_one_epoch(new_engine: NewEngine) -> None:
    async with opened(new_engine()) as first, opened(new_engine()) as second:
        assert first.epoch == second.epoch != ""


@awaited
async def test_a_commands_error_undoes_that_command_only(new_engine: NewEngine) -> None:
    def refused(transaction: Transaction) -> None:
        add("gone")(transaction)
        transaction.told.append(Told("room:a", b"gone"))
        raise RoomNotFound(room_id="a")

    ledger = Ledger()
    async with opened(new_engine(), ledger) as store:
        results = await together(store, add("ann"), refused, tell("room:a", b"1"), add("bob"))

        assert results[0::3] == ["ann", "bob"]
        assert isinstance(results[1], RoomNotFound)
        assert list(await store.read(rows)) == ["ann", "bob"]
    assert [(found.offset, found.payload) for found in ledger.publications] == [(1, b"1")]


@awaited
async def test_an_integrity_error_undoes_that_command_only(new_engine: NewEngine) -> None:
    def twice(transaction: Transaction) -> None:
        transaction.run(ADD, key="same", value="")
        transaction.run(ADD, key="same", value="")

    async with opened(new_engine()) as store:
        results = await together(store, add("ann"), twice, add("bob"))

        assert results[0::2] == ["ann", "bob"]
        assert isinstance(results[1], StoreUnavailable)
        assert list(await store.read(rows)) == ["ann", "bob"]


@awaited
async def test_an_integrity_error_is_known_as_such(new_engine: NewEngine) -> None:
    engine = new_engine()

    def twice(transaction: Transaction) -> None:
        add("same")(transaction)
        with pytest.raises(engine.integrity_error):
            add("same")(transaction)
        raise RoomNotFound(room_id="a")

    assert issubclass(engine.integrity_error, engine.driver_error)
    async with opened(engine) as store:
        with pytest.raises(RoomNotFound):
            await store.write(twice)


@awaited
async def test_offsets_are_contiguous_from_one_and_in_commit_order_over_all_workers(new_engine: NewEngine) -> None:
    ledgers = Ledger(), Ledger()
    async with opened(new_engine(), ledgers[0]) as first, opened(new_engine(), ledgers[1]) as second:
        writes = [store.write(tell(channel)) for _ in range(40) for store in (first, second) for channel in ("a", "b")]
        await asyncio.gather(*writes)

        for channel in ("a", "b"):
            heard = [[found.offset for found in ledger.publications if found.channel == channel] for ledger in ledgers]
            assert all(offsets == sorted(offsets) for offsets in heard)
            assert sorted(heard[0] + heard[1]) == list(range(1, 81))
            assert await first.read(since(channel)) == list(range(1, 81))
            assert await second.read(position(channel)) == Position(head=80, tail=0)


@awaited
async def test_a_hole_that_a_reader_sees_is_committed_already(new_engine: NewEngine) -> None:
    """Whoever sees offset n in the log can read all before it: offsets follow commit order."""
    async with opened(new_engine()) as first, opened(new_engine()) as second, opened(new_engine()) as reader:
        writes = asyncio.gather(*(store.write(tell("room:a")) for _ in range(150) for store in (first, second)))
        looks = 0
        while not writes.done():
            seen = await reader.read(since("room:a"))
            assert seen == list(range(1, len(seen) + 1))
            looks += 1
        await writes

    assert looks > 0


@awaited
async def test_one_transaction_may_tell_many_channels_many_events(new_engine: NewEngine) -> None:
    def much(transaction: Transaction) -> None:
        transaction.told += [Told(f"user:{number % 300}", b"%d" % number) for number in range(900)]

    async with opened(new_engine()) as store:
        await store.write(much)

        names = [f"user:{number}" for number in range(300)]
        found = await store.read(lambda transaction: event_log.heads(transaction, names))
        assert found == dict.fromkeys(names, 3)


@awaited
async def test_the_log_is_read_from_both_ends_and_trimmed_but_never_emptied(new_engine: NewEngine) -> None:
    clock = Hand()
    async with opened(new_engine(), clock_ms=clock) as store:
        for _ in range(3):
            await store.write(tell("room:a", b"old"))
        clock.advance(60)
        await store.write(tell("room:a", b"new"))

        def pages(transaction: Transaction) -> tuple[list[int], list[int]]:
            after = event_log.since(transaction, "room:a", 1, 2)
            earlier = event_log.before(transaction, "room:a", 4, 2)
            return [found.offset for found in after], [found.offset for found in earlier]

        assert await store.read(pages) == ([2, 3], [3, 2])
        assert await store.write(lambda transaction: event_log.trim(transaction, clock() + 1, "", 10)) is None
        assert await store.read(position("room:a")) == Position(head=4, tail=3)
        assert await store.read(since("room:a")) == [4]


@awaited
async def test_a_payload_comes_back_byte_by_byte(new_engine: NewEngine) -> None:
    payload = bytes(range(256)) * 300
    async with opened(new_engine()) as store:
        await store.write(tell("room:a", payload))

        found = await store.read(lambda transaction: event_log.since(transaction, "room:a", 0, 1))
        assert found[0].payload == payload
        assert type(found[0].payload) is bytes


@awaited
async def test_a_query_sees_one_snapshot(new_engine: NewEngine) -> None:
    async with opened(new_engine()) as store:
        loop = asyncio.get_running_loop()

        def look_twice(transaction: Transaction) -> tuple[dict[str, str], dict[str, str]]:
            first = rows(transaction)
            asyncio.run_coroutine_threadsafe(store.write(add("bob")), loop).result(10)
            return first, rows(transaction)

        await store.write(add("ann"))
        first, second = await store.read(look_twice)

        assert list(first) == list(second) == ["ann"]
        assert list(await store.read(rows)) == ["ann", "bob"]


@awaited
async def test_a_query_cannot_write(new_engine: NewEngine) -> None:
    async with opened(new_engine()) as store:
        with pytest.raises(StoreUnavailable):
            await store.read(add("ann"))

        assert await store.read(rows) == {}


@awaited
async def test_a_query_over_the_limit_is_stopped_and_the_next_ones_are_answered(new_engine: NewEngine) -> None:
    count = text(
        "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 10000000)"
        " SELECT count(*) FROM many"
    )
    async with opened(new_engine(), query_limit_s=0.3) as store:
        await store.write(add("ann"))
        for _ in range(4):
            with pytest.raises(QueryTooSlow):
                await store.read(lambda transaction: transaction.one(count))

        assert list(await store.read(rows)) == ["ann"]


@awaited
async def test_a_job_is_done_once_though_several_workers_look_for_it(new_engine: NewEngine) -> None:
    async def drain(store: Store) -> None:
        while await Jobs(store, {"note": lambda transaction, payload: add(payload)(transaction)}).run_one():
            pass

    names = [f"{number:02}" for number in range(20)]
    async with opened(new_engine()) as first, opened(new_engine()) as second:
        for name in names:
            await first.write(lambda transaction, name=name: jobs.add(transaction, "note", name, 0))

        await asyncio.gather(drain(first), drain(second))

        assert list(await second.read(rows)) == names  # a second time would break the key


@awaited
async def test_a_failing_job_leaves_nothing_and_is_tried_again(new_engine: NewEngine) -> None:
    clock, tried = Hand(), []

    def flaky(transaction: Transaction, payload: str) -> None:
        add(payload)(transaction)
        tried.append(payload)
        if len(tried) == 1:
            raise ConnectionError

    async with opened(new_engine(), clock_ms=clock) as store:
        found = Jobs(store, {"flaky": flaky})
        await store.write(lambda transaction: jobs.add(transaction, "flaky", "done", clock()))
        assert await found.run_one()
        assert await store.read(rows) == {}
        assert not await found.run_one()

        clock.advance(1)
        assert await found.run_one()

        assert await store.read(rows) == {"done": ""}


@awaited
async def test_a_recurring_job_is_ensured_once(new_engine: NewEngine) -> None:
    clock = Hand()
    async with opened(new_engine(), clock_ms=clock) as store:
        for _ in range(2):
            await store.write(lambda transaction: jobs.ensure(transaction, "hourly", clock()))
        found = Jobs(store, {"hourly": lambda transaction, _: jobs.again(transaction, "hourly", "", clock() + 1_000)})

        assert [await found.run_one(), await found.run_one()] == [True, False]


@awaited
async def test_a_kept_answer_is_given_again(new_engine: NewEngine) -> None:
    once = Once(actor_id="ann", endpoint="x", key="k", fingerprint="f")
    async with opened(new_engine()) as store:
        await store.write(lambda transaction: keep_answer(transaction, once, b"answer", 1))

        assert await store.read(lambda transaction: kept_answer(transaction, once)) == b"answer"


@awaited
async def test_what_another_worker_wrote_shows_as_written_elsewhere(new_engine: NewEngine) -> None:
    async with opened(new_engine()) as first, opened(new_engine()) as second:
        for _ in range(3):
            await first.written_elsewhere()
            await second.write(tell("room:a"))

            assert await first.written_elsewhere() is True


@pytest.mark.parametrize(
    ("text_value", "number"),
    [
        ("", 0),
        ("Zoë 漢 😀", -1),
        ("e\u0301", 2**31),
        ("50% :name %(x)s ?", 2**63 - 1),
        ("a\\b'c\"d\n\t\u2028", -(2**63)),
    ],
)
@awaited
async def test_a_value_comes_back_as_it_was_stored(new_engine: NewEngine, text_value: str, number: int) -> None:
    row = {
        "actor_id": text_value,
        "endpoint": "x",
        "key": "k",
        "fingerprint": "",
        "answer": bytes(range(256)),
        "at": number,
    }
    asked = select(idempotency.c.actor_id, idempotency.c.answer, idempotency.c.at).where(
        idempotency.c.actor_id == bindparam("actor"), idempotency.c.at == bindparam("time")
    )
    async with opened(new_engine()) as store:
        await store.write(lambda transaction: transaction.run(insert(idempotency), **row))

        found = await store.read(lambda transaction: transaction.one(asked, actor=text_value, time=number))

        assert found is not None
        assert (found[0], bytes(found[1]), found[2]) == (text_value, bytes(range(256)), number)


@awaited
async def test_truth_and_absence_come_back_as_they_were_stored(new_engine: NewEngine) -> None:
    row = {"kind": "note", "payload": "", "run_at": 1, "attempts": 0, "last_error": ""}
    async with opened(new_engine()) as store:
        for value in (False, True):
            add_job = {**row, "id": str(value), "failed": value}
            await store.write(lambda transaction, made=add_job: transaction.run(insert(job_table), **made))

        found = await store.read(
            lambda transaction: transaction.all(select(job_table.c.id, job_table.c.failed).order_by(job_table.c.id))
        )
        good = await store.read(
            lambda transaction: transaction.all(select(job_table.c.id).where(job_table.c.failed == false()))
        )
        nothing = await store.read(
            lambda transaction: transaction.one(select(func.max(job_table.c.run_at)).where(false()))
        )

        assert [(key, bool(value)) for key, value in found] == [("False", False), ("True", True)]
        assert good == [("False",)]
        assert nothing == (None,)


@awaited
async def test_text_is_compared_and_ordered_by_its_code_points(new_engine: NewEngine) -> None:
    """Cursors over names must run alike on every engine, whatever its locale."""
    names = ["A", "B", "Zoë", "a", "b", "zoe", "é", "漢", "😀"]
    async with opened(new_engine()) as store:
        for name in reversed(names):
            await store.write(add(name))
        after = select(meta.c.key).where(meta.c.key > bindparam("after"), meta.c.key != "epoch").order_by(meta.c.key)

        assert list(await store.read(rows)) == names
        found = await store.read(lambda transaction: transaction.all(after, after="b"))
        assert [key for (key,) in found] == names[5:]
