"""Who connects: people's cards as they see them themselves, read together for all who connect at the same time.

A read takes a thread hand-over, which was a third of what a connect cost. The first one is read for at once; whoever
comes in the PAUSE_S after it shares the next read, so that a storm of reconnects takes few and large ones.
"""

import asyncio
from collections.abc import Mapping

from chat_server.accounts.queries import seen_by_themselves
from chat_server.actor import SYSTEM
from chat_server.errors import UserNotFound
from chat_server.ids import UserId
from chat_server.shapes import User
from chat_server.worker import Worker

PAUSE_S = 0.005  # at 4,000 connects a second 20 share a read; who connects alone never waits for it

Waiting = dict[UserId, "list[asyncio.Future[User]]"]


class Cards:
    """One worker's."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waiting: Waiting = {}
        self._is_reading = False

    async def of(self, user_id: UserId) -> User:
        """As it is now. UserNotFound, Unavailable."""
        if not self._is_reading:
            self._is_reading = True
            self._worker.spawn(self._read())
        future: asyncio.Future[User] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(user_id, []).append(future)
        return await future

    async def _read(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                await self._answer(waiting)
                await asyncio.sleep(PAUSE_S)
        finally:
            self._is_reading = False

    async def _answer(self, waiting: Waiting) -> None:
        found: Mapping[UserId, User] = {}
        error: Exception | None = None
        try:
            found = await self._worker.read(SYSTEM, lambda unit: seen_by_themselves(unit, list(waiting)))
        except Exception as failed:  # noqa: BLE001  whoever waits is told
            error = failed
        for user_id, futures in waiting.items():
            for future in futures:
                if future.done():
                    continue  # gave up
                if user_id in found:
                    future.set_result(found[user_id])
                else:
                    future.set_exception(error or UserNotFound(user_id=user_id))
