"""PostgreSQL: rooms side by side, each of them serial; what the server sacrifices runs again; it may go and return."""

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import bindparam, insert, select, text, update

from chat_server.errors import ClientMsgIdReused, QueryTooSlow, StoreUnavailable
from chat_server.store import event_log, link, readers, writer
from chat_server.store.dialects.postgresql import WRITERS
from chat_server.store.engine import CannotOpen, is_current, migrate, open_engine
from chat_server.store.schema import meta, rooms
from chat_server.store.transaction import Transaction
from tests.postgres import Postgres, name_in, running_postgres
from tests.store.rig import PATIENCE_S, Ledger, add, awaited, opened, rows, tell, until

pytestmark = pytest.mark.long

_CHANGE = update(meta).where(meta.c.key == bindparam("which")).values(value=meta.c.value + bindparam("more"))
_FIND = select(meta.c.value).where(meta.c.key == bindparam("wanted"))
_TOUCH_ROOM = (
    update(rooms).where(rooms.c.id == bindparam("of_room")).values(last_message_seq=rooms.c.last_message_seq + 1)
)


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.clean_database()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """One that may be stopped."""
    with running_postgres() as found:
        yield found


def new_room(room_id: str) -> Callable[[Transaction], None]:
    row = {"name": "", "kind": "public", "topic": "", "direct_key": None, "created_by": "", "created_at": 0}
    return lambda transaction: transaction.many(
        insert(rooms), [{"id": room_id, **row, "archived_at": None, "last_message_seq": 0}]
    )


def change(*keys: str, at: threading.Barrier | None = None) -> Callable[[Transaction], str]:
    """A command that changes rows in that order; at the barrier it has changed the first one."""
    barriers = [at] if at is not None else []

    def run(transaction: Transaction) -> str:
        for index, key in enumerate(keys):
            if index == 1 and barriers:
                barriers.pop().wait(PATIENCE_S)  # once: a rerun goes straight through
            assert transaction.run(_CHANGE, which=key, more="x") == 1
        return "done"

    return run


@awaited
async def test_commands_of_one_room_that_wait_together_share_a_commit(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BATCH_S", 60.0)
    ledger, entered, go_on = Ledger(), threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        entered.set()
        assert go_on.wait(PATIENCE_S)

    async with opened(open_engine(url), ledger) as store:
        await store.write(new_room("a"))
        holding = asyncio.create_task(store.write(hold, "a"))
        await until(entered.is_set)
        waiting = [asyncio.create_task(store.write(tell("room:a"), "a")) for _ in range(10)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(holding, *waiting)

    assert [len(commit.publications) for commit in ledger.commits] == [10]


@awaited
async def test_a_busy_room_holds_up_no_other_and_a_command_without_a_room_goes_its_own_way(url: str) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def hold(_: Transaction) -> None:
        entered.set()
        assert go_on.wait(PATIENCE_S)

    async with opened(open_engine(url)) as store:
        for room_id in "ab":
            await store.write(new_room(room_id))
        holding = asyncio.create_task(store.write(hold, "a"))
        await until(entered.is_set)

        assert await store.write(add("ann"), "b") == "ann"
        assert await store.write(add("bob")) == "bob"

        assert not holding.done()
        go_on.set()
        await holding


@awaited
async def test_as_many_rooms_are_written_beside_each_other_as_there_are_writers(url: str) -> None:
    together = threading.Barrier(WRITERS, timeout=PATIENCE_S)
    async with opened(open_engine(url)) as store:
        for number in range(WRITERS):
            await store.write(new_room(str(number)))

        writes = (store.write(lambda _: together.wait(), str(number)) for number in range(WRITERS))
        assert sorted(await asyncio.gather(*writes)) == list(range(WRITERS))


@awaited
async def test_a_room_is_serial_over_all_workers(url: str) -> None:
    """A read and a write that depends on it: two at once would lose one."""
    look = select(meta.c.value).where(meta.c.key == "count")

    def count(transaction: Transaction) -> None:
        row = transaction.one(look)
        assert row is not None
        transaction.run(update(meta).where(meta.c.key == "count").values(value=bindparam("n")), n=str(int(row[0]) + 1))

    async with opened(open_engine(url)) as first, opened(open_engine(url)) as second:
        await first.write(new_room("a"))
        await first.write(add("count", "0"))

        await asyncio.gather(*(store.write(count, "a") for _ in range(60) for store in (first, second)))

        assert await first.read(rows) == {"count": "120"}


@awaited
async def test_a_deadlock_is_run_again_and_reaches_no_caller(url: str) -> None:
    met = threading.Barrier(2)
    async with opened(open_engine(url)) as first, opened(open_engine(url)) as second:
        for key in ("left", "right"):
            await first.write(add(key))

        results = await asyncio.gather(
            first.write(change("left", "right", at=met)), second.write(change("right", "left", at=met))
        )

        assert results == ["done", "done"]
        assert await first.read(rows) == {"left": "xx", "right": "xx"}


@awaited
async def test_what_is_sacrificed_again_and_again_is_refused_in_the_end(url: str) -> None:
    tries = []

    def victim(transaction: Transaction) -> None:
        tries.append(1)
        transaction.run(text("DO $$ BEGIN RAISE EXCEPTION 'made to fail' USING ERRCODE = '40P01'; END $$"))

    async with opened(open_engine(url)) as store:
        with pytest.raises(StoreUnavailable):
            await store.write(victim)

        assert writer.RERUNS < len(tries) <= 3 * writer.RERUNS
        assert await store.write(add("ann")) == "ann"


@awaited
async def test_of_two_commands_that_add_the_same_the_second_sees_what_the_first_did(url: str) -> None:
    met = threading.Barrier(2, timeout=PATIENCE_S)

    def careful(transaction: Transaction) -> str:
        if transaction.one(_FIND, wanted="same") is not None:
            raise ClientMsgIdReused(client_msg_id="same")
        met.wait()  # neither sees the other's row yet
        add("same")(transaction)
        return "added"

    async with opened(open_engine(url)) as first, opened(open_engine(url)) as second:
        found = await asyncio.gather(first.write(careful), second.write(careful), return_exceptions=True)

        assert sorted(str(type(each)) for each in found) == [str(ClientMsgIdReused), str(str)]


@awaited
async def test_publications_of_one_channel_leave_in_order_whichever_thread_commits_them(url: str) -> None:
    ledger = Ledger()
    async with opened(open_engine(url), ledger) as store:
        await asyncio.gather(*(store.write(tell(f"user:{number % 2}")) for number in range(200)))

    for channel in ("user:0", "user:1"):
        assert [found.offset for found in ledger.publications if found.channel == channel] == list(range(1, 101))


@awaited
async def test_a_server_that_goes_away_and_comes_back_is_waited_for(own_postgres: Postgres) -> None:
    ledger = Ledger()
    async with opened(open_engine(own_postgres.new_database()), ledger) as store:
        await store.write(tell("room:a"))
        own_postgres.stop(signal.SIGQUIT)
        try:
            for _ in range(WRITERS + 2):
                with pytest.raises(StoreUnavailable) as refused:
                    await store.write(tell("room:a"))
                assert refused.value.temporary
                with pytest.raises(StoreUnavailable):
                    await store.read(rows)
        finally:
            own_postgres.start()

        await settled(lambda: store.write(tell("room:a")))
        await settled(lambda: store.read(rows))
        for _ in range(3 * WRITERS):
            await settled(lambda: store.write(tell("room:a")))

        log = await settled(lambda: store.read(lambda transaction: event_log.since(transaction, "room:a", 0, 100)))
    offsets = [found.offset for found in log]
    assert offsets == list(range(1, len(offsets) + 1))
    assert [found.offset for found in ledger.publications] == offsets


async def settled(ask: Callable[[], Any]) -> Any:
    """What is answered once each thread has found the server again, within the longest wait between two tries."""
    deadline = asyncio.get_running_loop().time() + link.LONGEST_WAIT_S + 2
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            assert asyncio.get_running_loop().time() < deadline, "it does not come back"
            await asyncio.sleep(0.02)


@awaited
async def test_connections_that_were_cut_while_nobody_used_them_are_noticed_by_nobody(
    postgres: Postgres, url: str
) -> None:
    """Firewalls drop what is idle, servers restart by night."""
    async with opened(open_engine(url)) as store:
        together = threading.Barrier(WRITERS, timeout=PATIENCE_S)
        await asyncio.gather(*(store.write(lambda _: together.wait()) for _ in range(WRITERS)))
        await asyncio.gather(*(store.read(rows) for _ in range(20)))

        cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name_in(url)}'"
        assert len(postgres.execute(cut)) > WRITERS

        for number in range(3 * WRITERS):
            assert await store.write(add(f"{number:02}")) == f"{number:02}"
            assert len(await store.read(rows)) == number + 1


@awaited
async def test_who_asks_a_reader_that_is_stuck_is_answered_all_the_same(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that vanished without a word, say: the interrupt does not reach it either."""
    monkeypatch.setattr(readers, "GRACE_S", 0.1)
    go_on = threading.Event()
    async with opened(open_engine(url), query_limit_s=0.5) as store:
        with pytest.raises(QueryTooSlow):
            await store.read(lambda _: go_on.wait(PATIENCE_S))

        go_on.set()
        assert await store.read(rows) == {}


@awaited
async def test_a_connection_that_is_cut_in_the_middle_of_a_batch_leaves_nothing_of_it(url: str) -> None:
    def cut(transaction: Transaction) -> None:
        add("gone")(transaction)
        transaction.run(text("SELECT pg_terminate_backend(pg_backend_pid())"))

    ledger = Ledger()
    async with opened(open_engine(url), ledger) as store:
        with pytest.raises(StoreUnavailable):
            await store.write(cut)

        assert await settled(lambda: store.write(add("ann"))) == "ann"
        assert list(await store.read(rows)) == ["ann"]
    assert ledger.publications == []


@awaited
async def test_a_query_that_runs_into_the_servers_own_limit_is_too_slow(url: str) -> None:
    async with opened(open_engine(url), query_limit_s=60) as store:
        with pytest.raises(QueryTooSlow):
            await store.read(
                lambda transaction: (
                    transaction.run(text("SET LOCAL statement_timeout = 50")),
                    transaction.one(text("SELECT pg_sleep(30)")),
                )
            )


@awaited
async def test_an_interrupt_never_hits_the_next_query(url: str) -> None:
    async with opened(open_engine(url), query_limit_s=0.3) as store:
        for _ in range(4):
            with pytest.raises(QueryTooSlow):
                await store.read(lambda transaction: transaction.one(text("SELECT pg_sleep(30)")))
            assert await store.read(lambda transaction: transaction.one(text("SELECT 1"))) == (1,)


@awaited
async def test_a_text_with_a_nul_is_in_no_table_and_asking_for_it_breaks_nothing(url: str) -> None:
    async with opened(open_engine(url)) as store:
        assert await store.read(lambda transaction: transaction.one(_FIND, wanted="a\x00b")) is None
        assert await store.write(add("ann"), "room\x00") == "ann"


@awaited
async def test_a_closed_store_leaves_no_connection(postgres: Postgres, url: str) -> None:
    name = name_in(url)
    async with opened(open_engine(url)) as store:
        await asyncio.gather(*(store.write(add(str(number))) for number in range(20)))

    left = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    await until(lambda: postgres.execute(left) == [(0,)], "the connections to be closed")


def test_every_text_is_compared_by_its_code_points_whatever_the_databases_locale(postgres: Postgres, url: str) -> None:
    found = postgres.execute(
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'",
        name_in(url),
    )

    assert found == []


def test_processes_that_migrate_at_once_make_one_database(postgres: Postgres) -> None:
    url = postgres.empty_database()
    code = "import sys; from chat_server.store.engine import migrate; sys.stdin.read(); migrate(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, url], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]

    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]

    assert [process.returncode for process in processes] == [0] * 3, errors
    assert is_current(url)


def test_a_database_without_tables_is_not_current_and_a_migration_that_fails_leaves_nothing(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.empty_database()
    assert not is_current(url)
    name = name_in(url)
    postgres.execute("CREATE TABLE tickets (is_of TEXT)", name)

    with pytest.raises(CannotOpen) as refused:
        migrate(url)

    assert "tickets" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert postgres.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name) == [("tickets",)]


def test_a_database_of_a_newer_version_is_refused(postgres: Postgres) -> None:
    url = postgres.new_database()
    postgres.execute("UPDATE alembic_version SET version_num = '9999'", name_in(url))

    with pytest.raises(CannotOpen, match="9999"):
        migrate(url)


@pytest.mark.parametrize("where", ["?host=/nowhere", "?host={folder}", "?host=127.0.0.1&port=1"])
def test_a_server_that_is_not_there_is_named_in_one_line_without_the_password(postgres: Postgres, where: str) -> None:
    url = f"postgresql://ann:canary@/missing{where.format(folder=postgres.folder)}"

    for ask in (migrate, is_current, lambda found: open_engine(found).start()):
        with pytest.raises(CannotOpen) as refused:
            ask(url)  # type: ignore[operator]
        assert "PostgreSQL" in str(refused.value)
        assert "\n" not in str(refused.value)
        assert "canary" not in str(refused.value)


def test_an_installation_without_the_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chat_server.store.dialects.postgresql", None)

    with pytest.raises(CannotOpen, match=r"pip install 'chat-server\[postgres\]'"):
        open_engine("postgresql://127.0.0.1/chat")
