"""The table of what clients can ask for, and the table of what happens besides.

COMMANDS: RPC method -> the body it takes, the function that carries it out, whether it reads or writes, the scope it
needs, and how its result is told. REST routes call the same functions. REACTIONS: event or occurrence -> functions that
run in the same transaction. JOBS: kind -> what runs after a commit.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel

from chat_server.accounts import commands as accounts
from chat_server.accounts.model import Invited, ListUsers, ProfileChanges, Renamed, UserPath
from chat_server.accounts.queries import get_user, list_users, user_of
from chat_server.actor import SYSTEM
from chat_server.clock import now_ms
from chat_server.events import MemberJoined, MessageDeleted
from chat_server.messages import commands as messages
from chat_server.messages.model import Called, EditMessage, ListMessages, MarkRead, MessagePath, Posted, PostMessage
from chat_server.messages.queries import get_message, list_messages
from chat_server.notifications import commands as notifications
from chat_server.notifications.model import ListNotifications, ReadAll, UpdateNotification
from chat_server.notifications.queries import inbox
from chat_server.presence import commands as presence
from chat_server.presence.model import TypingIn
from chat_server.rooms import commands as rooms
from chat_server.rooms.model import (
    AddMember,
    CreateRoom,
    ListMembers,
    ListRooms,
    MemberPath,
    OpenDirect,
    RoomPath,
    UpdateRoom,
)
from chat_server.rooms.queries import get_room, list_members, list_rooms
from chat_server.shapes import Body, Scope, User
from chat_server.store.jobs import JobFunction
from chat_server.store.transaction import Transaction
from chat_server.unit import Reactions, Unit


class NoParameters(Body):
    """For methods that take none."""


@dataclass(frozen=True, slots=True)
class Command:
    """One RPC method. `told` turns the result into the answer, where it is not the answer already.

    A `tell` reads and results in an event that is told and not stored.
    """

    model: type[BaseModel]
    run: Callable[[Any, Unit], Any]
    kind: Literal["read", "write", "tell"]
    scope: Scope = Scope.CHAT
    told: Callable[[Any], object] | None = None


def users_me(query: NoParameters, unit: Unit) -> User:
    return user_of(unit, unit.actor.user_id)


def posted_answer(posted: Posted) -> object:
    """The message; a repeat says so."""
    if not posted.is_repeat:
        return posted.message
    return {**asdict(posted.message), "duplicate": True}


COMMANDS: dict[str, Command] = {
    "users.me": Command(NoParameters, users_me, "read"),
    "users.get": Command(UserPath, get_user, "read"),
    "users.list": Command(ListUsers, list_users, "read"),
    "users.update": Command(ProfileChanges, accounts.change_profile, "write"),
    "rooms.create": Command(CreateRoom, rooms.create_room, "write"),
    "rooms.list": Command(ListRooms, list_rooms, "read"),
    "rooms.get": Command(RoomPath, get_room, "read"),
    "rooms.update": Command(UpdateRoom, rooms.update_room, "write"),
    "rooms.archive": Command(RoomPath, rooms.archive_room, "write"),
    "rooms.join": Command(RoomPath, rooms.join_room, "write"),
    "rooms.leave": Command(RoomPath, rooms.leave_room, "write"),
    "rooms.members": Command(ListMembers, list_members, "read"),
    "rooms.add_member": Command(AddMember, rooms.add_member, "write"),
    "rooms.remove_member": Command(MemberPath, rooms.remove_member, "write"),
    "direct.open": Command(OpenDirect, rooms.open_direct, "write"),
    "messages.post": Command(PostMessage, messages.post_message, "write", told=posted_answer),
    "messages.list": Command(ListMessages, list_messages, "read"),
    "messages.get": Command(MessagePath, get_message, "read"),
    "messages.edit": Command(EditMessage, messages.edit_message, "write"),
    "messages.delete": Command(MessagePath, messages.delete_message, "write"),
    "messages.read": Command(MarkRead, messages.mark_read, "write"),
    "typing.start": Command(TypingIn, presence.start_typing, "tell"),
    "typing.stop": Command(TypingIn, presence.stop_typing, "tell"),
    "notifications.list": Command(ListNotifications, inbox, "read"),
    "notifications.update": Command(UpdateNotification, notifications.update_notification, "write"),
    "notifications.read_all": Command(ReadAll, notifications.read_all, "write"),
}

REACTIONS: Reactions = {
    Invited: (rooms.admit_invited,),
    Renamed: (rooms.tell_renamed,),
    Called: (notifications.notify_called,),
    MemberJoined: (notifications.notify_added,),
    MessageDeleted: (notifications.withdraw_about,),
}


def _job(run: Callable[[Unit, str], None]) -> JobFunction:
    """A job's function over a unit, as the house itself."""
    return partial(_as_the_house, run)


def _as_the_house(run: Callable[[Unit, str], None], transaction: Transaction, payload: str) -> None:
    run(Unit(transaction, SYSTEM, now_ms(), REACTIONS), payload)


JOBS: dict[str, JobFunction] = {
    rooms.RENAMED: _job(rooms.go_on_telling_renamed),
    notifications.CALL_ROOM: _job(notifications.call_room),
    notifications.WITHDRAW: _job(notifications.withdraw),
}
