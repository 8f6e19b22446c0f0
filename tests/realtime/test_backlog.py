"""A huge channel is delivered in slices: everyone hears all of it in order, and other channels need not wait for it."""

import asyncio
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chat_server.realtime import channel as channel_module
from chat_server.realtime.batch import Batch
from chat_server.realtime.channel import BACKLOG_FRAMES, SLICE_DELIVERIES, LocalChannel
from chat_server.realtime.manager import ConnectionManager
from tests.realtime.people import Reader, frame
from tests.store.rig import awaited, until

HOLD_BYTES = 1024 * 1024
CROWD = 5 * SLICE_DELIVERIES


def crowded(manager: ConnectionManager, name: str, size: int) -> list[Reader]:
    """So many people, live in the channel at position 0."""
    readers = [Reader(f"ann-{number}") for number in range(size)]
    joinings = []
    for reader in readers:
        manager.add(reader)
        joinings.append(manager.join(reader, name, is_durable=True))
    manager.channels[name].begin_at(0, "e1")
    for joining in joinings:
        joining.go_live(0)
    return readers


def publish(manager: ConnectionManager, name: str, *offsets: int) -> None:
    channel = manager.channels[name]
    for offset in offsets:
        manager.deliver(channel, channel.accept(frame(offset, name)))


@awaited
async def test_a_huge_channel_does_not_keep_another_one_waiting() -> None:
    manager = ConnectionManager()
    crowd = crowded(manager, "room:huge", CROWD)
    (ann,) = crowded(manager, "room:small", 1)

    publish(manager, "room:huge", 1)
    publish(manager, "room:small", 1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert ann.offsets() == [1]
    assert sum(len(reader.frames) for reader in crowd) <= 2 * SLICE_DELIVERIES
    await until(lambda: all(reader.offsets() == [1] for reader in crowd), "everyone to hear it")


@awaited
async def test_every_turn_of_the_loop_delivers_no_more_than_a_slice() -> None:
    manager = ConnectionManager()
    crowd = crowded(manager, "room:huge", CROWD)
    publish(manager, "room:huge", 1, 2, 3)

    counts = [0]
    while counts[-1] < 3 * CROWD:
        await asyncio.sleep(0)
        counts.append(sum(len(reader.frames) for reader in crowd))

    assert max(later - earlier for earlier, later in itertools.pairwise(counts)) <= SLICE_DELIVERIES
    assert all(reader.offsets() == [1, 2, 3] for reader in crowd)


@awaited
async def test_what_is_published_faster_than_it_goes_out_does_not_wait_without_bound() -> None:
    manager = ConnectionManager()
    crowd = crowded(manager, "room:huge", SLICE_DELIVERIES + 1)

    publish(manager, "room:huge", *range(1, 2 * BACKLOG_FRAMES + 2))

    assert len(crowd[-1].frames) >= BACKLOG_FRAMES
    await until(lambda: manager.channels["room:huge"].backlog is None, "the end of the backlog")
    assert all(reader.offsets() == list(range(1, 2 * BACKLOG_FRAMES + 2)) for reader in crowd)


@awaited
async def test_a_channel_that_everyone_leaves_meanwhile_is_gone_and_all_have_heard_what_was_published_before() -> None:
    manager = ConnectionManager()
    crowd = crowded(manager, "room:huge", CROWD)
    publish(manager, "room:huge", 1)

    for number, reader in enumerate(crowd):
        if number % SLICE_DELIVERIES == 0:
            await asyncio.sleep(0)
        manager.remove(reader)
    await asyncio.sleep(0)

    assert not manager.channels
    assert all(reader.offsets() == [1] for reader in crowd)


@awaited
async def test_what_cannot_be_encoded_does_not_silence_its_channel_or_another_one() -> None:
    manager = ConnectionManager()
    (ann,), (bob,) = crowded(manager, "room:a", 1), crowded(manager, "room:b", 1)
    hear = ann.deliver

    def reads(batch: Batch) -> None:
        if batch.offset == 1:
            raise ValueError("no JSON")
        hear(batch)

    ann.deliver = reads  # type: ignore[method-assign]
    publish(manager, "room:a", 1)
    publish(manager, "room:b", 1)
    await asyncio.sleep(0)
    publish(manager, "room:a", 2)
    await asyncio.sleep(0)

    assert (ann.offsets(), bob.offsets()) == ([2], [1])


@awaited
async def test_what_comes_in_one_turn_is_heard_together() -> None:
    manager = ConnectionManager()
    (ann,) = crowded(manager, "room:small", 1)
    heard: list[int] = []
    ann.deliver = lambda batch: heard.append(batch.count)  # type: ignore[method-assign]

    publish(manager, "room:small", 1, 2, 3)
    await asyncio.sleep(0)
    publish(manager, "room:small", 4)
    await asyncio.sleep(0)

    assert heard == [3, 1]


actions = st.lists(
    st.tuples(st.sampled_from(["publish", "publish", "slice", "slice", "join", "leave", "return"]), st.integers(0, 7)),
    max_size=80,
)


@settings(deadline=None, max_examples=200)
@example(actions=[("join", 0), ("join", 0), ("join", 0), ("publish", 0), ("join", 0), ("publish", 0)])
@given(actions=actions)
def test_whoever_comes_and_goes_during_slices_hears_each_publication_once_and_in_order(
    actions: list[tuple[str, int]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channel_module, "SLICE_DELIVERIES", 2)
        channel = LocalChannel("room:a", is_durable=True)
        channel.begin_at(0, "e1")
        inside: dict[Reader, int] = {}
        for kind, index in actions:
            if kind == "publish":
                _publish(channel)
            elif kind == "slice" and channel.backlog is not None:
                channel.backlog.deliver_slice()
            elif kind == "join":
                _join(channel, Reader(), inside)
            elif inside and kind in {"leave", "return"}:
                _leave(channel, list(inside)[index % len(inside)], inside, comes_back=kind == "return")

        while channel.backlog is not None:
            channel.backlog.deliver_slice()
        for reader, top in inside.items():
            _check(reader, top, channel.position)


def _publish(channel: LocalChannel) -> None:
    channel.put(channel.accept(frame(channel.position + 1)))


def _leave(channel: LocalChannel, reader: Reader, inside: dict[Reader, int], *, comes_back: bool) -> None:
    head = channel.position
    channel.leave(reader)
    _check(reader, inside.pop(reader), head)
    if comes_back:
        reader.frames.clear()
        _join(channel, reader, inside)


def _join(channel: LocalChannel, reader: Reader, inside: dict[Reader, int]) -> None:
    inside[reader] = channel.position
    channel.join(reader, HOLD_BYTES).go_live(channel.position)


def _check(reader: Reader, top: int, head: int) -> None:
    """It heard all from where it joined, up to the head at its end."""
    assert reader.offsets() == list(range(top + 1, head + 1))
