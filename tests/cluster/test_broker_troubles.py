"""Redis dies, pauses, cuts, forgets, fails over, falls silent, while people chat: nothing is lost, nothing comes twice.

In between the alarm is red and the balancer's question is green; posts and joins are accepted all the while; within
five seconds of Redis' return everybody is level.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster import engines
from tests.cluster.crowd import Crowd, Follower, ended
from tests.cluster.engines import Engine
from tests.cluster.fleet import Fleet, servers
from tests.cluster.hole import Hole

FOLLOWERS = 40
POSTERS = 4
PAUSE_S = 0.05
BEFORE_S = 1.0
BACK_S = 5.0
JOIN_S = 3.0
POST_S = 3.0
RED_S = 7.0


@dataclass
class Trouble:
    """`begin` breaks Redis for one server or all, `end` mends it. `is_seen`: it lasts long enough for alarms."""

    urls: list[str]
    begin: Callable[[], None]
    end: Callable[[], None]
    is_seen: bool = True
    index: int = 0  # the server that is asked


@contextmanager
def killed_and_restarted() -> Iterator[Trouble]:
    with engines.valkey() as engine:
        yield Trouble([engine.url] * 2, engine.kill, lambda: engine.start() and None)


@contextmanager
def subscribers_cut() -> Iterator[Trouble]:
    def cut() -> None:
        for _ in range(10):
            engine.ask("CLIENT", "KILL", "TYPE", "pubsub")
            time.sleep(0.2)

    with engines.valkey() as engine:
        yield Trouble([engine.url] * 2, cut, lambda: None, is_seen=False)


@contextmanager
def paused() -> Iterator[Trouble]:
    with engines.valkey() as engine:
        yield Trouble([engine.url] * 2, lambda: engine.ask("CLIENT", "PAUSE", 20_000, "ALL"), lambda: _unpause(engine))


@contextmanager
def asleep() -> Iterator[Trouble]:
    with engines.valkey("--enable-debug-command", "yes") as engine:
        asleep_until = [0.0]

        def sleep() -> None:
            asleep_until[0] = time.monotonic() + 8
            threading.Thread(target=engine.ask, args=("DEBUG", "SLEEP", 8), daemon=True).start()

        yield Trouble([engine.url] * 2, sleep, lambda: time.sleep(max(0.0, asleep_until[0] - time.monotonic())))


@contextmanager
def tiny_buffers() -> Iterator[Trouble]:
    def limit(value: str) -> None:
        engine.ask("CONFIG", "SET", "client-output-buffer-limit", f"pubsub {value}")
        time.sleep(2)

    with engines.valkey() as engine:
        yield Trouble([engine.url] * 2, lambda: limit("1kb 1kb 1"), lambda: limit("32mb 8mb 60"), is_seen=False)


@contextmanager
def failed_over() -> Iterator[Trouble]:
    with engines.sentinel() as found:
        yield Trouble([found.url] * 2, found.primary.kill, lambda: _wait_for_primary(found), is_seen=False)


@contextmanager
def handed_over() -> Iterator[Trouble]:
    with engines.sentinel() as found:

        def hand_over() -> None:
            found.sentinels[0].ask("SENTINEL", "FAILOVER", engines.PRIMARY)
            _wait_for_primary(found)

        yield Trouble([found.url] * 2, hand_over, lambda: None, is_seen=False)


@contextmanager
def a_part_of_the_cluster_killed() -> Iterator[Trouble]:
    with engines.cluster() as nodes:

        def restart() -> None:
            nodes[2].start()
            deadline = time.monotonic() + 10
            while not all(engines.is_whole(node) for node in nodes):
                assert time.monotonic() < deadline, "the cluster did not heal"
                time.sleep(0.05)

        url = nodes[0].url.replace("redis", "redis+cluster", 1)
        yield Trouble([url] * 2, nodes[2].kill, restart)


@contextmanager
def silent() -> Iterator[Trouble]:
    with engines.valkey() as engine, Hole(engine.port) as hole:

        def open_hole(is_open: bool) -> None:
            hole.is_open = is_open

        yield Trouble([engine.url, hole.url], lambda: open_hole(True), lambda: open_hole(False), index=1)


TROUBLES = [
    killed_and_restarted,
    subscribers_cut,
    paused,
    asleep,
    tiny_buffers,
    failed_over,
    handed_over,
    a_part_of_the_cluster_killed,
    silent,
]


@pytest.mark.long
@pytest.mark.parametrize("made", TROUBLES, ids=lambda made: made.__name__)
def test_nothing_is_lost_nothing_comes_twice_and_all_are_level_soon_after(
    made: Callable[[], "contextmanager[Trouble]"], tmp_path: Path
) -> None:
    with made() as trouble, servers(tmp_path, trouble.urls) as fleet:
        ann = fleet.person("ann")
        room = ann.room()
        people = [fleet.person(f"bob{number}") for number in range(POSTERS)]
        for person in people:
            person.join(room)
        tokens = [person.token for person in people]
        crowd = Crowd(fleet.urls, room, tokens, tokens)

        asyncio.run(_chat_through(trouble, fleet, crowd))

        assert fleet.stored(room, ann) == crowd.acknowledged
        assert [poster.refused for poster in crowd.posters if poster.refused] == []
        assert max(poster.longest_s for poster in crowd.posters) < POST_S


async def _chat_through(trouble: Trouble, fleet: Fleet, crowd: Crowd) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = await crowd.gather(FOLLOWERS, tasks)
        is_over = asyncio.Event()
        posting = tasks.create_task(crowd.post_while(lambda _: not is_over.is_set(), PAUSE_S))
        await asyncio.sleep(BEFORE_S)
        began = len(crowd.acknowledged)

        await asyncio.to_thread(trouble.begin)
        if trouble.is_seen:
            await _status(fleet, "/healthz", 503, trouble.index)
            assert await asyncio.to_thread(fleet.statuses, "/readyz") == {200}
        await _join_now(crowd, tasks, running)
        await crowd.until(lambda: len(crowd.acknowledged) > began, POST_S, "a post without Redis")
        await asyncio.to_thread(trouble.end)

        back_at = time.monotonic()
        head = await asyncio.to_thread(fleet.head_of, crowd.room_id)
        await crowd.level(head, BACK_S)
        print(f"\nlevel {time.monotonic() - back_at:.2f} s after the return")
        await _status(fleet, "/healthz", 200, trouble.index)
        print(f"healthy {time.monotonic() - back_at:.2f} s after the return")
        is_over.set()
        await posting
        head = await asyncio.to_thread(fleet.head_of, crowd.room_id)
        await crowd.level(head, BACK_S)
        crowd.check(head)
        assert head > began
        await ended(running)


async def _join_now(crowd: Crowd, tasks: asyncio.TaskGroup, running: list["asyncio.Task[None]"]) -> None:
    """Somebody new comes to each server, and is let in at once."""
    late = [Follower([url], crowd.readers[0], f"room:{crowd.room_id}") for url in crowd.urls]
    running += [tasks.create_task(follower.run()) for follower in late]
    await crowd.until(lambda: all(follower.epoch for follower in late), JOIN_S, "joins without Redis")
    crowd.followers += late


async def _status(fleet: Fleet, path: str, wanted: int, index: int) -> None:
    deadline = time.monotonic() + RED_S
    while await asyncio.to_thread(fleet.status, path, index) != wanted:
        assert time.monotonic() < deadline, f"{path} is not {wanted}"
        await asyncio.sleep(0.1)


def _unpause(engine: Engine) -> None:
    engine.ask("CLIENT", "UNPAUSE")


def _wait_for_primary(found: engines.Watched) -> None:
    deadline = time.monotonic() + 20
    while found.replica.ask("ROLE")[0] != b"master":
        assert time.monotonic() < deadline, "no failover"
        time.sleep(0.05)
