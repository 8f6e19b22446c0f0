"""A Valkey for each test, or one with two servers for all tests that leave them alone."""

from collections.abc import Iterator

import pytest

from tests.cluster import engines
from tests.cluster.engines import Engine
from tests.cluster.fleet import Fleet, servers


@pytest.fixture
def valkey() -> Iterator[Engine]:
    with engines.valkey("--enable-debug-command", "yes") as engine:
        yield engine


@pytest.fixture(scope="session")
def redis() -> Iterator[Engine]:
    with engines.valkey() as engine:
        yield engine


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, redis: Engine) -> Iterator[Fleet]:
    """Two servers of one worker each, for tests that leave both alive and use people of their own."""
    with servers(tmp_path_factory.mktemp("fleet"), [redis.url] * 2) as found:
        yield found
