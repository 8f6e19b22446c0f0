"""What the doctor and a starting worker say about a Redis that could be better."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat_server.broker.redis.advice import findings, warn
from chat_server.doctor import examine
from tests.cluster.engines import Engine, cluster, oldest_redis, valkey
from tests.house import settings_for

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with valkey() as found:
        yield found


@pytest.fixture(autouse=True)
def _well(engine: Engine) -> None:
    for name, value in (
        ("maxmemory", "0"),
        ("maxmemory-policy", "noeviction"),
        ("client-output-buffer-limit", "pubsub 33554432 8388608 60"),
    ):
        engine.ask("CONFIG", "SET", name, value)


def said(url: str) -> list[str]:
    return [found.text for found in asyncio.run(findings(url))]


def test_nothing_is_said_about_one_that_is_well(engine: Engine) -> None:
    assert said(engine.url) == []


def test_nothing_is_said_about_the_oldest_that_is_supported_nor_about_a_cluster() -> None:
    with oldest_redis() as found:
        assert said(found.url) == []
    with cluster() as nodes:
        assert said(f"redis+cluster://127.0.0.1:{nodes[0].port}") == []


def test_one_that_forgets_under_pressure_is_named(engine: Engine) -> None:
    engine.ask("CONFIG", "SET", "maxmemory", "100mb")
    engine.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    (text,) = said(engine.url)

    assert "maxmemory-policy is allkeys-lru" in text


def test_a_small_output_buffer_is_named_on_every_node() -> None:
    with cluster() as nodes:
        for node in nodes:
            node.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 0 0")

        texts = said(f"redis+cluster://127.0.0.1:{nodes[0].port}")

    assert len(texts) == len(nodes)
    assert all("client-output-buffer-limit pubsub is 65,536 bytes" in text for text in texts)


def test_a_worker_says_it_in_its_log(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    engine.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 65536 0 0")

    with caplog.at_level(logging.WARNING):
        asyncio.run(warn(engine.url))

    (record,) = [record for record in caplog.records if record.getMessage() == "broker.advice"]
    assert "65,536" in record.advice  # type: ignore[attr-defined]


def test_the_doctor_says_it_and_is_not_alarmed(engine: Engine, tmp_path: Path) -> None:
    engine.ask("CONFIG", "SET", "maxmemory", "100mb")
    engine.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    report = examine(settings_for(tmp_path / "data", redis_url=engine.url))

    assert any("note" in line and "maxmemory-policy" in line for line in report.lines)
    assert not report.is_ill


def test_the_doctor_is_alarmed_by_one_that_is_away(tmp_path: Path) -> None:
    report = examine(settings_for(tmp_path / "data", redis_url="redis://:canary@127.0.0.1:1/0"))

    assert report.is_ill
    (line,) = [line for line in report.lines if "Redis does not answer" in line]
    assert "BAD" in line
    assert "canary" not in line


@pytest.mark.parametrize("url", ["redis+sentinel://127.0.0.1", "redis+cluster://", "redis://127.0.0.1:port"])
def test_the_doctor_says_how_an_url_is_written(tmp_path: Path, url: str) -> None:
    report = examine(settings_for(tmp_path / "data", redis_url=url))

    assert report.is_ill
    assert any("BAD   REDIS_URL" in line for line in report.lines)
