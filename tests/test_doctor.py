"""Looking after the data and the machine: doctor, migrate, backup, restore."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from chat_server.doctor import examine
from tests.accounts.command_line import Cli, add_user, cli, refusal, said
from tests.house import House, Person, settings_for

__all__ = ["cli"]


def report_on(data_dir: Path, **changes: Any) -> tuple[str, bool]:
    """What the doctor says, and whether something is ill."""
    report = examine(settings_for(data_dir, **changes))
    return "\n".join(report.lines), report.is_ill


@pytest.fixture
def data_dir(cli: Cli, tmp_path: Path) -> Path:
    """A data directory as a first start leaves it."""
    add_user(cli, "olga", "--role", "owner")
    said(cli("token", "olga"))
    return tmp_path / "data"


def test_a_well_set_up_server_is_fine(data_dir: Path, cli: Cli) -> None:
    text = said(cli("doctor"))

    assert "BAD" not in text
    assert "readable by its owner only" in text
    assert "can be written" in text
    assert f"data_dir = {data_dir}" in text


def test_the_doctor_shows_every_setting(data_dir: Path) -> None:
    settings = settings_for(data_dir, rate_http="7/min")

    text = "\n".join(examine(settings).lines)

    for name in type(settings).model_fields:
        assert f"  {name} = " in text
    assert "rate_http = 7/min  (set)" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "canary-" + "x" * 32},
        {"secret_previous": "canary-" + "x" * 32},
        {"api_key": "canary-key"},
        {"redis_url": "redis://:canary@127.0.0.1:1/0"},
        {"redis_url": "rediss://user:canary@127.0.0.1:1/0"},
        {"redis_url": "redis://127.0.0.1:1/0?password=canary"},
        {"database_url": "postgresql://user:canary@127.0.0.1:1/db"},
        {"database_url": "postgresql://user:can%40ary@127.0.0.1:1/db"},
        {"database_url": "postgresql://127.0.0.1:1/db?user=u&password=canary"},
    ],
    ids=str,
)
def test_the_doctor_shows_no_secret(data_dir: Path, changes: dict[str, str]) -> None:
    text, _ = report_on(data_dir, **changes)

    assert "canary" not in text
    assert "can%40ary" not in text


def test_a_secret_that_others_can_read_is_bad(data_dir: Path, cli: Cli) -> None:
    (data_dir / "secret").chmod(0o644)

    result = cli("doctor")

    assert result.exit_code == 1
    assert "BAD" in result.stdout
    assert f"chmod 600 {data_dir / 'secret'}" in result.stdout


def test_a_secret_that_is_too_short_is_bad(data_dir: Path) -> None:
    (data_dir / "secret").write_text("short")

    text, is_ill = report_on(data_dir)

    assert is_ill
    assert "too short" in text


def test_a_server_that_has_not_been_started_yet_is_not_ill(tmp_path: Path) -> None:
    text, is_ill = report_on(tmp_path / "data")

    assert "will be made at the first start" in text
    assert not is_ill


@pytest.mark.parametrize("how", ["newer", "damaged", "no database"])
def test_a_database_that_cannot_be_used_is_bad(data_dir: Path, how: str) -> None:
    spoil(data_dir / "chat.db", how)

    text, is_ill = report_on(data_dir)

    assert is_ill
    assert all(line.startswith("  ") for line in text.split("Checks\n")[1].splitlines())


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"host": "0.0.0.0"}, "CHAT_RATE_HTTP=50/s"),
        ({"host": "0.0.0.0"}, "no TLS here"),
        ({"host": "0.0.0.0", "registration": "open"}, "anybody who reaches it can register"),
        ({"host": "0.0.0.0"}, "CHAT_TRUSTED_HOSTS is empty"),
        ({"sqlite_synchronous": "NORMAL"}, "a power cut"),
    ],
)
def test_the_doctor_advises(data_dir: Path, changes: dict[str, Any], word: str) -> None:
    text, is_ill = report_on(data_dir, **changes)

    assert word in text
    assert not is_ill


def test_the_doctor_says_how_wide_channels_are_written(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden:
        def __init__(self) -> None:
            raise PermissionError(1, "Operation not permitted")

    has, _ = report_on(data_dir)
    off, _ = report_on(data_dir, io_uring=False)
    monkeypatch.setattr("chat_server.doctor.Ring", Forbidden)
    forbidden, is_ill = report_on(data_dir)

    assert "io_uring writes" in has
    assert "CHAT_IO_URING is off" in off
    assert "no io_uring (Operation not permitted)" in forbidden
    assert not is_ill


def test_advice_for_the_internet_is_not_given_on_loopback(data_dir: Path) -> None:
    text, _ = report_on(data_dir, host="127.0.0.1", registration="open")

    assert "listens on this machine only" in text
    assert "TLS" not in text.split("Checks")[1]


def test_the_doctor_may_be_called_beside_a_running_server(house: House, cli: Cli) -> None:
    assert "BAD" not in said(cli("doctor", on=house))


def test_migrate_makes_a_database_and_does_not_mind_one(cli: Cli, tmp_path: Path) -> None:
    for _ in range(2):
        assert "chat.db is up to date" in said(cli("migrate"))

    assert (tmp_path / "data" / "chat.db").stat().st_mode & 0o077 == 0


def test_migrate_takes_a_directory(cli: Cli, tmp_path: Path) -> None:
    said(cli("migrate", "--data-dir", str(tmp_path / "elsewhere")))

    assert (tmp_path / "elsewhere" / "chat.db").exists()
    assert not (tmp_path / "data").exists()


def spoil(path: Path, how: str) -> None:
    if how == "newer":
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
        connection.close()
    elif how == "damaged":
        content = bytearray(path.read_bytes())
        content[4096 : 4096 + 8192] = b"\xff" * 8192
        path.write_bytes(content)
    else:
        path.write_bytes(b"this is no database, but it is longer than a header of one" * 10)


@pytest.mark.parametrize(("how", "word"), [("newer", "newer version"), ("damaged", ""), ("no database", "")])
@pytest.mark.parametrize("command", [("migrate",), ("user", "list"), ("token", "ann")])
def test_a_database_that_cannot_be_used_is_said_in_one_line(
    cli: Cli, tmp_path: Path, command: tuple[str, ...], how: str, word: str
) -> None:
    said(cli("migrate"))
    spoil(tmp_path / "data" / "chat.db", how)

    line = refusal(cli(*command))

    assert word in line
    assert "chat.db" in line or how == "newer"


def test_a_back_up_of_a_running_server_is_whole(house: House, cli: Cli, tmp_path: Path, ann: Person) -> None:
    ann.say(ann.room(), "before the back-up")
    copy = tmp_path / "copy.db"

    assert "copy.db" in said(cli("backup", str(copy), on=house))

    with sqlite3.connect(copy) as connection:
        texts = [row[0] for row in connection.execute("SELECT text FROM messages")]
        check = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    assert "before the back-up" in texts
    assert check == ("ok",)
    assert copy.stat().st_mode & 0o077 == 0


def test_a_back_up_is_not_restored_under_a_running_server(house: House, cli: Cli, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    said(cli("backup", str(copy), on=house))

    assert "another worker uses" in refusal(cli("restore", str(copy), on=house))


def epoch_of(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        (found,) = connection.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    connection.close()
    return str(found)


def test_what_is_restored_is_what_was_backed_up_under_a_new_epoch(cli: Cli, tmp_path: Path) -> None:
    database, copy = tmp_path / "data" / "chat.db", tmp_path / "copy.db"
    add_user(cli, "ann")
    said(cli("backup", str(copy)))
    before = epoch_of(database)
    add_user(cli, "bob")

    answer = said(cli("restore", str(copy)))

    assert "chat.db.before-restore" in answer
    names = [line.split()[1] for line in said(cli("user", "list")).splitlines()]
    assert names == ["ann"]
    assert epoch_of(database) != before
    assert epoch_of(copy) == before
    assert database.stat().st_mode & 0o077 == 0


def test_a_back_up_goes_into_an_empty_directory_too(cli: Cli, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    add_user(cli, "ann")
    said(cli("backup", str(copy)))

    elsewhere = {"CHAT_DATA_DIR": str(tmp_path / "elsewhere")}
    assert said(cli("restore", str(copy), **elsewhere)) == "restored\n"
    assert "ann" in said(cli("user", "list", **elsewhere))


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_what_is_no_back_up_is_refused_and_replaces_nothing(cli: Cli, tmp_path: Path, content: bytes | None) -> None:
    add_user(cli, "ann")
    if content is not None:
        (tmp_path / "copy.db").write_bytes(content)

    refusal(cli("restore", str(tmp_path / "copy.db")))

    assert "ann" in said(cli("user", "list"))
    assert not list((tmp_path / "data").glob("*.part"))


@pytest.mark.parametrize("target", ["missing/copy.db", "."])
def test_a_back_up_that_cannot_be_written_is_refused(cli: Cli, tmp_path: Path, target: str) -> None:
    said(cli("migrate"))

    refusal(cli("backup", str(tmp_path / target)))

    assert not list(tmp_path.glob("**/*.part"))


def test_there_is_nothing_to_back_up_before_the_first_start(cli: Cli, tmp_path: Path) -> None:
    assert "no database" in refusal(cli("backup", str(tmp_path / "copy.db")))
