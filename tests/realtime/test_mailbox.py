"""What waits for one connection: bounded in bytes, in order, and honest about what it left out."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.metrics import DROPPED
from chat_server.realtime.batch import Slow
from chat_server.realtime.mailbox import HOLD_BYTES, RING_FRAMES, Mailbox
from tests.store.rig import awaited

CLOSE: Slow = "close"
LATEST: Slow = "latest"
RING: Slow = "drop_oldest"


def dropped() -> float:
    return DROPPED._value.get()


def over_the_hold() -> Mailbox[str]:
    """A mailbox whose reader has stopped: HOLD_BYTES wait."""
    mailbox: Mailbox[str] = Mailbox(10 * HOLD_BYTES)
    mailbox.put("waits", HOLD_BYTES)
    return mailbox


async def taken(mailbox: Mailbox[str]) -> list[str]:
    async with asyncio.timeout(5):
        return await mailbox.take()


@awaited
async def test_what_was_put_is_taken_all_at_once_and_in_order() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    for item in "abc":
        mailbox.put(item, 10)
    assert mailbox.size_bytes == 30

    assert await taken(mailbox) == ["a", "b", "c"]

    assert mailbox.size_bytes == 0
    assert mailbox.is_empty


@awaited
async def test_take_waits_for_something() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    assert not taking.done()

    mailbox.put("a", 1)

    assert await taking == ["a"]


@awaited
async def test_over_its_bound_a_mailbox_overruns_drops_all_and_takes_nothing_more() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    mailbox.put("a", 60)
    mailbox.put("b", 41)

    assert mailbox.is_overrun
    mailbox.put("c", 1)
    mailbox.put_under(LATEST, "live:a", "d", 1)
    assert mailbox.size_bytes == 0
    assert mailbox.is_empty
    assert await taken(mailbox) == []


@awaited
async def test_exactly_the_bound_fits() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    mailbox.put("a", 60)
    mailbox.put("b", 40)

    assert not mailbox.is_overrun
    assert await taken(mailbox) == ["a", "b"]


@awaited
async def test_one_item_larger_than_the_bound_passes_through_an_empty_mailbox() -> None:
    """Or a connection whose bound is smaller than one answer could never be served."""
    mailbox: Mailbox[str] = Mailbox(100)
    mailbox.put("large", 1_000)

    assert not mailbox.is_overrun
    assert await taken(mailbox) == ["large"]


@awaited
async def test_wake_lets_take_answer_what_there_is() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    taking = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)

    mailbox.wake()

    assert await taking == []


@awaited
async def test_under_close_a_slow_reader_is_held_to_the_bound_only() -> None:
    mailbox = over_the_hold()

    for rules in (None, CLOSE):
        mailbox.put_under(rules, "room:a", "next", 10)

    assert await taken(mailbox) == ["waits", "next", "next"]


@awaited
async def test_under_latest_a_slow_reader_gets_the_last_one_of_each_channel() -> None:
    mailbox, before = over_the_hold(), dropped()

    for number in range(5):
        mailbox.put_under(LATEST, "live:a", f"a{number}", 10)
        mailbox.put_under(LATEST, "live:b", f"b{number}", 10)

    assert await taken(mailbox) == ["waits", "a4", "b4"]
    assert dropped() - before == 8


@awaited
async def test_under_drop_oldest_a_slow_reader_gets_the_newest_ones_in_order() -> None:
    mailbox, before = over_the_hold(), dropped()

    for number in range(RING_FRAMES + 6):
        mailbox.put_under(RING, "live:a", f"{number}", 10)

    assert await taken(mailbox) == ["waits", *(f"{number}" for number in range(6, RING_FRAMES + 6))]
    assert dropped() - before == 6


@pytest.mark.parametrize("slow", [LATEST, RING])
@awaited
async def test_a_reader_that_keeps_up_misses_nothing(slow: Slow) -> None:
    mailbox: Mailbox[str] = Mailbox(10 * HOLD_BYTES)
    heard = []
    for number in range(300):
        mailbox.put_under(slow, "live:a", f"{number}", 1_000)
        if number % 50 == 49:
            heard += await taken(mailbox)

    assert heard == [f"{number}" for number in range(300)]


@awaited
async def test_what_is_held_is_flushed_when_the_reader_resumes_and_then_nothing_is_held_any_more() -> None:
    mailbox = over_the_hold()
    mailbox.put_under(LATEST, "live:a", "old", 10)
    mailbox.put_under(LATEST, "live:a", "new", 10)
    assert await taken(mailbox) == ["waits", "new"]

    mailbox.put_under(LATEST, "live:a", "1", 10)
    mailbox.put_under(LATEST, "live:a", "2", 10)

    assert await taken(mailbox) == ["1", "2"]


@awaited
async def test_drained_answers_when_the_writer_has_written_all_and_comes_for_more() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    mailbox.put("a", 1)
    waiting = asyncio.create_task(mailbox.drained())
    await asyncio.sleep(0)

    await taken(mailbox)
    await asyncio.sleep(0)
    assert not waiting.done(), "the writer has not written it yet"
    coming = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert waiting.done()
    mailbox.wake()
    await coming


@awaited
async def test_drained_answers_on_wake() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    mailbox.put("a", 1)
    waiting = asyncio.create_task(mailbox.drained())
    await asyncio.sleep(0)

    mailbox.wake()

    async with asyncio.timeout(5):
        await waiting


@awaited
async def test_drained_waits_for_what_waits_now_not_for_what_others_put_later() -> None:
    """Beside a busy live channel something new waits whenever the writer comes."""
    mailbox: Mailbox[str] = Mailbox(100)
    mailbox.put("a", 1)
    waiting = asyncio.create_task(mailbox.drained())
    await asyncio.sleep(0)

    for _ in range(5):
        await taken(mailbox)
        mailbox.put("of another channel", 1)
        await asyncio.sleep(0)

    is_drained = waiting.done()
    waiting.cancel()
    assert is_drained, "what waited is written long ago"


@awaited
async def test_drained_does_not_wait_when_nothing_waits() -> None:
    mailbox: Mailbox[str] = Mailbox(100)
    writer = asyncio.create_task(mailbox.take())
    await asyncio.sleep(0)

    waiting = asyncio.create_task(mailbox.drained())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    is_drained = waiting.done()
    waiting.cancel()
    writer.cancel()
    assert is_drained, "the writer has nothing to write, so it never comes"


actions = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"), st.sampled_from([CLOSE, LATEST, RING]), st.sampled_from("ab"), st.integers(0, HOLD_BYTES)
        ),
        st.tuples(st.just("take"), st.just(CLOSE), st.just("a"), st.just(0)),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=100)
@given(actions=actions)
@awaited
async def test_no_mailbox_exceeds_its_bound_and_what_is_taken_is_in_order(
    actions: list[tuple[str, Slow, str, int]],
) -> None:
    capacity = 4 * HOLD_BYTES
    mailbox: Mailbox[tuple[str, int]] = Mailbox(capacity)
    heard: dict[str, list[int]] = {}
    put: dict[str, list[int]] = {}
    for number, (kind, slow, letter, size) in enumerate(actions):
        channel = f"{slow}:{letter}"  # a channel is of one namespace, and so of one policy
        if kind == "put":
            mailbox.put_under(slow, channel, (channel, number), size)
            put.setdefault(channel, []).append(number)
        else:
            with suppress(TimeoutError):
                async with asyncio.timeout(0):
                    for found, at in await mailbox.take():
                        heard.setdefault(found, []).append(at)
        assert mailbox.size_bytes <= capacity

    if mailbox.is_overrun:
        assert mailbox.is_empty
    else:
        mailbox.wake()
        for found, at in await mailbox.take():
            heard.setdefault(found, []).append(at)
    for channel, numbers in heard.items():
        assert numbers == sorted(set(numbers))
        if not mailbox.is_overrun and channel.startswith("close"):
            assert numbers == put[channel]
        if not mailbox.is_overrun:
            assert numbers[-1] == put[channel][-1], "the newest one is never the one that is dropped"
