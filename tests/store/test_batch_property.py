"""Whatever a batch is made of: it leaves the effects of the commands that succeeded, in order, and nothing else."""

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from chat_server.errors import RoomNotFound, StoreUnavailable
from chat_server.store import event_log
from chat_server.store.transaction import Publication, Told, Transaction
from tests.store.rig import ADD, Ledger, awaited, database, engine_at, held, opened, rows

_DIES = text("INSERT OR ROLLBACK INTO meta (key, value) VALUES ('epoch', 'again')")
CHANNELS = ("room:a", "room:b", "user:c")
REFUSAL = {
    "refused": RoomNotFound,
    "crashes": ZeroDivisionError,
    "breaks a rule": StoreUnavailable,
    "ends the transaction": StoreUnavailable,
}


@dataclass(frozen=True)
class Step:
    """One row with as many events as `channels`, after which a conflict may happen that the command handles."""

    channels: tuple[str, ...]
    has_conflict: bool


@dataclass(frozen=True)
class Plan:
    """One command: its steps, and how it ends."""

    steps: tuple[Step, ...]
    ending: str

    @property
    def succeeds(self) -> bool:
        return self.ending not in REFUSAL


steps = st.builds(Step, channels=st.lists(st.sampled_from(CHANNELS), max_size=3).map(tuple), has_conflict=st.booleans())
plans = st.builds(
    Plan,
    steps=st.lists(steps, max_size=3).map(tuple),
    ending=st.sampled_from(["succeeds", "succeeds", "succeeds", *REFUSAL]),
)


def command(number: int, plan: Plan) -> Callable[[Transaction], int]:
    def run(transaction: Transaction) -> int:
        for index, step in enumerate(plan.steps):
            transaction.run(ADD, key=f"{number:03}.{index}", value="")
            for channel in step.channels:
                transaction.told.append(Told(channel, f"{number}.{index}".encode()))
            transaction.signals.append((number, index))
            if step.has_conflict:
                with pytest.raises(sqlite3.IntegrityError):
                    transaction.run(ADD, key=f"{number:03}.{index}", value="")
        return ended(transaction, number, plan.ending)

    return run


def ended(transaction: Transaction, number: int, ending: str) -> int:
    match ending:
        case "refused":
            raise RoomNotFound(room_id="a")
        case "crashes":
            raise ZeroDivisionError
        case "breaks a rule":
            transaction.run(ADD, key="epoch", value="")
        case "ends the transaction":
            transaction.run(_DIES)
    return number


def expected_publications(batch: list[Plan]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {channel: [] for channel in CHANNELS}
    for number, plan in enumerate(batch):
        for index, step in enumerate(plan.steps if plan.succeeds else ()):
            for channel in step.channels:
                found[channel].append(f"{number}.{index}".encode())
    return found


@settings(deadline=None, max_examples=60)
@given(batch=st.lists(plans, max_size=12))
@awaited
async def test_a_batch_with_failing_commands_leaves_exactly_the_others_effects(
    tmp_path_factory: pytest.TempPathFactory, batch: list[Plan]
) -> None:
    ledger = Ledger()
    async with opened(engine_at(database(tmp_path_factory.mktemp("batch"))), ledger) as store:
        async with held(store):
            tasks = [asyncio.create_task(store.write(command(*numbered))) for numbered in enumerate(batch)]
        results = await asyncio.gather(*tasks, return_exceptions=True)

        for number, plan in enumerate(batch):
            if plan.succeeds:
                assert results[number] == number
            else:
                assert type(results[number]) is REFUSAL[plan.ending]
        kept = [
            (number, index) for number, plan in enumerate(batch) if plan.succeeds for index in range(len(plan.steps))
        ]
        assert list(await store.read(rows)) == [f"{number:03}.{index}" for number, index in kept]
        assert ledger.signals == kept
        for channel, payloads in expected_publications(batch).items():
            log = [Publication(channel, offset, payload) for offset, payload in enumerate(payloads, 1)]
            assert [found for found in ledger.publications if found.channel == channel] == log
            assert await store.read(lambda transaction, channel=channel: read_log(transaction, channel)) == log


def read_log(transaction: Transaction, channel: str) -> list[Publication]:
    return event_log.since(transaction, channel, 0, 1000)
