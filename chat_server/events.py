"""Everything the server tells its clients: one frozen dataclass an event, in one closed union.

An event's `type` is its name in the past tense, dotted; the object it is about stands under its noun. `at` is when the
command that caused it ran. audience.py says which channels hear an event; docs/protocol.md shows each of them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from chat_server.ids import NotificationId, RoomId, SessionId, UserId
from chat_server.shapes import Member, Message, Notification, Room


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePosted:
    type: Literal["message.posted"] = "message.posted"
    room_id: RoomId
    at: datetime
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEdited:
    type: Literal["message.edited"] = "message.edited"
    room_id: RoomId
    at: datetime
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDeleted:
    """`message` is the tombstone."""

    type: Literal["message.deleted"] = "message.deleted"
    room_id: RoomId
    at: datetime
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCreated:
    type: Literal["room.created"] = "room.created"
    room_id: RoomId
    at: datetime
    room: Room


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomUpdated:
    type: Literal["room.updated"] = "room.updated"
    room_id: RoomId
    at: datetime
    room: Room


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomArchived:
    type: Literal["room.archived"] = "room.archived"
    room_id: RoomId
    at: datetime
    room: Room


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberJoined:
    """`by` is who added the member; the member's own id for one who joined by themselves."""

    type: Literal["member.joined"] = "member.joined"
    room_id: RoomId
    at: datetime
    by: UserId
    member: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLeft:
    """`by` is who removed the member; the member's own id for one who left."""

    type: Literal["member.left"] = "member.left"
    room_id: RoomId
    at: datetime
    by: UserId
    member: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberUpdated:
    type: Literal["member.updated"] = "member.updated"
    room_id: RoomId
    at: datetime
    by: UserId
    member: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    user_id: UserId
    last_read_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAdvanced:
    """Told to the reader's own devices only."""

    type: Literal["read.advanced"] = "read.advanced"
    room_id: RoomId
    at: datetime
    read: Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Typing:
    user_id: UserId
    expires_in: int = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TypingStarted:
    """Ephemeral. A client forgets it after `expires_in` seconds; a typist repeats it while typing."""

    type: Literal["typing.started"] = "typing.started"
    room_id: RoomId
    at: datetime
    typing: Typing


@dataclass(frozen=True, slots=True, kw_only=True)
class TypingStopped:
    """Ephemeral."""

    type: Literal["typing.stopped"] = "typing.stopped"
    room_id: RoomId
    at: datetime
    typing: Typing


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One person's presence; in rooms too large for that, `user_id` is null and `online` counts the people there."""

    user_id: UserId | None
    status: Literal["online", "offline"] | None
    last_seen_at: datetime | None
    online: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceChanged:
    """Ephemeral."""

    type: Literal["presence.changed"] = "presence.changed"
    room_id: RoomId
    at: datetime
    presence: Presence


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationRaised:
    """`user_id` is whom it is for; null for a topic's."""

    type: Literal["notification.raised"] = "notification.raised"
    user_id: UserId | None
    at: datetime
    notification: Notification


@dataclass(frozen=True, slots=True, kw_only=True)
class AllRead:
    """Every notification of this person that was raised until `read_at` has been read. `id` is null."""

    id: None = None
    read_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationUpdated:
    """It was read (or unread again), here or on another device."""

    type: Literal["notification.updated"] = "notification.updated"
    user_id: UserId | None
    at: datetime
    notification: Notification | AllRead


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    id: NotificationId


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationWithdrawn:
    """Its cause is gone (a deleted message): take it off the screen."""

    type: Literal["notification.withdrawn"] = "notification.withdrawn"
    user_id: UserId | None
    at: datetime
    notification: Withdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSession:
    id: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """A login of this person ended; its sockets are closed."""

    type: Literal["session.ended"] = "session.ended"
    user_id: UserId
    at: datetime
    session: EndedSession


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of all workers together. Rates are since the last telling; null in a first one, which has nothing before it.

    `commit_ms` is a commit's mean, `lag_ms` the latest event loop's.
    """

    workers: int
    sockets: int
    streams: int
    messages_per_s: float | None
    deliveries_per_s: float | None
    commit_ms: float | None
    lag_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FiguresTaken:
    """Ephemeral, every two seconds while somebody follows them."""

    type: Literal["figures.taken"] = "figures.taken"
    at: datetime
    figures: Figures


Event = Annotated[
    MessagePosted
    | MessageEdited
    | MessageDeleted
    | RoomCreated
    | RoomUpdated
    | RoomArchived
    | MemberJoined
    | MemberLeft
    | MemberUpdated
    | ReadAdvanced
    | TypingStarted
    | TypingStopped
    | PresenceChanged
    | NotificationRaised
    | NotificationUpdated
    | NotificationWithdrawn
    | SessionEnded
    | FiguresTaken,
    Field(discriminator="type"),
]
