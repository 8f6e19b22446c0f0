"""The bodies about messages. A command is a body with the path's parameters."""

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from chat_server.ids import UserId
from chat_server.shapes import (
    Body,
    ClientMsgId,
    Cursor,
    Limit,
    Message,
    MessageIdField,
    MessageText,
    RoomIdField,
    RoomKind,
    Seq,
    UserIdField,
)

_NAME = re.compile(r"(?<![A-Za-z0-9_@.-])@([A-Za-z0-9_.-]{2,32})")


class MentionsBody(Body):
    """Who is called by name; `room` calls everyone. `@username` in the text is resolved besides."""

    user_ids: Annotated[tuple[UserIdField, ...], Field(max_length=100)] = ()
    room: Annotated[bool, Field(strict=True)] = False


class NewMessage(Body):
    text: MessageText
    client_msg_id: ClientMsgId | None = None
    reply_to: MessageIdField | None = None
    mentions: MentionsBody = MentionsBody()


class PostMessage(NewMessage):
    room_id: RoomIdField


class MessageChange(Body):
    text: MessageText


class EditMessage(MessageChange):
    room_id: RoomIdField
    message_id: MessageIdField


class MessagePath(Body):
    room_id: RoomIdField
    message_id: MessageIdField


class MessagePage(Body):
    """At most one of `before`, `after`, `around`; none is the newest page."""

    before: Cursor | None = None
    after: Cursor | None = None
    around: Cursor | None = None
    limit: Limit = 50

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if sum(cursor is not None for cursor in (self.before, self.after, self.around)) > 1:
            raise ValueError("before, after and around exclude each other")
        return self


class ListMessages(MessagePage):
    room_id: RoomIdField


class ReadMark(Body):
    seq: Seq


class MarkRead(ReadMark):
    room_id: RoomIdField


@dataclass(frozen=True, slots=True)
class Posted:
    """`is_repeat`: the client_msg_id was there already, and this is the stored message as it is now."""

    message: Message
    is_repeat: bool


@dataclass(frozen=True, slots=True)
class Called:
    """A message that somebody should be told of although absent: it mentions them, or the room is a direct one."""

    message: Message
    room_kind: RoomKind
    user_ids: tuple[UserId, ...]
    everyone: bool


def as_client_msg_id(idempotency_key: str) -> str:
    """A header's key as a client_msg_id: itself if it is short enough, else its hash."""
    return idempotency_key if len(idempotency_key) <= 64 else hashlib.sha256(idempotency_key.encode()).hexdigest()


def names_in(text: str) -> list[str]:
    """The usernames that a text calls with `@`, lower-cased, each once; at most 100."""
    if "@" not in text:
        return []
    return list(dict.fromkeys(name.lower().rstrip(".-") for name in _NAME.findall(text)))[:100]
