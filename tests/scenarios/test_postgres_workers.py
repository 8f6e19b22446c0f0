"""Two workers on one PostgreSQL post to rooms in opposite orders and call the same people: no deadlock is heard of."""

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from chat_server.store import event_log, writer
from tests.cluster import engines
from tests.house import House, Person, Wire, house_with, until
from tests.postgres import Postgres

pytestmark = pytest.mark.long

ROOMS = 4
POSTERS = 6  # of each worker
PATIENCE_S = 30.0


@pytest.fixture
def houses(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[House]]:
    """Two machines on one database and one Redis; and time for large batches on any machine."""
    monkeypatch.setattr(writer, "BATCH_S", 1.0)
    settings = {"database_url": postgres.new_database(), "secret": "s" * 32, "rate_commands": "0", "rate_http": "0"}
    with engines.valkey() as redis:
        settings["redis_url"] = redis.url
        with house_with(tmp_path / "first", **settings) as first, house_with(tmp_path / "second", **settings) as second:
            yield [first, second]


class Poster:
    """Posts round and round to the rooms, and calls one person after another by name; both in its own order."""

    def __init__(self, person: Person, rooms: list[str], names: list[str]) -> None:
        self._wire = person.wire()
        self._wire.connect()
        self._rooms = itertools.cycle(rooms)
        self._names = itertools.cycle(names)
        self.refusals: list[dict[str, Any]] = []
        self.posted: list[dict[str, Any]] = []

    def run(self, until_s: float) -> None:
        waiting: list[int] = []
        while time.monotonic() < until_s:
            data = {"room_id": next(self._rooms), "text": f"hello @{next(self._names)}"}
            waiting.append(self._wire.send(rpc={"method": "messages.post", "data": data}))
            if len(waiting) == 8:
                self._take(waiting.pop(0))
        for command_id in waiting:
            self._take(command_id)
        self._wire.close()

    def _take(self, command_id: int) -> None:
        answer = self._wire.reply(command_id)
        if "error" in answer:
            self.refusals.append(answer["error"])
        else:
            self.posted.append(answer["rpc"]["data"])


class Reader:
    """Follows all rooms of somebody, in a thread, and keeps the offsets that it hears."""

    def __init__(self, person: Person) -> None:
        self._wire: Wire = person.wire("&subscribe=rooms")
        self.heard: dict[str, list[int]] = {
            name: [found["offset"]] for name, found in self._wire.connect()["subs"].items()
        }
        self.is_over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.is_over = True
        self._thread.join(PATIENCE_S)
        self._wire.close()

    def _read(self) -> None:
        while not self.is_over:
            try:
                self._wire.read(0.1)
            except TimeoutError:
                continue
            if self._wire.pings:
                self._wire.pings = 0
                self._wire.socket.send("{}")
            for push in self._wire.pushes:
                if "pub" in push:
                    self.heard[push["channel"]].append(push["pub"]["offset"])
            self._wire.pushes.clear()


def played(houses: list[House], seconds: float) -> tuple[list[str], list[Poster], list[Reader]]:
    """The posters of both workers at full speed in opposite orders; a reader at each worker hears all of it."""
    people = [houses[index % 2].person(f"person-{index}") for index in range(2 * POSTERS)]
    rooms = sorted(people[0].room() for _ in range(ROOMS))
    for person, room_id in itertools.product(people[1:], rooms):
        person.join(room_id)
    readers = [Reader(person) for person in people[:2]]
    names = [person.username for person in people]
    posters = [
        Poster(person, rooms if index % 2 else rooms[::-1], names[::-1] if index % 3 else names)
        for index, person in enumerate(people)
    ]
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(len(posters)) as pool:
        list(pool.map(lambda poster: poster.run(end), posters))
    return rooms, posters, readers


@pytest.mark.parametrize("seconds", [2.0, pytest.param(60.0, marks=pytest.mark.timeout(240))], ids=["short", "long"])
def test_no_deadlock_reaches_a_client_and_no_offset_is_skipped(houses: list[House], seconds: float) -> None:
    rooms, posters, readers = played(houses, seconds)

    assert [poster.refusals for poster in posters] == [[]] * len(posters)
    posted = [message for poster in posters for message in poster.posted]
    for room_id in rooms:
        seqs = sorted(message["seq"] for message in posted if message["room_id"] == room_id)
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) > 2 * POSTERS
    logged = {name: offsets_in(houses[0], name) for reader in readers for name in reader.heard}
    for name, offsets in logged.items():
        assert offsets == list(range(1, len(offsets) + 1)), name
    for reader in readers:
        until(
            lambda reader=reader: all(reader.heard[name][-1] == logged[name][-1] for name in reader.heard), PATIENCE_S
        )
        reader.close()
        for name, offsets in reader.heard.items():
            assert offsets == list(range(offsets[0], offsets[-1] + 1)), name


def offsets_in(house: House, channel: str) -> list[int]:
    log = house.awaited(house.worker.store.read(lambda found: event_log.since(found, channel, 0, 1_000_000)))
    return [publication.offset for publication in log]
