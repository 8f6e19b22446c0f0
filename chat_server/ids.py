"""Names of things: typed ids, channel names, and how a new id is made."""

import os
import time
from typing import NewType

UserId = NewType("UserId", str)
RoomId = NewType("RoomId", str)
MessageId = NewType("MessageId", str)
NotificationId = NewType("NotificationId", str)
SessionId = NewType("SessionId", str)
KeyId = NewType("KeyId", str)
ClientId = NewType("ClientId", str)
Channel = NewType("Channel", str)

FIGURES_CHANNEL = Channel("server:figures")

# The product's own, whose rules are no settings. Their channels carry its events; all others, what back ends and
# clients publish.
EVENT_NAMESPACES = frozenset({"room", "user", "presence", "topic", "server"})

_RANDOM_BYTES = 8  # 64 random bits behind 48 bits of milliseconds: ids made in one millisecond stay apart


def new_id() -> str:
    """28 hexadecimal characters that sort by the millisecond they were made in."""
    return (int(time.time() * 1000).to_bytes(6, "big") + os.urandom(_RANDOM_BYTES)).hex()


def room_channel(room_id: RoomId) -> Channel:
    return Channel(f"room:{room_id}")


def user_channel(user_id: UserId) -> Channel:
    return Channel(f"user:{user_id}")


def presence_channel(room_id: RoomId) -> Channel:
    return Channel(f"presence:{room_id}")


def topic_channel(topic: str) -> Channel:
    return Channel(f"topic:{topic}")


def namespace_of(channel: str) -> str:
    """The part before the first `:`, which decides a channel's rules; "" when there is none."""
    return channel.partition(":")[0] if ":" in channel else ""


def is_event_channel(channel: str) -> bool:
    return namespace_of(channel) in EVENT_NAMESPACES


def name_in(channel: str) -> str:
    """The part behind the first `:`, a room's id in `room:<id>`."""
    return channel.partition(":")[2]
