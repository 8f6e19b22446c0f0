"""Without a broker one server alone uses a PostgreSQL database, whatever happens to its session."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from chat_server.store.dialects.claim import LOCK
from chat_server.store.engine import CannotOpen, open_engine
from tests.house import PATIENCE_S, house_with, until
from tests.postgres import Postgres, name_in

pytestmark = pytest.mark.long

HELD = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
HOLD = (
    "import sys, chat_server.store.engine as e\nwith e.open_engine(sys.argv[1]).alone(): print(1, flush=True), input()"
)


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.empty_database()


def holders(postgres: Postgres, url: str) -> list[object]:
    return [pid for (pid,) in postgres.execute(HELD, name_in(url))]


def is_refused(url: str) -> bool:
    try:
        with open_engine(url).alone():
            return False
    except CannotOpen:
        return True


def test_a_second_server_is_refused_in_one_line(postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_database()
    environment = {"PATH": os.environ["PATH"], "CHAT_DATA_DIR": str(tmp_path / "second"), "DATABASE_URL": url}
    serve = [sys.executable, "-c", "from chat_server.cli import main; main()", "serve", "--port", "0"]
    with house_with(tmp_path / "first", database_url=url):
        ended = subprocess.run(
            serve, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )

    assert ended.returncode == 1
    assert "REDIS_URL" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_one_that_left_or_was_killed_makes_room_at_once(postgres: Postgres, url: str) -> None:
    with open_engine(url).alone():
        assert is_refused(url)
    with open_engine(url).alone():
        pass
    holder = subprocess.Popen([sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_refused(url)
        holder.send_signal(signal.SIGKILL)

    until(lambda: not is_refused(url))


def test_another_schema_is_another_house(url: str, postgres: Postgres) -> None:
    postgres.execute("CREATE SCHEMA other", name_in(url))
    with open_engine(url).alone():
        assert not is_refused(f"{url}&options=-csearch_path%3Dother")


def test_a_lost_session_takes_the_database_again(postgres: Postgres, url: str) -> None:
    with open_engine(url).alone():
        (before,) = holders(postgres, url)
        postgres.execute(f"SELECT pg_terminate_backend({before})")
        (after,) = until(lambda: set(holders(postgres, url)) - {before})

        assert after != before
        assert is_refused(url)
    assert holders(postgres, url) == []


def test_who_took_it_meanwhile_is_complained_of(postgres: Postgres, url: str, caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(1) as pool, psycopg.connect(url, autocommit=True) as other, open_engine(url).alone():
        (first,) = holders(postgres, url)
        waiting = pool.submit(other.execute, f"SELECT pg_advisory_lock{LOCK}")
        until(lambda: len(holders(postgres, url)) == 2, what="the other one to wait in line")
        postgres.execute(f"SELECT pg_terminate_backend({first})")
        waiting.result(PATIENCE_S)

        until(lambda: "store.shared_without_redis" in caplog.text)
        other.close()
        until(lambda: holders(postgres, url))
