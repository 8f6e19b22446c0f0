"""Publishing from a terminal: notifications, and data into channels."""

import asyncio
from typing import Any

from chat_server.client import Client, http
from chat_server.errors import BadJson
from chat_server.terminal import in_one_line
from chat_server.wire import parse

TRIES = 3


def publish_notification(url: str, token: str, body: dict[str, object]) -> None:
    """ConnectionError, in one line, when the server does not take it."""
    headers = {"Authorization": f"Bearer {token}"}
    with in_one_line():
        asyncio.run(http.post(url, "/api/v1/notifications", body, headers, tries=TRIES))


def publish_data(url: str, api_key: str, token: str, channel: str, text: str) -> None:
    """By the server API's key, else as a client. `text` is JSON, or is sent as a string. ConnectionError."""
    try:
        data = parse(text)
    except BadJson:
        data = text
    as_client = token and not api_key
    with in_one_line():
        asyncio.run(_as_client(url, token, channel, data) if as_client else _as_back_end(url, api_key, channel, data))


async def _as_back_end(url: str, api_key: str, channel: str, data: Any) -> None:
    body = {"channel": channel, "data": data}
    answer = await http.post(url, "/api/publish", body, {"X-API-Key": api_key}, tries=TRIES)
    if "error" in answer:
        raise ConnectionError(f"{channel}: {answer['error']['message']}")


async def _as_client(url: str, token: str, channel: str, data: Any) -> None:
    async with Client(url, token) as client:
        await client.publish(channel, data)
