"""What people chat with, as everyone sees it: the objects in answers and events, and the constraints on their fields.

User and Room are pydantic, because some of their fields are told only to some: a field that was not set is not sent.
The others always carry all of their fields and are plain dataclasses, which encode fastest.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from chat_server.ids import KeyId, MessageId, NotificationId, RoomId, SessionId, UserId

MAX_SEQ = 2**53 - 1  # the largest whole number that JavaScript keeps exactly
TEXT_CHARS = 4000
T = TypeVar("T")


class Role(StrEnum):
    """A person's rank on the server."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    GUEST = "guest"


class Kind(StrEnum):
    HUMAN = "human"
    BOT = "bot"


class RoomKind(StrEnum):
    PUBLIC = "public"
    PRIVATE = "private"
    DIRECT = "direct"


class MemberRole(StrEnum):
    """A member's rank in one room."""

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"


class Scope(StrEnum):
    """What a credential may be used for."""

    CHAT = "chat"
    STREAM = "stream"
    NOTIFY = "notify:publish"
    ADMIN = "admin"


def _no_nul(value: str) -> str:
    if "\x00" in value:  # SQLite's length() stops at it, PostgreSQL refuses it
        raise ValueError("NUL characters are not allowed")
    return value


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _one_line(value: str) -> str:
    if _CONTROL.search(value):
        raise ValueError("control characters are not allowed")
    return value.strip()


def _visible(value: str) -> str:
    if not value.strip():
        raise ValueError("there is nothing to see in it")
    return value


def _no_bool(value: object) -> object:
    if isinstance(value, bool | float):  # pydantic would take true for 1; a query's "5" is fine
        raise ValueError("write a whole number")
    return value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Id = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_one_line)]
RoomIdField = Annotated[RoomId, StringConstraints(min_length=1, max_length=64), AfterValidator(_one_line)]
UserIdField = Annotated[UserId, StringConstraints(min_length=1, max_length=64), AfterValidator(_one_line)]
MessageIdField = Annotated[MessageId, StringConstraints(min_length=1, max_length=64), AfterValidator(_one_line)]
Username = Annotated[str, BeforeValidator(_lower), StringConstraints(pattern=r"^[a-z0-9_.-]{2,32}$")]
DisplayName = Annotated[
    str, StringConstraints(min_length=1, max_length=64), AfterValidator(_one_line), AfterValidator(_visible)
]
SearchText = Annotated[str, StringConstraints(max_length=64), AfterValidator(_one_line)]
Password = Annotated[str, StringConstraints(min_length=8, max_length=1024)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00]{1,64}@[^@\s\x00]{1,189}$")]
RoomName = Annotated[
    str, StringConstraints(min_length=1, max_length=80), AfterValidator(_one_line), AfterValidator(_visible)
]
RoomTopic = Annotated[str, StringConstraints(max_length=500), AfterValidator(_no_nul)]
MessageText = Annotated[
    str, StringConstraints(min_length=1, max_length=TEXT_CHARS), AfterValidator(_no_nul), AfterValidator(_visible)
]
ClientMsgId = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_one_line)]
Seq = Annotated[int, Field(strict=True, ge=0, le=MAX_SEQ)]
Cursor = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=MAX_SEQ)]  # in queries too, where it is text
Limit = Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=200)]
TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Body(BaseModel):
    """A body that we define: unknown fields are refused, so that a typing error is not silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class User(BaseModel):
    """`email` is set only for oneself."""

    model_config = ConfigDict(frozen=True)

    id: UserId
    username: str
    display_name: str
    kind: Kind
    role: Role
    created_at: datetime
    disabled: bool
    email: str | None = None


class Room(BaseModel):
    """`role`, `last_read_seq` and `unread` are set only for a member, and are that member's own."""

    model_config = ConfigDict(frozen=True)

    id: RoomId
    name: str
    kind: RoomKind
    topic: str
    created_by: UserId
    created_at: datetime
    archived_at: datetime | None
    last_message_seq: int
    role: MemberRole | None = None
    last_read_seq: int | None = None
    unread: int | None = None


class Page(BaseModel, Generic[T]):
    """One page of a list. `next` and `previous` are the values for `after` and `before`; null at an end."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    next: str | int | None
    previous: str | int | None


def page_of(items: list[T], cursor: Callable[[T], str | int], *, before: bool, after: bool) -> Page[T]:
    """A page, given whether there are more items on either side of it."""
    return Page(
        items=items,
        next=cursor(items[-1]) if items and after else None,
        previous=cursor(items[0]) if items and before else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    user_id: UserId
    username: str
    display_name: str
    kind: Kind
    role: MemberRole
    joined_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """Who a message calls by name. `room` is everyone in the room."""

    user_ids: tuple[UserId, ...] = ()
    room: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """`seq` counts the room's messages from 1 without holes. A deleted message keeps its place with an empty text."""

    id: MessageId
    room_id: RoomId
    seq: int
    sender_id: UserId
    client_msg_id: str | None
    text: str
    mentions: Mentions
    reply_to: MessageId | None
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """`kind` says what raised it; a published one has `published`. `read_at` is the reader's own; null on topics."""

    id: NotificationId
    kind: Literal["published", "mention", "direct", "added"]
    topic: str | None
    title: str
    text: str
    priority: int
    tags: tuple[str, ...]
    click: str | None
    room_id: RoomId | None
    message_id: MessageId | None
    sender_id: UserId | None
    created_at: datetime
    expires_at: datetime | None
    read_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login of one person. `current` marks the caller's own."""

    id: SessionId
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A bot's key without its secret. `channels` null is no restriction."""

    id: KeyId
    user_id: UserId
    label: str
    prefix: str
    scopes: tuple[Scope, ...]
    channels: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


JsonValue = Any  # a value that JSON can hold; what another protocol's users put into it is theirs
