"""What every broker must give: streams with a history of their own."""

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_server.broker import Envelope, Keep, Stream
from tests.contracts.brokers import BROKERS, NewBroker, ends, followed
from tests.store.rig import awaited, until

KEEP = Keep(size=100, ttl_s=600)
_numbers = count()


@pytest.fixture(params=BROKERS, ids=lambda made: made.__name__, scope="module")
def new_broker(request: pytest.FixtureRequest) -> Iterator[NewBroker]:
    """Each call makes one more worker's end of the same broker."""
    with request.param() as found:
        yield found


@pytest.fixture
def channel() -> str:
    """One that no other test has used."""
    return new_channel()


def new_channel() -> str:
    return f"chat:{next(_numbers)}"


@awaited
async def test_an_appended_publication_is_heard_by_every_follower_this_worker_too(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 3) as (ann, bob, carol):
        await followed(channel, ann, bob)

        first = await ann.broker.append(channel, b'{"data":1}', KEEP)
        second = await bob.broker.append(channel, b'{"data":2}', KEEP)

        assert first.epoch == second.epoch != ""
        assert (first.top, second.top) == (1, 2)
        for worker in (ann, bob):
            await worker.hears(channel, b'{"data":1}', b'{"data":2}')
            assert worker.ear.envelopes == [
                Envelope(channel, "pub", b'{"data":1}', 1, first.epoch),
                Envelope(channel, "pub", b'{"data":2}', 2, first.epoch),
            ]
        assert carol.ear.envelopes == []


@awaited
async def test_appends_of_several_workers_at_once_are_numbered_without_holes_and_heard_in_that_order(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 3) as workers:
        await followed(channel, *workers)

        found = await asyncio.gather(
            *(worker.broker.append(channel, b"{}", KEEP) for _ in range(40) for worker in workers)
        )

        assert sorted(stream.top for stream in found) == list(range(1, 121))
        assert len({stream.epoch for stream in found}) == 1
        for worker in workers:
            await until(lambda worker=worker: len(worker.ear.envelopes) == 120)
            assert [envelope.offset for envelope in worker.ear.envelopes] == list(range(1, 121))


@awaited
async def test_without_history_a_publication_has_no_offset_and_leaves_nothing(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await followed(channel, ann, bob)

        assert await ann.broker.append(channel, b'{"data":1}', None) == Stream("", 0)

        for worker in (ann, bob):
            await worker.hears(channel, b'{"data":1}')
            assert worker.ear.envelopes == [Envelope(channel, "pub", b'{"data":1}')]


@awaited
async def test_the_same_idempotency_key_appends_once_whichever_worker_it_comes_to(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await followed(channel, ann)

        first = await ann.broker.append(channel, b"1", KEEP, "key")
        again = await bob.broker.append(channel, b"1", KEEP, "key")
        other = await bob.broker.append(channel, b"2", KEEP, "another key")
        without = [await bob.broker.append(channel, b"3", KEEP) for _ in range(2)]

        assert (again.epoch, again.top) == (first.epoch, first.top) == (first.epoch, 1)
        assert [stream.top for stream in (other, *without)] == [2, 3, 4]
        await until(lambda: len(ann.ear.envelopes) >= 4)
        assert ann.ear.payloads(channel) == [b"1", b"2", b"3", b"3"]


@awaited
async def test_a_repeat_answers_where_the_first_one_stands_though_others_came_after_it(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 1) as (ann,):
        first = await ann.broker.append(channel, b"1", KEEP, "key")
        await ann.broker.append(channel, b"2", KEEP)

        again = await ann.broker.append(channel, b"1", KEEP, "key")

        assert (again.epoch, again.top) == (first.epoch, 1)
        assert [at for at, _ in (await ann.broker.history(channel, 0, 10)).items] == [1, 2]


@awaited
async def test_an_idempotency_key_is_the_channels_own(new_broker: NewBroker) -> None:
    one, other = new_channel(), new_channel()
    async with ends(new_broker, 1) as (ann,):
        await ann.broker.append(one, b"1", KEEP, "key")

        assert (await ann.broker.append(other, b"1", KEEP, "key")).top == 1
        assert len((await ann.broker.history(other, 0, 10)).items) == 1


@awaited
async def test_the_same_idempotency_key_is_heard_once_in_a_channel_without_history_too(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 1) as (ann,):
        await followed(channel, ann)

        for _ in range(2):
            await ann.broker.append(channel, b"1", None, "key")
        await ann.broker.append(channel, b"end", None)

        await ann.hears(channel, b"1", b"end")


@awaited
async def test_history_is_read_from_a_position_and_backwards_and_within_a_limit(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        for number in range(1, 11):
            at = await ann.broker.append(channel, b"%d" % number, KEEP)

        async def offsets(since: int, limit: int, *, reverse: bool = False) -> list[int]:
            stream = await bob.broker.history(channel, since, limit, reverse=reverse)
            assert (stream.epoch, stream.top) == (at.epoch, 10)
            assert all(body == b"%d" % offset for offset, body in stream.items)
            return [offset for offset, _ in stream.items]

        assert await offsets(0, 3) == [1, 2, 3]
        assert await offsets(7, 100) == [8, 9, 10]
        assert await offsets(10, 100) == []
        assert await offsets(99, 100) == []
        assert await offsets(0, 0) == []
        assert await offsets(0, 3, reverse=True) == [10, 9, 8]
        assert await offsets(4, 100, reverse=True) == [3, 2, 1]
        assert await offsets(1, 100, reverse=True) == []
        assert await offsets(99, 2, reverse=True) == [10, 9]


@awaited
async def test_history_holds_so_many_and_the_offsets_go_on(new_broker: NewBroker, channel: str) -> None:
    async with ends(new_broker, 1) as (ann,):
        for number in range(1, 21):
            await ann.broker.append(channel, b"%d" % number, Keep(size=5, ttl_s=600))

        found = await ann.broker.history(channel, 0, 100)

        assert found.top == 20
        assert found.items == tuple((number, b"%d" % number) for number in range(16, 21))


@awaited
async def test_history_lasts_so_long_and_the_offsets_go_on(new_broker: NewBroker, channel: str) -> None:
    async with ends(new_broker, 1) as (ann,):
        first = await ann.broker.append(channel, b"1", Keep(size=5, ttl_s=1))
        assert len((await ann.broker.history(channel, 0, 10)).items) == 1

        for _ in range(1_000):
            found = await ann.broker.history(channel, 0, 10)
            if not found.items:
                break
            await asyncio.sleep(0.01)

        assert found == Stream(first.epoch, 1)
        assert await ann.broker.append(channel, b"2", KEEP) == Stream(first.epoch, 2)


@awaited
async def test_a_stream_that_nobody_published_to_stands_at_zero_and_keeps_its_epoch(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        found = await ann.broker.history(channel, 0, 10)

        assert (found.top, found.items) == (0, ())
        assert found.epoch != ""
        assert await bob.broker.history(channel, 0, 0) == found
        assert await bob.broker.append(channel, b"1", KEEP) == Stream(found.epoch, 1)


@awaited
async def test_a_forgotten_stream_begins_a_new_epoch(new_broker: NewBroker, channel: str) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        before = await ann.broker.append(channel, b"1", KEEP)

        await bob.broker.forget(channel)

        assert (await ann.broker.history(channel, 0, 10)).items == ()
        after = await ann.broker.append(channel, b"2", KEEP)
        assert after.epoch not in {before.epoch, ""}
        assert after.top == 1
        assert (await bob.broker.history(channel, 0, 10)).items == ((1, b"2"),)


@awaited
async def test_forgetting_what_is_not_there_is_no_error(new_broker: NewBroker, channel: str) -> None:
    async with ends(new_broker, 1) as (ann,):
        await ann.broker.forget(channel)

        assert (await ann.broker.append(channel, b"1", KEEP)).top == 1


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(st.sampled_from(["append", "append", "append", "history", "forget"]), max_size=25))
@awaited
async def test_no_offset_comes_twice_within_an_epoch(new_broker: NewBroker, plan: list[str]) -> None:
    channel = new_channel()
    async with ends(new_broker, 1) as (ann,):
        await followed(channel, ann)
        given_out: dict[str, list[int]] = {}
        for step in plan:
            match step:
                case "append":
                    found = await ann.broker.append(channel, b"x", Keep(size=3, ttl_s=600))
                    given_out.setdefault(found.epoch, []).append(found.top)
                case "history":
                    stream = await ann.broker.history(channel, 0, 10)
                    offsets = [offset for offset, _ in stream.items]
                    assert offsets == given_out.get(stream.epoch, [])[-3:]
                    assert stream.top == len(given_out.get(stream.epoch, []))
                case "forget":
                    await ann.broker.forget(channel)

        for offsets in given_out.values():
            assert offsets == list(range(1, len(offsets) + 1))
        await until(lambda: len(ann.ear.envelopes) == sum(map(len, given_out.values())))
        heard = [(envelope.epoch, envelope.offset) for envelope in ann.ear.envelopes]
        assert heard == [(epoch, offset) for epoch, offsets in given_out.items() for offset in offsets]


@awaited
async def test_joins_and_leaves_are_announced_to_every_follower_this_worker_too(
    new_broker: NewBroker, channel: str
) -> None:
    async with ends(new_broker, 3) as (ann, bob, carol):
        await followed(channel, ann, bob)

        await ann.broker.announce(channel, "join", b'{"info":1}')
        await ann.broker.announce(channel, "leave", b'{"info":2}')

        for worker in (ann, bob):
            await worker.hears(channel, b'{"info":1}', b'{"info":2}')
            assert [(found.kind, found.offset, found.epoch) for found in worker.ear.envelopes] == [
                ("join", 0, ""),
                ("leave", 0, ""),
            ]
        assert carol.ear.envelopes == []
