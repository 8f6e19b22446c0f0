"""The bodies about rooms and members. A command is a body with the path's parameters."""

from typing import Literal

from pydantic import field_validator

from chat_server.shapes import (
    Body,
    Limit,
    MemberRole,
    RoomIdField,
    RoomKind,
    RoomName,
    RoomTopic,
    UserIdField,
)


class CreateRoom(Body):
    name: RoomName
    kind: RoomKind = RoomKind.PUBLIC
    topic: RoomTopic = ""

    @field_validator("kind")
    @classmethod
    def _a_direct_room_is_opened(cls, value: RoomKind) -> RoomKind:
        if value is RoomKind.DIRECT:
            raise ValueError("a direct room is opened with direct.open")
        return value


class OpenDirect(Body):
    """Exactly one other person; the room is the same whoever opens it."""

    user_id: UserIdField


class ListRooms(Body):
    """`scope` is `mine` for the rooms one is in, `public` for those one could join too."""

    scope: Literal["mine", "public"] = "mine"
    after: RoomIdField | None = None
    before: RoomIdField | None = None
    limit: Limit = 50


class RoomPath(Body):
    room_id: RoomIdField


class RoomChanges(Body):
    """A field that is not sent stays as it is."""

    name: RoomName | None = None
    topic: RoomTopic | None = None

    @field_validator("name", "topic")
    @classmethod
    def _what_is_sent_is_set(cls, value: str | None) -> str:
        if value is None:
            raise ValueError("leave it out to keep it")
        return value


class UpdateRoom(RoomChanges):
    room_id: RoomIdField


class MemberPage(Body):
    after: UserIdField | None = None
    before: UserIdField | None = None
    limit: Limit = 50


class ListMembers(MemberPage):
    room_id: RoomIdField


class MemberChange(Body):
    role: MemberRole = MemberRole.MEMBER


class AddMember(MemberChange):
    room_id: RoomIdField
    user_id: UserIdField


class MemberPath(RoomPath):
    user_id: UserIdField
