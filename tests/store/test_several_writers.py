"""Many writers on one file, in one process and in two: every offset once, without holes, and a turn for everybody."""

import asyncio
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.store import event_log
from tests.store.other_process import other_process, write_at_full_speed
from tests.store.rig import Ledger, add, awaited, database, engine_at, opened, tell

pytestmark = pytest.mark.long

TOGETHER_S = 1.5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@settings(deadline=None, max_examples=15)
@given(channels=st.lists(st.sampled_from(["room:a", "room:b", "user:c"]), min_size=1, max_size=150))
@awaited
async def test_offsets_are_contiguous_from_one_in_every_channel_however_many_write(
    tmp_path_factory: pytest.TempPathFactory, channels: list[str]
) -> None:
    ledger = Ledger()
    async with opened(engine_at(database(tmp_path_factory.mktemp("many"))), ledger) as store:
        await asyncio.gather(*(store.write(tell(channel)) for channel in channels))

        for channel in set(channels):
            count = channels.count(channel)
            found = [publication.offset for publication in ledger.publications if publication.channel == channel]
            assert found == list(range(1, count + 1))
            assert (await store.read(lambda transaction, of=channel: event_log.position(transaction, of))).head == count


@awaited
async def test_two_stores_on_one_file_share_the_channels_numbering(path: Path) -> None:
    first_ledger, second_ledger = Ledger(), Ledger()
    async with opened(engine_at(path), first_ledger) as first, opened(engine_at(path), second_ledger) as second:
        await asyncio.gather(*(store.write(tell("room:a")) for _ in range(100) for store in (first, second)))

    mine = [found.offset for found in first_ledger.publications]
    others = [found.offset for found in second_ledger.publications]
    assert mine == sorted(mine)
    assert others == sorted(others)
    assert sorted(mine + others) == list(range(1, 201))


@awaited
async def test_two_processes_share_the_numbering_and_neither_starves(path: Path) -> None:
    ledger = Ledger()
    async with opened(engine_at(path), ledger) as store:
        with other_process(path, "room:a") as other:
            until = time.monotonic() + TOGETHER_S
            await write_at_full_speed(store, "room:a", lambda: time.monotonic() > until)
            mine = len(ledger.commits)
            theirs, their_offsets = await asyncio.to_thread(other.finish)

    my_offsets = [found.offset for found in ledger.publications]
    assert sorted(my_offsets + their_offsets) == list(range(1, len(my_offsets) + len(their_offsets) + 1))
    assert min(mine, theirs) * 2 >= max(mine, theirs), f"{mine} commits here, {theirs} there"


@awaited
async def test_a_killed_process_gives_up_its_turn(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        with other_process(path, "room:a") as other:
            other.process.kill()
            other.process.wait()

            await store.write(tell("room:a"))

        position = await store.read(lambda transaction: event_log.position(transaction, "room:a"))
        log = await store.read(lambda transaction: event_log.since(transaction, "room:a", 0, 1_000_000))
        assert [found.offset for found in log] == list(range(1, position.head + 1))


@awaited
async def test_only_what_another_process_wrote_counts_as_written_elsewhere(path: Path) -> None:
    async with opened(engine_at(path)) as store:
        await store.written_elsewhere()

        await store.write(add("ann"))
        assert await store.written_elsewhere() is False

        with sqlite3.connect(path) as other:
            other.execute("INSERT INTO meta (key, value) VALUES ('bob', '')")
        other.close()
        assert await store.written_elsewhere() is True
        assert await store.written_elsewhere() is False
