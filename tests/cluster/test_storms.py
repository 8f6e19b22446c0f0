"""Many readers, many writers, several workers, and reconnects at random: everybody ends with every offset once."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.crowd import Crowd, ended
from tests.cluster.engines import Engine
from tests.cluster.fleet import Fleet, children, kill, wait_for, workers
from tests.house import Person
from tests.postgres import Postgres

pytestmark = pytest.mark.long

LEVEL_S = 5.0
WRITERS = 8


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """What makes the workers keep everything there."""
    if request.param == "sqlite":
        return {}
    found: Postgres = request.getfixturevalue("postgres")
    return {"DATABASE_URL": found.new_database()}


@contextmanager
def chatting(folder: Path, valkey: Engine, count: int, **environment: str) -> Iterator[tuple[Fleet, Crowd, Person]]:
    """So many workers, a room, and the people for a crowd in it."""
    with workers(folder, valkey.url, count, **environment) as fleet:
        ann = fleet.person("ann")
        room = ann.room()
        people = [fleet.person(f"bob{number}") for number in range(WRITERS)]
        for person in people:
            person.join(room)
        tokens = [person.token for person in people]
        yield fleet, Crowd(fleet.urls, room, tokens, tokens), ann


async def storm(fleet: Fleet, crowd: Crowd, followers: int, posts: int, shake_s: float) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = await crowd.gather(followers, tasks)
        shaking = tasks.create_task(crowd.shake(shake_s))
        await crowd.post(posts // WRITERS)
        shaking.cancel()
        head = await asyncio.to_thread(fleet.head_of, crowd.room_id)
        print(f"\nlevel {await crowd.level(head, LEVEL_S):.2f} s after the last post")
        crowd.check(head)
        await ended(running)


def test_every_subscriber_of_two_workers_ends_with_every_offset_once_in_order(tmp_path: Path, valkey: Engine) -> None:
    with chatting(tmp_path, valkey, 2) as (fleet, crowd, ann):
        asyncio.run(storm(fleet, crowd, followers=30, posts=160, shake_s=0.05))

        assert fleet.stored(crowd.room_id, ann) == crowd.acknowledged
        assert len(crowd.acknowledged) == 160


@pytest.mark.timeout(180)
def test_every_subscriber_of_four_workers_ends_with_every_offset_once_in_order(
    tmp_path: Path, valkey: Engine, database: dict[str, str]
) -> None:
    with chatting(tmp_path, valkey, 4, **database) as (fleet, crowd, ann):
        asyncio.run(storm(fleet, crowd, followers=200, posts=2000, shake_s=0.05))

        assert fleet.stored(crowd.room_id, ann) == crowd.acknowledged
        assert len(crowd.acknowledged) == 2000


@pytest.mark.timeout(240)
def test_workers_killed_every_two_seconds_lose_nothing_and_repeat_nothing(
    tmp_path: Path, valkey: Engine, database: dict[str, str]
) -> None:
    with chatting(tmp_path, valkey, 4, **database) as (fleet, crowd, ann):
        for_s = 30.0 if database else 60.0
        seconds = asyncio.run(_killed_every(fleet, crowd, every_s=2.0, for_s=for_s))

        assert fleet.stored(crowd.room_id, ann) == crowd.acknowledged
        print(f"\n{len(crowd.acknowledged)} posts; full delivery {seconds:.2f} s after the last kill")


async def _killed_every(fleet: Fleet, crowd: Crowd, every_s: float, for_s: float) -> float:
    """How long after the last kill everybody had everything that was acknowledged by then."""
    async with asyncio.TaskGroup() as tasks:
        running = await crowd.gather(100, tasks)
        is_over = asyncio.Event()
        posting = tasks.create_task(crowd.post_while(lambda _: not is_over.is_set(), 0.2))
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            await asyncio.sleep(every_s)
            if alive := children(fleet.processes[0]):
                kill(random.choice(alive))
        killed_at = time.monotonic()
        head = await asyncio.to_thread(fleet.head_of, crowd.room_id)
        await crowd.level(head, LEVEL_S)
        seconds = time.monotonic() - killed_at
        is_over.set()
        await posting
        head = await asyncio.to_thread(fleet.head_of, crowd.room_id)
        await crowd.level(head, LEVEL_S)
        crowd.check(head)
        await ended(running)
    return seconds


def test_a_rolling_restart_replaces_every_worker_and_nobody_misses_anything(tmp_path: Path, valkey: Engine) -> None:
    with chatting(tmp_path, valkey, 2, CHAT_DRAIN_S="1") as (fleet, crowd, ann):
        before = set(children(fleet.processes[0]))

        asyncio.run(_rolled(fleet, crowd, before))

        assert fleet.stored(crowd.room_id, ann) == crowd.acknowledged
        assert [poster.refused for poster in crowd.posters if poster.refused] == []
        assert {code for follower in crowd.followers for code in follower.closes} <= {3001}
        assert fleet.processes[0].stop() == 0


async def _rolled(fleet: Fleet, crowd: Crowd, before: set[int]) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = await crowd.gather(20, tasks)
        is_over = asyncio.Event()
        posting = tasks.create_task(crowd.post_while(lambda _: not is_over.is_set(), 0.05))
        parent = fleet.processes[0].process
        assert parent is not None
        kill(parent.pid, signal.SIGHUP)
        await asyncio.to_thread(
            wait_for, lambda: len(now := set(children(fleet.processes[0]))) == 2 and not now & before, 30.0, "new ones"
        )
        is_over.set()
        await posting
        head = await asyncio.to_thread(fleet.head_of, crowd.room_id)
        await crowd.level(head, LEVEL_S)
        crowd.check(head)
        await ended(running)


def test_a_worker_that_dies_while_another_is_being_replaced_is_started_again_at_once(
    tmp_path: Path, valkey: Engine
) -> None:
    with workers(tmp_path, valkey.url, 2, CHAT_DRAIN_S="30") as fleet:
        parent = fleet.processes[0].process
        assert parent is not None
        leaving, dying = children(fleet.processes[0])
        kill(leaving, signal.SIGSTOP)  # so that it is waited for as long as a drain may take
        kill(parent.pid, signal.SIGHUP)
        wait_for(lambda: "worker.started" in fleet.processes[0].log.read_text(), 30.0, "the roll to begin")
        kill(dying)

        wait_for(lambda: len(set(children(fleet.processes[0])) - {leaving, dying}) == 2, 20.0, "both new ones")
        assert leaving in children(fleet.processes[0])
        parent.kill()
        kill(leaving)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "stuck"])
def test_a_worker_that_is_dead_or_stuck_is_replaced(tmp_path: Path, valkey: Engine, how: signal.Signals) -> None:
    with workers(tmp_path, valkey.url, 2) as fleet:
        first, second = children(fleet.processes[0])

        kill(first, how)

        def others() -> set[int]:
            return set(children(fleet.processes[0])) - {first}

        wait_for(lambda: len(others()) == 2 and first not in children(fleet.processes[0]), 60.0, "another one")
        assert second in others()
