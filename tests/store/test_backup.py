"""Copies of a database that is in use, and putting one back."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from chat_server.store.backup import back_up, restore
from chat_server.store.engine import CannotOpen, is_current, migrate
from tests.store.other_process import other_process
from tests.store.rig import database

PATIENCE_S = 10.0


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute(sql).fetchall()
    connection.close()
    return found


def change(path: Path, sql: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(sql)
    connection.close()


def content(path: Path) -> list[str]:
    """Everything but the epoch."""
    connection = sqlite3.connect(path)
    found = [line for line in connection.iterdump() if "'epoch'" not in line]
    connection.close()
    return found


def epoch_of(path: Path) -> object:
    return query(path, "SELECT value FROM meta WHERE key = 'epoch'")[0][0]


def refusal_of(work: object, *paths: Path) -> str:
    with pytest.raises(CannotOpen) as caught:
        work(*paths)  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database with a few rows."""
    (tmp_path / "data").mkdir()
    found = database(tmp_path / "data")
    change(found, "INSERT INTO meta (key, value) VALUES ('ann', 'here')")
    change(found, "INSERT INTO channels (name, head, tail) VALUES ('room:a', 5, 2)")
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "backup.db"


def test_a_back_up_is_the_whole_database_in_one_file_that_only_its_owner_reads(path: Path, copy: Path) -> None:
    back_up(path, copy)

    assert content(copy) == content(path)
    assert epoch_of(copy) == epoch_of(path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(found.name for found in copy.parent.iterdir()) == ["backup.db", "data"]


def test_a_back_up_made_while_another_process_writes_is_one_moment_of_it(path: Path, copy: Path) -> None:
    with other_process(path, "room:a") as other:
        for number in range(5):
            back_up(path, copy)

            assert query(copy, "PRAGMA integrity_check") == [("ok",)]
            head = query(copy, "SELECT head FROM channels WHERE name = 'room:a'")[0][0]
            logged = query(copy, 'SELECT max("offset"), count(*) FROM event_log')[0]
            assert logged == (head, int(str(head)) - 5), f"copy {number}"
        commits, _ = other.finish()

    assert commits > 5


def test_a_back_up_of_a_large_database_ends_though_it_is_written_all_the_time(path: Path, copy: Path) -> None:
    change(
        path,
        "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many LIMIT 3000)"
        " INSERT INTO meta (key, value) SELECT 'large ' || n, hex(randomblob(4000)) FROM many",
    )
    failures: list[BaseException] = []

    def work() -> None:
        try:
            back_up(path, copy)
        except BaseException as error:  # noqa: BLE001  handed over to the test
            failures.append(error)

    with writing(path):
        working = threading.Thread(target=work, daemon=True)
        working.start()
        working.join(PATIENCE_S)
        ended_beside_the_writer = not working.is_alive()
    working.join(PATIENCE_S)

    assert ended_beside_the_writer, "it starts again with every commit"
    assert failures == []
    assert query(copy, "SELECT count(*) FROM meta WHERE key LIKE 'large %'") == [(3000,)]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """One small commit after another, as a busy server makes them."""
    stop = threading.Event()

    def write_on() -> None:
        connection = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_S)
        while not stop.is_set():
            connection.execute("UPDATE meta SET value = value || 'x' WHERE key = 'ann'")
        connection.close()

    writer = threading.Thread(target=write_on, daemon=True)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join(PATIENCE_S)


def test_a_back_up_over_an_older_one_replaces_it(path: Path, copy: Path) -> None:
    copy.write_bytes(b"older")

    back_up(path, copy)

    assert content(copy) == content(path)


def test_a_back_up_that_fails_leaves_the_older_one_and_no_draft(path: Path, copy: Path) -> None:
    copy.write_bytes(b"older")
    path.write_bytes(os.urandom(40_000))

    assert str(path) in refusal_of(back_up, path, copy)

    assert copy.read_bytes() == b"older"
    assert sorted(found.name for found in copy.parent.iterdir()) == ["backup.db", "data"]


def test_there_is_no_back_up_of_nothing(tmp_path: Path, copy: Path) -> None:
    assert "nowhere.db" in refusal_of(back_up, tmp_path / "nowhere.db", copy)
    assert not copy.exists()
    assert not (tmp_path / "nowhere.db").exists()


def test_a_back_up_into_a_folder_that_is_not_there_is_refused(path: Path, tmp_path: Path) -> None:
    assert "missing" in refusal_of(back_up, path, tmp_path / "missing" / "backup.db")


def test_what_was_backed_up_is_there_again_under_a_new_epoch(path: Path, copy: Path) -> None:
    back_up(path, copy)
    before, old_epoch = content(path), epoch_of(path)
    change(path, "DELETE FROM meta WHERE key = 'ann'")

    kept = restore(copy, path)

    assert content(path) == before
    assert epoch_of(path) not in {old_epoch, ""}
    assert is_current(f"sqlite:///{path}")
    assert kept is not None
    assert query(kept, "SELECT count(*) FROM meta WHERE key = 'ann'") == [(0,)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_restore_gives_another_epoch(path: Path, copy: Path) -> None:
    back_up(path, copy)
    epochs = {epoch_of(copy)}

    for _ in range(3):
        restore(copy, path)
        epochs.add(epoch_of(path))

    assert len(epochs) == 4


def test_restoring_where_no_database_was_makes_one(path: Path, copy: Path, tmp_path: Path) -> None:
    back_up(path, copy)
    target = tmp_path / "elsewhere" / "chat.db"

    assert restore(copy, target) is None

    assert content(target) == content(path)
    migrate(f"sqlite:///{target}")


def test_restoring_leaves_the_back_up_as_it_was(path: Path, copy: Path) -> None:
    back_up(path, copy)
    before = copy.read_bytes()

    restore(copy, path)

    assert copy.read_bytes() == before


def test_what_the_write_ahead_log_of_the_old_database_holds_does_not_come_back(path: Path, copy: Path) -> None:
    back_up(path, copy)
    survivor = sqlite3.connect(path)  # stands for a process that died: its log is not folded in
    survivor.execute("PRAGMA journal_mode = WAL")
    with survivor:
        survivor.execute("INSERT INTO meta (key, value) VALUES ('late', '')")
    assert path.with_name("chat.db-wal").exists()

    kept = restore(copy, path)

    survivor.close()
    assert query(path, "SELECT count(*) FROM meta WHERE key = 'late'") == [(0,)]
    assert kept is not None
    assert query(kept, "SELECT count(*) FROM meta WHERE key = 'late'") == [(1,)]


@pytest.mark.parametrize("damage", ["overwritten", "torn"])
def test_a_damaged_database_can_be_restored_over(path: Path, copy: Path, damage: str) -> None:
    """That is what back-ups are for, and what the refusal to start advises."""
    back_up(path, copy)
    before = content(path)
    spoiled = os.urandom(len(path.read_bytes())) if damage == "overwritten" else path.read_bytes()[:5000]
    path.write_bytes(spoiled)

    kept = restore(copy, path)

    assert content(path) == before
    assert kept is not None
    assert kept.read_bytes() == spoiled


def rubbish(name: str, folder: Path) -> Path:
    path = folder / "rubbish.db"
    match name:
        case "not a database":
            path.write_bytes(b"my thesis, chapter one: " * 500)
        case "empty":
            path.touch()
        case "another program's":
            change(path, "CREATE TABLE cookies (name TEXT)")
        case "without an epoch":
            change(database(folder), "DELETE FROM meta")
            (folder / "chat.db").rename(path)
        case "damaged":
            database(folder).rename(path)
            pages = bytearray(path.read_bytes())
            pages[4096 * 3 : 4096 * 4] = os.urandom(4096)
            path.write_bytes(pages)
        case "a folder":
            path.mkdir()
    return path


@pytest.mark.parametrize(
    "name", ["not a database", "empty", "another program's", "without an epoch", "damaged", "a folder", "missing"]
)
def test_rubbish_is_not_restored_and_the_database_stays_as_it_is(path: Path, tmp_path: Path, name: str) -> None:
    before = content(path), epoch_of(path)

    refusal_of(restore, rubbish(name, tmp_path), path)

    assert (content(path), epoch_of(path)) == before
    assert [found.name for found in path.parent.iterdir() if not found.name.endswith(("-wal", "-shm"))] == ["chat.db"]


@pytest.mark.parametrize("name", ["#1", "100%25", "why?"])
def test_a_back_up_goes_from_and_to_any_name(path: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    source = Path(shutil.copy(path, folder / "chat.db"))

    back_up(source, folder / "backup.db")
    restore(folder / "backup.db", folder / "again.db")

    assert content(folder / "again.db") == content(path)
