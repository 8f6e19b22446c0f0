"""Following channels from a terminal: one JSON object a line, nothing missed over reconnects."""

import asyncio
from collections.abc import Callable, Sequence

from chat_server.client import Client, Delivery
from chat_server.ids import is_event_channel
from chat_server.terminal import in_one_line
from chat_server.wire import encode


def follow(url: str, token: str, channels: Sequence[str], show: Callable[[str], None]) -> None:
    """For ever. ConnectionError when the server refuses, or ends it for good."""
    with in_one_line():
        asyncio.run(_follow(url, token, channels, show))


async def _follow(url: str, token: str, channels: Sequence[str], show: Callable[[str], None]) -> None:
    async def one(channel: str) -> None:
        async for delivery in client.follow(channel).deliveries():
            show(line_of(delivery))

    async with Client(url, token) as client:
        await asyncio.gather(*(one(channel) for channel in dict.fromkeys(channels)))


def line_of(delivery: Delivery) -> str:
    """An event is itself; data of a configured channel and a gap that cannot be filled say where they belong."""
    if delivery.missed is not None:
        told: object = {"type": "missed", "channel": delivery.channel}
    elif delivery.kind != "pub":
        told = {"type": delivery.kind, "channel": delivery.channel, "info": delivery.info}
    elif is_event_channel(delivery.channel):
        told = delivery.data
    else:
        told = {"type": "publication", "channel": delivery.channel, "data": delivery.data}
    return encode(told).decode()
