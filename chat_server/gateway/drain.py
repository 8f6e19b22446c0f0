"""Leaving in good order: no new connections, the open ones told to come back spread over time, the rest finished."""

import asyncio
import logging
import random
from collections.abc import Collection
from typing import Protocol

from chat_server.errors import SHUTDOWN, CloseCode
from chat_server.worker import Worker

logger = logging.getLogger(__name__)

SECONDS_A_CONNECTION = 0.02  # fifty reconnects a second are no storm, so a few connections need not wait the whole time
CLOSING_SHARE = 0.75  # of the time; the rest is for what is under way and for the peers to answer the close
WAITING_SHARE = 0.85  # whoever has not answered by then is left to the end of the process
FINISH_S = 1.0  # at least


class Leaver(Protocol):
    def leave(self, code: CloseCode) -> None: ...


async def drain(worker: Worker, strangers: Collection[Leaver], within_s: float) -> None:
    """Close every connection with 3001 within that time, in random order, and wait for what is under way.

    `strangers` are open and not connected yet. Whoever still connects meanwhile leaves at the end.
    """
    worker.is_draining = True
    loop = asyncio.get_running_loop()
    began = loop.time()
    leavers: list[Leaver] = [*worker.manager, *strangers]
    random.shuffle(leavers)
    spread_s = min(within_s * CLOSING_SHARE, len(leavers) * SECONDS_A_CONNECTION)
    logger.info("worker.draining", extra={"connections": len(leavers), "within_s": round(spread_s, 1)})
    for index, leaver in enumerate(leavers):
        wait_s = began + spread_s * index / len(leavers) - loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        leaver.leave(SHUTDOWN)
    deadline = max(began + within_s * WAITING_SHARE, loop.time() + FINISH_S)
    while (worker.under_way.count or len(worker.manager) or strangers) and loop.time() < deadline:
        for late in [*worker.manager, *strangers]:
            late.leave(SHUTDOWN)
        await asyncio.sleep(0.02)
