"""The command line in this process: `cli("user", "list")`, and what it answers."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from chat_server.cli import app
from chat_server.settings import get_settings
from tests import house
from tests.house import PASSWORD, House

Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """Run a command on a data directory of its own, or on that of a server: `cli("user", "list", on=house)`."""
    monkeypatch.chdir(tmp_path)
    own_url = house.database_url_of(tmp_path / "data")

    def run(*arguments: str, on: House | None = None, stdin: str | None = None, **environment: str) -> Result:
        data_dir = tmp_path / "data" if on is None else on.settings.data_dir
        get_settings.cache_clear()
        database_url = own_url if on is None else on.settings.database_url
        defaults = {"CHAT_DATA_DIR": str(data_dir), "DATABASE_URL": database_url}
        found = CliRunner().invoke(app, arguments, stdin, env={**defaults, **environment})
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return found

    yield run
    get_settings.cache_clear()


def said(result: Result) -> str:
    """The output of a command that must succeed."""
    assert result.exit_code == 0, result.output
    return result.stdout


def refusal(result: Result) -> str:
    """The one line of a command that must fail."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert result.stderr.startswith("chat-server: ")
    return result.stderr.rstrip("\n")


def add_user(cli: Cli, name: str, *options: str, on: House | None = None) -> str:
    """The id of a new person."""
    result = cli("user", "add", name, *options, "--password-stdin", on=on, stdin=PASSWORD + "\n")
    return said(result).split()[0]
