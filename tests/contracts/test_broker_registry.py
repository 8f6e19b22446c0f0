"""What every broker must give: who is where over all workers, and how often somebody did something."""

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest

from chat_server.ids import UserId
from chat_server.settings import Rate
from tests.contracts.brokers import BROKERS, NewBroker, end_of, ends
from tests.store.rig import awaited, until

_numbers = count()


@pytest.fixture(params=BROKERS, ids=lambda made: made.__name__, scope="module")
def new_broker(request: pytest.FixtureRequest) -> Iterator[NewBroker]:
    """Each call makes one more worker's end of the same broker."""
    with request.param() as found:
        yield found


@pytest.fixture
def name() -> str:
    """Of a channel or a bucket that no other test has used."""
    return f"chat:{next(_numbers)}"


@awaited
async def test_who_entered_is_present_on_every_worker_until_departing(new_broker: NewBroker, name: str) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await ann.broker.enter(name, "client-1", b'{"user":"ann"}')
        await bob.broker.enter(name, "client-2", b'{"user":"bob"}')

        for worker in (ann, bob):
            assert dict(await worker.broker.present(name)) == {
                "client-1": b'{"user":"ann"}',
                "client-2": b'{"user":"bob"}',
            }
        await ann.broker.depart(name, "client-1")
        assert dict(await bob.broker.present(name)) == {"client-2": b'{"user":"bob"}'}
        await bob.broker.depart(name, "client-2")
        assert dict(await ann.broker.present(name)) == {}


@awaited
async def test_every_worker_knows_how_many_others_there_are(new_broker: NewBroker) -> None:
    async with ends(new_broker, 1) as (ann,):
        await until(lambda: ann.broker.peers == 0, "those of other tests to be gone")
        async with ends(new_broker, 2) as others:
            for worker in (ann, *others):
                await until(lambda worker=worker: worker.broker.peers == 2, "two others")


@awaited
async def test_presence_is_the_channels_own(new_broker: NewBroker, name: str) -> None:
    async with ends(new_broker, 1) as (ann,):
        await ann.broker.enter(name, "client-1", b"{}")
        await ann.broker.enter(f"{name}:other", "client-1", b"{}")

        await ann.broker.depart(name, "client-1")

        assert dict(await ann.broker.present(name)) == {}
        assert list(await ann.broker.present(f"{name}:other")) == ["client-1"]


@awaited
async def test_entering_again_changes_what_is_known_of_a_client(new_broker: NewBroker, name: str) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await ann.broker.enter(name, "client-1", b'{"v":1}')
        await ann.broker.enter(name, "client-1", b'{"v":2}')

        assert dict(await bob.broker.present(name)) == {"client-1": b'{"v":2}'}


@awaited
async def test_departing_from_where_one_is_not_is_no_error(new_broker: NewBroker, name: str) -> None:
    async with ends(new_broker, 1) as (ann,):
        await ann.broker.depart(name, "client-1")

        assert dict(await ann.broker.present(name)) == {}


@awaited
async def test_the_clients_of_a_worker_that_left_are_present_no_more(new_broker: NewBroker, name: str) -> None:
    async with ends(new_broker, 1) as (bob,):
        await bob.broker.enter(name, "client-2", b"{}")
        async with end_of(new_broker()) as ann:
            await ann.broker.enter(name, "client-1", b"{}")
            await ann.broker.enter(f"{name}:other", "client-1", b"{}")

        for _ in range(500):
            if list(await bob.broker.present(name)) == ["client-2"]:
                break
            await asyncio.sleep(0.01)

        assert list(await bob.broker.present(name)) == ["client-2"]
        assert dict(await bob.broker.present(f"{name}:other")) == {}


@awaited
async def test_who_comes_first_and_who_goes_last_is_known_over_all_workers(new_broker: NewBroker, name: str) -> None:
    person = UserId(name)
    async with ends(new_broker, 2) as (ann, bob):
        for worker in (ann, bob):
            await until(lambda worker=worker: worker.broker.peers == 1, "the other one")

        came = [await worker.broker.arrive(person) for worker in (ann, bob)]
        went = [await worker.broker.go(person) for worker in (ann, bob)]

        assert (came, went) == ([True, False], [False, True])
        assert await ann.broker.online([person]) == set()


@awaited
async def test_what_present_answers_does_not_change_afterwards(new_broker: NewBroker, name: str) -> None:
    async with ends(new_broker, 1) as (ann,):
        await ann.broker.enter(name, "client-1", b"{}")

        found = await ann.broker.present(name)
        await ann.broker.depart(name, "client-1")

        assert list(found) == ["client-1"]


@awaited
async def test_workers_share_a_bucket(new_broker: NewBroker, name: str) -> None:
    rate = Rate(5, 60.0)
    async with ends(new_broker, 2) as (ann, bob):
        taken = [await worker.broker.take(name, rate) for worker in (ann, bob, ann, bob, ann)]

        assert taken == [0.0] * 5
        for worker in (ann, bob):
            assert 0 < await worker.broker.take(name, rate) <= 12.0


@awaited
async def test_buckets_do_not_share_anything_with_each_other(new_broker: NewBroker, name: str) -> None:
    rate = Rate(1, 60.0)
    async with ends(new_broker, 1) as (ann,):
        assert await ann.broker.take(name, rate) == 0.0
        assert await ann.broker.take(f"{name}:other", rate) == 0.0
        assert await ann.broker.take(name, rate) > 0


@awaited
async def test_what_was_given_back_can_be_taken_again_on_any_worker_but_never_more_than_the_rate(
    new_broker: NewBroker, name: str
) -> None:
    rate = Rate(2, 60.0)
    async with ends(new_broker, 2) as (ann, bob):
        for _ in range(2):
            await ann.broker.take(name, rate)
        assert await bob.broker.take(name, rate) > 0

        for _ in range(5):
            await ann.broker.give_back(name, rate)

        assert [await bob.broker.take(name, rate), await ann.broker.take(name, rate)] == [0.0, 0.0]
        assert await ann.broker.take(name, rate) > 0


@awaited
async def test_an_empty_bucket_says_how_long_to_wait_and_fills_up_by_then(new_broker: NewBroker, name: str) -> None:
    rate = Rate(10, 1.0)
    async with ends(new_broker, 1) as (ann,):
        while not (wait_s := await ann.broker.take(name, rate)):
            pass

        assert wait_s <= 0.1
        await asyncio.sleep(wait_s + 0.02)  # as the answer says, and the clocks' resolution

        assert await ann.broker.take(name, rate) == 0.0


@awaited
async def test_no_rate_is_no_limit(new_broker: NewBroker, name: str) -> None:
    async with ends(new_broker, 1) as (ann,):
        assert [await ann.broker.take(name, Rate(0)) for _ in range(100)] == [0.0] * 100
        await ann.broker.give_back(name, Rate(0))
