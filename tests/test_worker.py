"""One worker: how it carries out commands, and what runs beside them."""

import asyncio
from pathlib import Path

import pytest

from chat_server.actor import SYSTEM
from chat_server.app import create_app
from chat_server.errors import RoomNotFound
from chat_server.metrics import REGISTRY
from chat_server.unit import Unit
from chat_server.worker import Worker
from tests.house import settings_for
from tests.store.rig import awaited


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("chat_commands_total", {"outcome": outcome}) or 0.0


@awaited
async def test_what_runs_beside_ends_with_the_worker_begun_or_not(tmp_path: Path) -> None:
    ended = []

    async def lasting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("begun")

    app = create_app(settings_for(tmp_path))
    async with app.router.lifespan_context(app):
        worker: Worker = app.state.gateway.worker
        begun = worker.spawn(lasting())
        await asyncio.sleep(0)
        never_begun = worker.spawn(lasting())

    assert ended == ["begun"]
    assert begun.cancelled()
    assert never_begun.cancelled()
    assert not worker.spawned


@awaited
async def test_commands_are_counted_by_their_outcome(tmp_path: Path) -> None:
    def refused(unit: Unit) -> None:
        raise RoomNotFound

    app = create_app(settings_for(tmp_path))
    async with app.router.lifespan_context(app):
        worker: Worker = app.state.gateway.worker
        done_before, refused_before = counted("done"), counted("refused")
        await worker.write(SYSTEM, lambda unit: None)
        await worker.read(SYSTEM, lambda unit: None)
        for carry_out in (worker.write, worker.read):
            with pytest.raises(RoomNotFound):
                await carry_out(SYSTEM, refused)

    assert (counted("done") - done_before, counted("refused") - refused_before) == (2, 2)
