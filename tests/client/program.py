"""What the tests of the Python client do again and again."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from chat_server.client import Client, Following
from chat_server.events import MessagePosted
from tests.house import until

PATIENCE_S = 20.0


def run(work: Callable[[], Coroutine[Any, Any, None]], patience_s: float = PATIENCE_S) -> None:
    """A test's own coroutine."""

    async def within() -> None:
        async with asyncio.timeout(patience_s):
            await work()

    asyncio.run(within())


async def texts(following: Following, count: int) -> list[str]:
    """The next messages' texts."""
    found: list[str] = []
    while len(found) < count:
        event = (await following.next()).event
        if isinstance(event, MessagePosted):
            found.append(event.message.text)
    return found


async def happens(condition: Callable[[], Any]) -> None:
    """Wait for something that goes on in another thread."""
    await asyncio.to_thread(until, condition)


async def settled(client: Client) -> None:
    """What the client asked for so far is done: commands are carried out in their order."""
    await client.rpc("users.me")
