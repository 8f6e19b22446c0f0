"""What all tests share: a server in a thread for each module, and people called ann and bob."""

import json
import signal
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests import house as house_module
from tests.house import DIRECT, OPEN_CLIENTS, House, Person, house_with
from tests.postgres import RUNNING, Postgres, running_postgres
from tests.process import Process

# A suite that is started in the background ignores interrupts, and so would every process that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NAMESPACES = json.dumps(
    {
        "live": {},
        "chat": {"publish": "users", "history_size": 100, "presence": True, "join_leave": True},
        "open": {"subscribe": "anyone"},
        "latest": {"slow": "latest"},
        "ring": {"slow": "drop_oldest"},
    }
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engine", choices=["sqlite", "postgresql"], default="sqlite", help="where servers keep their data"
    )


@pytest.fixture(scope="session", autouse=True)
def _engine(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--engine") == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        house_module.database_url_of = lru_cache(maxsize=None)(lambda data_dir: server.new_database())


@pytest.fixture(scope="module", autouse=True)
def _closed_clients() -> Iterator[None]:
    yield
    while OPEN_CLIENTS:
        OPEN_CLIENTS.pop().close()


@pytest.fixture(scope="module", autouse=True)
def _dropped_databases() -> Iterator[None]:
    yield
    for server in RUNNING:
        server.drop_databases()


@pytest.fixture(scope="module")
def carried_by() -> str:
    """How the servers of the tests carry WebSockets; tests/gateway run over both ways."""
    return DIRECT


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, carried_by: str) -> Iterator[House]:
    """A server for a module's tests. Its namespaces: live, chat (clients publish), latest and ring (slow readers)."""
    namespaces = {name: rules for name, rules in json.loads(NAMESPACES).items() if name != "open"}
    with house_with(tmp_path_factory.mktemp("house") / "data", carried_by, namespaces=namespaces) as found:
        yield found


@pytest.fixture
def new_house(tmp_path: Path, carried_by: str) -> Iterator[Callable[..., House]]:
    """Make servers with settings of one's own: `new_house(rate_http="5/s")`."""
    made = []

    def make(**changes: Any) -> House:
        manager = house_with(tmp_path / f"data-{len(made)}", carried_by, **changes)
        made.append(manager)
        return manager.__enter__()

    yield make
    for manager in reversed(made):
        manager.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL for all tests: `postgres.new_database()` is a migrated database's URL."""
    with running_postgres() as found:
        yield found


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """`chat-server serve` as a process, started."""
    with Process(tmp_path / "data") as found:
        yield found


@pytest.fixture
def ann(house: House) -> Person:
    return house.person("ann")


@pytest.fixture
def bob(house: House) -> Person:
    return house.person("bob")
