"""What the broker of one process does with time: how long streams, keys and their memory last."""

import pytest

from chat_server.broker import Keep, Stream, memory
from chat_server.broker.memory import EPOCH_S, IDEMPOTENCY_S, SWEEP_AT, Hub, MemoryBroker
from tests.store.rig import awaited


class Watch:
    """Stands in for the module `time`."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    found = Watch()
    monkeypatch.setattr(memory, "time", found)
    return found


@awaited
async def test_a_history_lasts_its_time_after_the_last_publication(watch: Watch) -> None:
    """As Redis does, which lets a key expire and not its parts."""
    async with MemoryBroker() as broker:
        for number in range(3):
            await broker.append("chat:a", b"%d" % number, Keep(size=10, ttl_s=10))
            watch.now += 4
        watch.now += 5  # 17 s after the first, 9 s after the last

        found = await broker.history("chat:a", 0, 10)
        watch.now += 2
        later = await broker.history("chat:a", 0, 10)

    assert [offset for offset, _ in found.items] == [1, 2, 3]
    assert later == Stream(found.epoch, 3)


@awaited
async def test_a_key_is_remembered_for_its_time_and_then_appends_again(watch: Watch) -> None:
    keep = Keep(size=10, ttl_s=600)
    async with MemoryBroker() as broker:
        first = await broker.append("chat:a", b"1", keep, "key")
        watch.now += IDEMPOTENCY_S - 1
        assert await broker.append("chat:a", b"1", keep, "key") == first
        watch.now += 2

        assert await broker.append("chat:a", b"1", keep, "key") == Stream(first.epoch, 2)


@awaited
async def test_the_offsets_of_a_quiet_stream_go_on_for_a_day(watch: Watch) -> None:
    keep = Keep(size=10, ttl_s=60)
    async with MemoryBroker() as broker:
        first = await broker.append("chat:a", b"1", keep)
        watch.now += EPOCH_S - 1

        assert await broker.history("chat:a", 0, 10) == Stream(first.epoch, 1)
        assert await broker.append("chat:a", b"2", keep) == Stream(first.epoch, 2)


@awaited
async def test_a_stream_that_was_quiet_for_longer_begins_a_new_epoch(watch: Watch) -> None:
    keep = Keep(size=10, ttl_s=60)
    async with MemoryBroker() as broker:
        first = await broker.append("chat:a", b"1", keep)
        watch.now += EPOCH_S + 1

        second = await broker.append("chat:a", b"2", keep)

    assert second.top == 1
    assert second.epoch != first.epoch


@awaited
async def test_a_history_that_lasts_longer_than_a_day_keeps_its_epoch_as_long(watch: Watch) -> None:
    keep = Keep(size=10, ttl_s=int(10 * EPOCH_S))
    async with MemoryBroker() as broker:
        first = await broker.append("chat:a", b"1", keep)
        watch.now += 9 * EPOCH_S

        found = await broker.history("chat:a", 0, 10)

    assert (found.epoch, found.items) == (first.epoch, ((1, b"1"),))


@awaited
async def test_streams_that_outlived_their_time_give_back_their_memory(watch: Watch) -> None:
    keep, hub = Keep(size=10, ttl_s=60), Hub()
    async with MemoryBroker(hub) as broker:
        for number in range(100):
            await broker.append(f"chat:{number}", b"x", keep)
        watch.now += EPOCH_S + 1

        for _ in range(SWEEP_AT):
            await broker.append("chat:alive", b"x", keep)

    assert list(hub.streams) == ["chat:alive"]


@awaited
async def test_looking_at_streams_that_nobody_publishes_to_costs_no_memory_for_ever(watch: Watch) -> None:
    """Clients choose the names that they ask the history of."""
    hub = Hub()
    async with MemoryBroker(hub) as broker:
        for number in range(3 * SWEEP_AT):
            await broker.history(f"chat:{number}", 0, 10)
            watch.now += EPOCH_S

    assert len(hub.streams) <= SWEEP_AT


@awaited
async def test_a_worker_that_left_hears_and_holds_nothing(watch: Watch) -> None:
    hub = Hub()
    async with MemoryBroker(hub) as ann:
        async with MemoryBroker(hub) as bob:
            await bob.enter("chat:a", "client", b"{}")
            await bob.follow("chat:a")
        await ann.append("chat:a", b"x", None)

        assert hub.brokers == [ann]
        assert hub.present == {}
