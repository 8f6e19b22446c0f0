"""A channel, or all rooms, as an asynchronous iterator of events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from types import TracebackType

from chat_server.client.delivery import Delivery, Heard, Position
from chat_server.client.inbox import Inbox
from chat_server.client.problems import Closed


class Following:
    """`async for event in client.follow(...)`. Leaving the loop, or an `async with` around it, ends the following.

    It goes on over reconnects without a gap or a repeat. It stops when the client is closed, and raises what ended it
    otherwise: Unsubscribed, Refused, Disconnected. `positions` has where the events stand that were taken, by channel.
    """

    def __init__(self, capacity: int, taken: Callable[[Inbox], None], leave: Callable[[Inbox], None]) -> None:
        self._stirred = asyncio.Event()
        self._taken = taken
        self._leave = leave
        self.inbox = Inbox(capacity, self._stirred.set)
        self.positions: dict[str, Position] = {}

    async def next(self) -> Delivery:
        """The next publication with its position, as it came. Closed, and what else ends a following."""
        while (found := self.inbox.take()) is None:
            if self.inbox.end is not None:
                raise self.inbox.end
            self._stirred.clear()
            await self._stirred.wait()
        if found.position is not None:
            self.positions[found.channel] = found.position
        self._taken(self.inbox)
        return found

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """The same as iterating, with positions and the JSON as it came."""
        async with self:
            try:
                while True:
                    yield await self.next()
            except Closed:
                return

    async def __aiter__(self) -> AsyncIterator[Heard]:
        async with self:
            try:
                while True:
                    yield (await self.next()).event
            except Closed:
                return

    def close(self) -> None:
        """Follow no longer."""
        self._leave(self.inbox)
        self.inbox.close(Closed())

    async def __aenter__(self) -> "Following":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
