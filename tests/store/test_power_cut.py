"""synchronous=NORMAL: what a power cut may have taken is never numbered again under the same epoch."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from chat_server.store.dialects import power_cut
from chat_server.store.dialects.sqlite import SqliteEngine
from tests.store.rig import add, awaited, database, opened, rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return database(tmp_path)


@pytest.fixture(autouse=True)
def boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write into this file to stop the machine and start it again."""
    found = tmp_path / "boot_id"
    found.write_text("first\n")
    monkeypatch.setattr(power_cut, "BOOT_ID", found)
    return found


def normal(path: Path) -> SqliteEngine:
    return SqliteEngine(make_url(f"sqlite:///{path}"), "NORMAL")


def full(path: Path) -> SqliteEngine:
    return SqliteEngine(make_url(f"sqlite:///{path}"), "FULL")


def epoch_of(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


@contextmanager
def used_until_it_dies(path: Path) -> Iterator[None]:
    """A process that has the database open and never gets to close it."""
    engine = normal(path)
    engine.start()
    yield
    engine._guard = power_cut.PowerCutGuard(path, is_at_risk=True)  # its locks went with it; nothing was cleaned up
    engine.close()


@pytest.mark.parametrize("after", [normal, full])
@awaited
async def test_after_an_unclean_stop_of_the_machine_there_is_a_new_epoch(path: Path, boot: Path, after: object) -> None:
    before = epoch_of(path)
    with used_until_it_dies(path):
        boot.write_text("second\n")

    async with opened(after(path)) as store:  # type: ignore[operator]
        assert store.epoch == epoch_of(path) != before


@awaited
async def test_a_killed_process_on_a_machine_that_ran_on_keeps_the_epoch(path: Path) -> None:
    before = epoch_of(path)
    with used_until_it_dies(path):
        pass

    async with opened(normal(path)) as store:
        assert store.epoch == before


@awaited
async def test_a_clean_stop_before_the_machine_stops_keeps_the_epoch(path: Path, boot: Path) -> None:
    before = epoch_of(path)
    async with opened(normal(path)) as store:
        await store.write(add("ann"))
    boot.write_text("second\n")

    async with opened(normal(path)) as store:
        assert store.epoch == before
        assert "ann" in await store.read(rows)


@awaited
async def test_a_worker_that_leaves_others_at_work_does_not_call_the_stop_clean(path: Path, boot: Path) -> None:
    before = epoch_of(path)
    with used_until_it_dies(path):
        async with opened(normal(path)):
            pass
        boot.write_text("second\n")

    async with opened(normal(path)) as store:
        assert store.epoch != before


@awaited
async def test_one_unclean_stop_makes_one_new_epoch(path: Path, boot: Path) -> None:
    with used_until_it_dies(path):
        boot.write_text("second\n")
    found = set()

    for _ in range(3):
        async with opened(normal(path)) as store:
            found.add(store.epoch)

    assert len(found) == 1


@awaited
async def test_a_store_that_waits_for_the_disk_keeps_its_epoch_whatever_the_machine_does(
    path: Path, boot: Path
) -> None:
    before = epoch_of(path)
    engine = full(path)
    engine.start()
    boot.write_text("second\n")

    async with opened(full(path)) as store:
        assert store.epoch == before
    engine.close()


@awaited
async def test_where_the_system_does_not_name_its_boot_every_unclean_stop_counts(path: Path, boot: Path) -> None:
    boot.unlink()
    before = epoch_of(path)
    with used_until_it_dies(path):
        pass

    async with opened(normal(path)) as store:
        assert store.epoch != before
