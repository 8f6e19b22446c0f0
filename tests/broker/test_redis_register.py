"""Who is online, after whatever happened: random histories of people, workers killed, and a Redis that forgets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_server.broker.redis import broker as beating
from chat_server.broker.redis import register
from chat_server.broker.redis.broker import RedisBroker
from chat_server.errors import BrokerUnavailable
from chat_server.ids import UserId, new_id
from tests.cluster import engines
from tests.cluster.engines import Engine
from tests.contracts.brokers import Ear
from tests.store.rig import awaited, until

pytestmark = pytest.mark.long

WORKERS = 3
PEOPLE = ["ann", "bob", "carol"]
CHANNEL = "chat:a"
ROUNDS = 20  # one in four falls into the moment that matters

Step = tuple[str, int, str]
steps = st.one_of(
    st.tuples(st.just("comes"), st.integers(0, WORKERS - 1), st.sampled_from(PEOPLE)),
    st.tuples(st.just("goes"), st.integers(0, WORKERS - 1), st.sampled_from(PEOPLE)),
    st.tuples(st.just("is killed"), st.integers(0, WORKERS - 1), st.just("")),
    st.tuples(st.just("redis forgets"), st.just(0), st.just("")),
    st.tuples(st.just("redis cuts"), st.just(0), st.just("")),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with engines.valkey() as found:
        yield found


@pytest.fixture(autouse=True)
def _short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "LEASE_S", 1.0)
    monkeypatch.setattr(beating, "BEAT_S", 0.1)


@dataclass
class Hand:
    """A worker that can be killed: it says no good-bye."""

    broker: RedisBroker
    ear: Ear
    running: "asyncio.Task[None]"
    people: set[str] = field(default_factory=set)

    async def die(self) -> None:
        self.running.cancel()
        await asyncio.wait({self.running}, timeout=5.0)
        assert self.running.done(), "it goes on, though it was cancelled"
        await self.broker._topology.close()


@asynccontextmanager
async def hand(engine: Engine, prefix: str) -> AsyncIterator[Hand]:
    ear = Ear()
    broker = RedisBroker(engine.url, prefix, new_id())
    broker.listen(ear)
    made = Hand(broker, ear, asyncio.create_task(broker.run()))
    try:
        assert await broker.ready(5.0)
        yield made
    finally:
        await made.die()


async def _happens(hands: list[Hand], alive: list[Hand], engine: Engine, step: Step) -> None:
    what, index, person = step
    if what == "redis forgets":
        await asyncio.to_thread(engine.ask, "FLUSHALL")
    elif what == "redis cuts":
        await asyncio.to_thread(engine.ask, "CLIENT", "KILL", "TYPE", "normal")
        await asyncio.to_thread(engine.ask, "CLIENT", "KILL", "TYPE", "pubsub")
    elif (found := hands[index]) not in alive:
        return
    elif what == "is killed":
        if len(alive) > 1:
            alive.remove(found)
            await found.die()
    elif what == "comes":
        found.people.add(person)
        await found.broker.enter(CHANNEL, f"{person}-{index}", b"{}")
        with suppress(BrokerUnavailable):
            await found.broker.arrive(UserId(person))
    elif person in found.people:
        found.people.discard(person)
        await found.broker.depart(CHANNEL, f"{person}-{index}")
        with suppress(BrokerUnavailable):
            await found.broker.go(UserId(person))


@settings(deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(steps, min_size=1, max_size=15))
@awaited
async def test_whoever_has_a_connection_is_online_and_nobody_else(
    engine: Engine, history: list[tuple[str, int, str]]
) -> None:
    prefix = new_id()
    async with AsyncExitStack() as stack:
        hands = [await stack.enter_async_context(hand(engine, prefix)) for _ in range(WORKERS)]
        alive = list(hands)
        for step in history:
            await _happens(hands, alive, engine, step)
        truth = {person for found in alive for person in found.people}
        inside = {f"{person}-{index}" for index, found in enumerate(hands) if found in alive for person in found.people}

        for worker in alive:
            await _equals(worker, truth, inside)
        wanted = sum(len(found.people) for found in alive)
        await until(lambda: engine.ask("HLEN", f"{prefix}:{{online}}") == wanted, "nobody to be left on the register")


async def _equals(worker: Hand, truth: set[str], inside: set[str]) -> None:
    wanted: object = (truth, inside)
    found: object = "no answer"
    with suppress(TimeoutError):
        async with asyncio.timeout(5.0):
            while True:
                with suppress(BrokerUnavailable):
                    online = await worker.broker.online([UserId(person) for person in PEOPLE])
                    found = (set(online), set(await worker.broker.present(CHANNEL)))
                    if found == wanted:
                        return
                await asyncio.sleep(0.02)
    assert found == wanted, "who is online, and who is in the channel"


Change = Callable[[RedisBroker], Awaitable[object]]


@pytest.mark.parametrize(
    ("change", "online", "inside"),
    [
        (lambda broker: broker.enter(CHANNEL, "second", b"{}"), {"ann"}, {"first", "second"}),
        (lambda broker: broker.depart(CHANNEL, "first"), {"ann"}, set()),
        (lambda broker: broker.arrive(UserId("bob")), {"ann", "bob"}, {"first"}),
        (lambda broker: broker.go(UserId("ann")), set(), {"first"}),
    ],
    ids=["enter", "depart", "arrive", "go"],
)
@awaited
async def test_what_changed_while_redis_was_away_is_told_when_it_is_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, change: Change, online: set[str], inside: set[str]
) -> None:
    prefix = new_id()
    async with hand(engine, prefix) as ann, hand(engine, prefix) as bob:
        await ann.broker.enter(CHANNEL, "first", b"{}")
        await ann.broker.arrive(UserId("ann"))
        await until(lambda: not ann.broker._pipeline.owes_presence, "the first telling")
        with monkeypatch.context() as away, suppress(BrokerUnavailable):
            away.setattr(ann.broker._commands, "_is_up_at", lambda key: False)
            await change(ann.broker)

        await _equals(bob, online, inside)


@awaited
async def test_what_redis_lost_of_a_workers_entries_is_written_again_in_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = new_id()
    monkeypatch.setattr(register, "RENEW_S", 0.3)
    async with hand(engine, prefix) as ann, hand(engine, prefix) as bob:
        await ann.broker.enter(CHANNEL, "first", b"{}")
        await ann.broker.arrive(UserId("ann"))
        await until(lambda: not ann.broker._pipeline.owes_presence, "the first telling")
        await asyncio.to_thread(engine.ask, "DEL", f"{prefix}:{{online}}", f"{prefix}:p:{{{CHANNEL}}}")

        await _equals(bob, {"ann"}, {"first"})


@awaited
async def test_a_worker_that_is_stopped_as_redis_goes_ends(engine: Engine) -> None:
    for _ in range(ROUNDS):
        async with hand(engine, new_id()):
            await asyncio.to_thread(engine.ask, "CLIENT", "KILL", "TYPE", "pubsub")


@awaited
async def test_the_people_of_a_worker_that_died_are_told_of_once(engine: Engine) -> None:
    prefix = new_id()
    async with hand(engine, prefix) as ann, hand(engine, prefix) as bob, hand(engine, prefix) as dying:
        for person in PEOPLE:
            await dying.broker.arrive(UserId(person))
        await dying.die()

        await until(lambda: ann.ear.departures + bob.ear.departures, "the departure")
        await asyncio.sleep(1.0)  # as long as another telling could take
        assert sorted(ann.ear.departures + bob.ear.departures) == PEOPLE
        assert ann.ear.gaps
        assert bob.ear.gaps


@awaited
async def test_what_workers_left_behind_that_all_died_is_cleared_away_by_the_next_one(engine: Engine) -> None:
    prefix = new_id()
    async with hand(engine, prefix) as dying:
        await dying.broker.arrive(UserId("ann"))
        await dying.broker.enter(CHANNEL, "first", b"{}")
        await dying.die()
    await asyncio.sleep(register.LEASE_S)  # until it is known to be dead

    async with hand(engine, prefix) as bob:
        await until(lambda: bob.ear.departures == ["ann"], "the departure")
        await _equals(bob, set(), set())
        for key in ("{online}", "p:{" + CHANNEL + "}"):
            await until(lambda key=key: not engine.ask("EXISTS", f"{prefix}:{key}"), key)


@awaited
async def test_a_worker_that_was_taken_for_gone_is_told_when_it_is_back(engine: Engine) -> None:
    prefix = new_id()
    async with hand(engine, prefix) as ann, hand(engine, prefix) as bob:
        await bob.broker.arrive(UserId("bob"))
        await asyncio.to_thread(engine.ask, "ZREM", f"{prefix}:{{online}}:workers", bob.broker._sender.decode())

        await until(lambda: bob.ear.burials, "the burial")
        await until(lambda: ann.broker._register.alive == bob.broker._register.alive, "both to be known")
        assert await ann.broker.online([UserId("bob")]) == {"bob"}
