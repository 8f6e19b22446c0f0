"""The Python client and the bot kit: everything that programs import from here. docs/clients.md shows it.

It imports only wire, events, errors, ids and what those import, so it works without any of the server's packages.
"""

from chat_server.client.bot import Bot
from chat_server.client.client import Client, Present
from chat_server.client.context import Context
from chat_server.client.delivery import (
    Delivery,
    Follower,
    Heard,
    Joined,
    Left,
    Missed,
    Position,
    Published,
    UnknownEvent,
)
from chat_server.client.following import Following
from chat_server.client.http import Login
from chat_server.client.problems import (
    ClientError,
    Closed,
    Disconnected,
    Refused,
    Unanswered,
    Unreachable,
    Unsubscribed,
)
from chat_server.client.sync import SyncClient
from chat_server.client.testing import TestBot

__all__ = [
    "Bot",
    "Client",
    "ClientError",
    "Closed",
    "Context",
    "Delivery",
    "Disconnected",
    "Follower",
    "Following",
    "Heard",
    "Joined",
    "Left",
    "Login",
    "Missed",
    "Position",
    "Present",
    "Published",
    "Refused",
    "SyncClient",
    "TestBot",
    "Unanswered",
    "UnknownEvent",
    "Unreachable",
    "Unsubscribed",
]
