"""A Cluster whose slots move: who followed a channel there is told of a gap and hears on."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.cluster import engines
from tests.cluster.engines import Engine
from tests.contracts.brokers import ends, followed, redis_at
from tests.store.rig import awaited, until

pytestmark = pytest.mark.long
CHANNEL = "room:a"


@pytest.fixture
def nodes() -> Iterator[list[Engine]]:
    with engines.cluster() as found:
        yield found


def move_slot_of(nodes: list[Engine], key: str) -> None:
    """To another node than the one that has it."""
    slot = nodes[0].ask("CLUSTER", "KEYSLOT", key)
    ids = [node.ask("CLUSTER", "MYID").decode() for node in nodes]
    owner = next(index for index, node in enumerate(nodes) if slot in _slots_of(nodes[0], node.port))
    target = (owner + 1) % len(nodes)
    nodes[target].ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
    nodes[owner].ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
    for node in (nodes[target], nodes[owner], nodes[(owner + 2) % len(nodes)]):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[target])


def _slots_of(asked: Engine, port: int) -> set[int]:
    found = asked.ask("CLUSTER", "SLOTS")
    return {slot for row in found for slot in range(row[0], row[1] + 1) if row[2][1] == port}


@awaited
async def test_a_channel_whose_slot_moves_is_heard_on_and_a_gap_is_told(nodes: list[Engine]) -> None:
    url = nodes[0].url.replace("redis", "redis+cluster", 1)
    async with ends(lambda: redis_at(url), 2) as (ann, bob):
        await followed(CHANNEL, bob)
        ann.publish(CHANNEL, b"before")
        await bob.hears(CHANNEL, b"before")

        await asyncio.to_thread(move_slot_of, nodes, f"chat:{{{CHANNEL}}}")

        async def goes_on() -> None:
            number = 0
            while not bob.ear.payloads(CHANNEL)[1:]:
                ann.publish(CHANNEL, b"after %d" % number)
                number += 1
                await asyncio.sleep(0.05)

        async with asyncio.timeout(10):
            await goes_on()
        await until(lambda: bob.ear.gaps, "the gap")


@awaited
async def test_the_registers_slot_may_move_and_people_stay_online(nodes: list[Engine]) -> None:
    url = nodes[0].url.replace("redis", "redis+cluster", 1)
    async with ends(lambda: redis_at(url), 2) as (ann, bob):
        await ann.broker.enter("chat:x", "client-1", b"{}")

        await asyncio.to_thread(move_slot_of, nodes, "chat:p:{chat:y}")

        await bob.broker.enter("chat:y", "client-2", b"{}")
        assert list(await ann.broker.present("chat:y")) == ["client-2"]
        assert list(await bob.broker.present("chat:x")) == ["client-1"]
