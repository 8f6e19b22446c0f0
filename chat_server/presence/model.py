"""The bodies and answers about presence."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from chat_server.ids import UserId
from chat_server.shapes import Body, RoomIdField


class TypingIn(Body):
    room_id: RoomIdField


class MemberPresence(BaseModel):
    """`last_seen_at` is when an offline person was here last; null for who never was."""

    user_id: UserId
    status: Literal["online", "offline"]
    last_seen_at: datetime | None


class RoomPresence(BaseModel):
    """In rooms too large to list, `items` is empty and `online` counts."""

    items: list[MemberPresence]
    online: int
