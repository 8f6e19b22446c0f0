"""Opening a database: migrated once by whoever comes first, and refused in one line when it cannot be used."""

import asyncio
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, Table, create_engine

from chat_server.store import schema
from chat_server.store.engine import CannotOpen, is_current, migrate, open_engine
from chat_server.store.event_log import epoch
from tests.house import settings_for
from tests.store.rig import add, awaited, database, engine_at, opened, rows

NOBODY = 65534


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    found = list(connection.iterdump())
    connection.close()
    return found


def spoil(path: Path, sql: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(sql)
    connection.close()


def refusal_of(url: str) -> str:
    """Why `migrate` refuses; it must be one line that names the place."""
    with pytest.raises(CannotOpen) as caught:
        migrate(url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Without root's right to write everything. Nothing changes for a user who is not root."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(was)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "chat.db"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach; the other temporary folders are the user's own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        folder.chmod(0o777)


def test_a_migrated_database_has_the_schema_that_the_code_uses(path: Path) -> None:
    migrate(url_of(path))

    engine = create_engine(url_of(path))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, schema.metadata)
        found = MetaData()
        found.reflect(connection)
    engine.dispose()
    assert differences == []
    assert found.tables.keys() - {"alembic_version"} == schema.metadata.tables.keys()
    for name, table in schema.metadata.tables.items():
        assert constraint_names(found.tables[name]) == constraint_names(table)


def constraint_names(table: Table) -> set[str]:
    return {str(found.name) for found in (*table.constraints, *table.indexes)}


def test_migrating_makes_the_directory_and_a_file_that_only_its_owner_reads(path: Path) -> None:
    migrate(url_of(path))

    assert path.stat().st_mode & 0o777 == 0o600
    assert is_current(url_of(path))


def test_migrating_twice_changes_nothing(path: Path) -> None:
    migrate(url_of(path))
    before = dump(path)

    migrate(url_of(path))

    assert dump(path) == before


def test_migrating_keeps_what_is_in_the_database(path: Path) -> None:
    migrate(url_of(path))
    spoil(path, "INSERT INTO meta (key, value) VALUES ('kept', 'x')")

    migrate(url_of(path))

    assert any("'kept'" in line for line in dump(path))


def test_every_database_gets_an_epoch_of_its_own(tmp_path: Path) -> None:
    @awaited
    async def read(path: Path) -> None:
        async with opened(engine_at(path)) as store:
            found.add(await store.read(epoch))

    found: set[str] = set()
    for name in ("a", "b", "c"):
        migrate(url_of(tmp_path / name / "chat.db"))
        read(tmp_path / name / "chat.db")

    assert len(found) == 3


def test_processes_that_migrate_at_once_make_one_database(path: Path) -> None:
    code = "import sys; from chat_server.store.engine import migrate; sys.stdin.read(); migrate(sys.argv[1])"
    processes = [
        subprocess.Popen([sys.executable, "-c", code, url_of(path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]

    for process in processes:  # all of them have started when the first one goes
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    errors = [process.communicate(timeout=60)[1].decode() for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, errors
    assert is_current(url_of(path))
    assert sum("INSERT INTO \"meta\" VALUES('epoch'" in line for line in dump(path)) == 1


def test_a_database_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    migrate(url_of(path))
    spoil(path, "UPDATE alembic_version SET version_num = '9999'")
    before = dump(path)

    reason = refusal_of(url_of(path))

    assert "9999" in reason
    assert "upgrade" in reason
    assert dump(path) == before
    assert not is_current(url_of(path))


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"my thesis, chapter one: " * 500)
    before = path.read_bytes()

    assert str(path) in refusal_of(url_of(path))

    assert path.read_bytes() == before


def test_a_damaged_database_is_refused(path: Path) -> None:
    migrate(url_of(path))
    pages = bytearray(path.read_bytes())
    pages[4096 * 3 : 4096 * 4] = os.urandom(4096)
    path.write_bytes(pages)

    assert str(path) in refusal_of(url_of(path))


def test_a_place_that_cannot_be_written_is_refused_with_the_place_and_what_to_do(open_folder: Path) -> None:
    open_folder.chmod(0o555)
    with unprivileged():
        reason = refusal_of(url_of(open_folder / "data" / "chat.db"))

    assert str(open_folder) in reason
    assert "CHAT_DATA_DIR" in reason


@pytest.mark.parametrize("owner", [0, NOBODY], ids=["another's", "one's own"])
def test_a_database_that_may_only_be_read_is_refused(open_folder: Path, owner: int) -> None:
    path = open_folder / "chat.db"
    migrate(url_of(path))
    if os.geteuid() == 0:
        os.chown(path, owner, owner)
    path.chmod(0o444)

    with unprivileged():
        reason = refusal_of(url_of(path))

    assert str(path) in reason


def test_a_directory_in_the_databases_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)

    assert str(path) in refusal_of(url_of(path))


def test_a_database_that_is_not_there_is_not_current_and_is_not_made_by_asking(path: Path) -> None:
    with pytest.raises(CannotOpen, match="migrate"):
        is_current(url_of(path))

    assert not path.exists()


@pytest.mark.parametrize("url", ["mysql://host/chat", "nonsense", "", "://"])
def test_an_url_of_no_known_kind_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(CannotOpen) as caught:
        open_engine(url)

    assert "\n" not in str(caught.value)
    assert re.search(r"sqlite|not supported", str(caught.value))


@pytest.mark.parametrize("name", ["with a space", "Zoë", "50% off", "100%25", "#1", "a&b=c", "why?"])
def test_a_data_directory_may_have_any_name(tmp_path: Path, name: str) -> None:
    @awaited
    async def use(url: str) -> None:
        async with opened(open_engine(url)) as store:  # type: ignore[arg-type]
            await store.write(add("ann"))
            assert await store.read(rows) == {"ann": ""}

    settings = settings_for(tmp_path / name)

    migrate(settings.store_url)
    use(settings.store_url)

    assert [found.name for found in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "chat.db").stat().st_size > 0


@awaited
async def test_opening_a_store_twice_in_a_row_finds_what_was_written(tmp_path: Path) -> None:
    path = database(tmp_path)
    for name in ("ann", "bob"):
        async with opened(engine_at(path)) as store:
            await store.write(add(name))

    async with opened(engine_at(path)) as store:
        assert list(await store.read(rows)) == ["ann", "bob"]


@pytest.mark.parametrize(("synchronous", "expected"), [("FULL", 2), ("NORMAL", 1)])
def test_a_writer_is_as_durable_as_it_is_told(tmp_path: Path, synchronous: str, expected: int) -> None:
    connection = open_engine(url_of(database(tmp_path)), synchronous).open_writer()  # type: ignore[arg-type]
    settings = {
        name: connection.cursor().execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("synchronous", "journal_mode", "foreign_keys")
    }
    connection.close()

    assert settings == {"synchronous": expected, "journal_mode": "wal", "foreign_keys": 1}


@awaited
async def test_a_store_that_leaves_its_block_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    path = database(tmp_path)
    async with opened(engine_at(path)):
        assert open_files(path.parent)

    await asyncio.sleep(0)
    assert open_files(path.parent) == []


def open_files(folder: Path) -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:
            continue
    return sorted(Path(name).name for name in found if Path(name).parent == folder)
