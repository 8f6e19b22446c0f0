"""What every broker must give: publications and signals from worker to worker."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chat_server.broker import Envelope
from tests.contracts.brokers import BROKERS, NewBroker, end_of, ends, followed
from tests.store.rig import awaited, until


@pytest.fixture(params=BROKERS, ids=lambda made: made.__name__, scope="module")
def new_broker(request: pytest.FixtureRequest) -> Iterator[NewBroker]:
    """Each call makes one more worker's end of the same broker."""
    with request.param() as found:
        yield found


@awaited
async def test_a_publication_reaches_every_other_worker_that_follows_the_channel(new_broker: NewBroker) -> None:
    async with ends(new_broker, 3) as (ann, bob, carol):
        await followed("room:a", bob, carol)

        ann.publish("room:a", b'{"n":1}', offset=7)

        for worker in (bob, carol):
            await worker.hears("room:a", b'{"n":1}')
            assert worker.ear.envelopes == [Envelope("room:a", "pub", b'{"n":1}', 7)]


@awaited
async def test_the_order_of_one_workers_publications_in_a_channel_is_kept(new_broker: NewBroker) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await followed("room:a", bob)

        for number in range(500):
            ann.publish("room:a", b"%d" % number, offset=number + 1)

        await bob.hears("room:a", *(b"%d" % number for number in range(500)))
        assert [envelope.offset for envelope in bob.ear.envelopes] == list(range(1, 501))


@awaited
async def test_a_worker_does_not_hear_its_own_publication(new_broker: NewBroker) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await followed("room:a", ann, bob)

        ann.publish("room:a", b"of ann")
        await bob.hears("room:a", b"of ann")
        bob.publish("room:a", b"of bob")

        await ann.hears("room:a", b"of bob")


@awaited
async def test_a_channel_that_a_worker_does_not_follow_is_not_heard_there(new_broker: NewBroker) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await followed("room:a", bob)

        for channel in ("room:b", "room:ab", "room:", "room:a:b", "room:*"):
            ann.publish(channel, b"elsewhere")
        ann.publish("room:a", b"here")

        await bob.hears("room:a", b"here")
        assert {envelope.channel for envelope in bob.ear.envelopes} == {"room:a"}


@pytest.mark.parametrize("channel", ["room:{x}:y", "live:with a space", "live:Zoë", "live:*", "live:[a]", "x" * 255])
@awaited
async def test_a_channel_may_have_any_name(new_broker: NewBroker, channel: str) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await followed(channel, bob)

        ann.publish(channel, b"1")

        await bob.hears(channel, b"1")


@awaited
async def test_a_payload_arrives_byte_by_byte(new_broker: NewBroker) -> None:
    payloads = [b'{"text":"line\\nbreak \xe2\x80\xa8"}', bytes(range(256)), b"x" * 300_000, b"{}"]
    async with ends(new_broker, 2) as (ann, bob):
        await followed("room:a", bob)

        for payload in payloads:
            ann.publish("room:a", payload)

        await bob.hears("room:a", *payloads)


@awaited
async def test_an_unfollowed_channel_falls_silent_and_can_be_followed_again(new_broker: NewBroker) -> None:
    async with ends(new_broker, 3) as (ann, bob, carol):
        await followed("room:a", bob, carol)
        ann.publish("room:a", b"first")
        await bob.hears("room:a", b"first")

        bob.broker.unfollow("room:a")
        for number in range(1_000):
            heard = len(bob.ear.envelopes)
            ann.publish("room:a", b"%d" % number)
            await until(lambda number=number: b"%d" % number in carol.ear.payloads("room:a"))
            if len(bob.ear.envelopes) == heard:
                break
        else:
            raise AssertionError("it is never silent")

        await followed("room:a", bob)
        bob.ear.envelopes.clear()
        ann.publish("room:a", b"last")
        await bob.hears("room:a", b"last")


@awaited
async def test_following_twice_is_hearing_once(new_broker: NewBroker) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        await followed("room:a", bob, bob)

        ann.publish("room:a", b"1")
        ann.publish("room:a", b"2")

        await bob.hears("room:a", b"1", b"2")


@awaited
async def test_unfollowing_what_is_not_followed_is_no_error(new_broker: NewBroker) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        bob.broker.unfollow("room:a")
        await followed("room:a", bob)

        ann.publish("room:a", b"1")

        await bob.hears("room:a", b"1")


@awaited
async def test_many_channels_are_followed_at_once(new_broker: NewBroker) -> None:
    names = [f"room:{number}" for number in range(300)]
    async with ends(new_broker, 2) as (ann, bob):
        await asyncio.gather(*(bob.broker.follow(name) for name in names))

        for name in names:
            ann.publish(name, name.encode())

        await until(lambda: len(bob.ear.envelopes) == len(names))
        assert {envelope.channel: envelope.payload for envelope in bob.ear.envelopes} == {
            name: name.encode() for name in names
        }


steps = st.tuples(st.sampled_from(["follow", "publish", "publish"]), st.integers(0, 2), st.sampled_from("abc"))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=st.lists(steps, max_size=40))
@awaited
async def test_whoever_follows_hears_all_that_the_others_publish_from_then_on(
    new_broker: NewBroker, plan: list[tuple[str, int, str]]
) -> None:
    async with ends(new_broker, 3) as workers:
        following: set[tuple[int, str]] = set()
        expected: dict[tuple[int, str, int], list[bytes]] = {}
        for number, (kind, index, channel) in enumerate([*plan, *ENDING]):
            if kind == "follow":
                await followed(channel, workers[index])
                following.add((index, channel))
                continue
            workers[index].publish(channel, b"%d:%d" % (index, number))
            for listener, followed_channel in following:
                if listener != index and followed_channel == channel:
                    expected.setdefault((listener, channel, index), []).append(b"%d:%d" % (index, number))

        for (listener, channel, index), payloads in expected.items():
            await until(lambda at=(listener, channel, payloads): at[2][-1] in workers[at[0]].ear.payloads(at[1]))
            heard = [found for found in workers[listener].ear.payloads(channel) if found.startswith(b"%d:" % index)]
            # What was published before it followed may come late; all that came after is there, in order.
            assert heard[-len(payloads) :] == payloads
        for index, worker in enumerate(workers):
            assert not [found for found in worker.ear.envelopes if found.payload.startswith(b"%d:" % index)]
            assert {(index, found.channel) for found in worker.ear.envelopes} <= following


ENDING = [("publish", index, channel) for index in range(3) for channel in "abc"]


@awaited
async def test_a_signal_reaches_every_other_worker_and_not_oneself(new_broker: NewBroker) -> None:
    async with ends(new_broker, 3) as (ann, bob, carol):
        ann.broker.signal(b'{"signal":1}')
        await until(lambda: bob.ear.signals and carol.ear.signals)
        bob.broker.signal(b'{"signal":2}')

        await until(lambda: ann.ear.signals and len(carol.ear.signals) == 2)
        assert ann.ear.signals == [b'{"signal":2}']
        assert bob.ear.signals == [b'{"signal":1}']
        assert carol.ear.signals == [b'{"signal":1}', b'{"signal":2}']


@awaited
async def test_signals_of_one_worker_keep_their_order(new_broker: NewBroker) -> None:
    async with ends(new_broker, 2) as (ann, bob):
        for number in range(200):
            ann.broker.signal(b"%d" % number)

        await until(lambda: len(bob.ear.signals) == 200)
        assert bob.ear.signals == [b"%d" % number for number in range(200)]


@awaited
async def test_a_listener_is_never_called_from_within_a_call_of_the_broker(new_broker: NewBroker) -> None:
    """`Ear` refuses it. Two workers that answer each other would recurse without end."""
    async with ends(new_broker, 2) as (ann, bob):
        await followed("room:a", ann, bob)
        bob.ear.is_calling = True

        ann.publish("room:a", b"1")
        ann.broker.signal(b"1")
        bob.ear.is_calling = False

        await until(lambda: bob.ear.envelopes and bob.ear.signals)


@awaited
async def test_what_was_published_just_before_leaving_arrives(new_broker: NewBroker) -> None:
    async with ends(new_broker, 1) as (bob,):
        await followed("room:a", bob)
        async with end_of(new_broker()) as ann:
            ann.publish("room:a", b"last words")

        await bob.hears("room:a", b"last words")


@awaited
async def test_publishing_where_nobody_listens_is_no_error(new_broker: NewBroker) -> None:
    async with ends(new_broker, 1) as (ann,):
        ann.publish("room:a", b"1")
        ann.broker.signal(b"1")
        await ann.broker.flushed()

        assert ann.ear.envelopes == []
        assert ann.ear.signals == []
        assert ann.broker.is_up
