"""What people do with rooms: make, change, archive them; come, go, add and remove others."""

from sqlalchemy import bindparam, delete, insert, update

from chat_server.accounts.model import Invited, Renamed
from chat_server.accounts.queries import role_of_actor, user_of
from chat_server.actor import Signal
from chat_server.errors import (
    DirectRoomFixed,
    FieldError,
    Invalid,
    LastOwner,
    RoleTooLow,
    RoomIsArchived,
    RoomNotFound,
    UserNotFound,
)
from chat_server.events import MemberJoined, MemberLeft, MemberUpdated, RoomArchived, RoomCreated, RoomUpdated
from chat_server.ids import RoomId, UserId, new_id, room_channel
from chat_server.rooms.model import AddMember, CreateRoom, MemberPath, OpenDirect, RoomPath, UpdateRoom
from chat_server.rooms.queries import (
    card_of,
    count_room_owners,
    direct_room_of,
    exists,
    heir_of,
    member_of,
    require_role,
    room_ids_of,
    room_of,
    standing_in,
)
from chat_server.shapes import Member, MemberRole, Role, Room, RoomKind
from chat_server.store.locks import hold_room
from chat_server.store.schema import memberships, rooms
from chat_server.unit import Unit

RENAMED = "renamed"
ROOMS_PAGE = 100  # rooms a transaction: some milliseconds, so that no post waits long

_ADD_ROOM = insert(rooms)
_ARCHIVE = update(rooms).where(rooms.c.id == bindparam("room_id")).values(archived_at=bindparam("at"))
_ADD_MEMBER = insert(memberships)
_REMOVE_MEMBER = delete(memberships).where(
    memberships.c.room_id == bindparam("room_id"), memberships.c.user_id == bindparam("user_id")
)
_SET_ROLE = (
    update(memberships)
    .where(memberships.c.room_id == bindparam("of_room"), memberships.c.user_id == bindparam("of_user"))
    .values(role=bindparam("new_role"))
)


def create_room(command: CreateRoom, unit: Unit) -> Room:
    """A public or private room, its maker its owner. Guests may not."""
    if role_of_actor(unit) is Role.GUEST:
        raise RoleTooLow(needed=Role.MEMBER)
    room_id = _add_room(unit, command.name, command.kind, command.topic, None)
    _enter(unit, room_id, unit.actor.user_id, MemberRole.OWNER, by=unit.actor.user_id)
    return room_of(unit, room_id)


def open_direct(command: OpenDirect, unit: Unit) -> Room:
    """The room of two people, made on first use; the same one whoever opens it."""
    other = user_of(unit, command.user_id)
    if other.id == unit.actor.user_id or other.disabled:
        raise Invalid(fields=(FieldError(field="user_id", code="not_another_user", message="name another user"),))
    direct_key = "/".join(sorted((unit.actor.user_id, other.id)))
    room_id = direct_room_of(unit, direct_key)
    if room_id is None:
        room_id = _add_room(unit, "", RoomKind.DIRECT, "", direct_key)
        _enter(unit, room_id, unit.actor.user_id, MemberRole.MEMBER, by=unit.actor.user_id)
        _enter(unit, room_id, other.id, MemberRole.MEMBER, by=unit.actor.user_id)
    return room_of(unit, room_id)


def update_room(command: UpdateRoom, unit: Unit) -> Room:
    """Name and topic, by the room's owners and moderators."""
    standing = standing_in(unit, command.room_id, to_change=True)
    _require_no_direct(standing.kind, command.room_id)
    require_role(standing, MemberRole.OWNER, MemberRole.MODERATOR)
    changes = command.model_dump(exclude_unset=True, exclude={"room_id"})
    if changes:
        unit.run(update(rooms).where(rooms.c.id == command.room_id).values(changes))
        unit.tell(RoomUpdated(room_id=command.room_id, at=unit.now, room=card_of(unit, command.room_id)))
    return room_of(unit, command.room_id)


def archive_room(command: RoomPath, unit: Unit) -> None:
    """By the room's owners: it stays readable and takes no changes."""
    standing = standing_in(unit, command.room_id, to_change=True)
    _require_no_direct(standing.kind, command.room_id)
    require_role(standing, MemberRole.OWNER)
    unit.run(_ARCHIVE, room_id=command.room_id, at=unit.at_ms)
    unit.tell(RoomArchived(room_id=command.room_id, at=unit.now, room=card_of(unit, command.room_id)))


def join_room(command: RoomPath, unit: Unit) -> Room:
    """Into a public room; being in it already is fine."""
    room = room_of(unit, command.room_id)
    if room.role is None:
        if room.archived_at is not None:
            raise RoomIsArchived(room_id=command.room_id)
        _enter(unit, command.room_id, unit.actor.user_id, MemberRole.MEMBER, by=unit.actor.user_id)
    return room_of(unit, command.room_id)


def leave_room(command: RoomPath, unit: Unit) -> None:
    """A room's last owner hands over to a moderator, or to who has been there longest."""
    standing = standing_in(unit, command.room_id)
    _require_no_direct(standing.kind, command.room_id)
    _exit(unit, command.room_id, unit.actor.user_id)


def add_member(command: AddMember, unit: Unit) -> Member:
    """Add somebody or change their role. Members add to public rooms; roles are for the room's owners."""
    standing = standing_in(unit, command.room_id, to_change=True)
    _require_no_direct(standing.kind, command.room_id)
    user = user_of(unit, command.user_id)
    if user.disabled:
        raise UserNotFound(user_id=command.user_id)
    member = member_of(unit, command.room_id, user.id)
    if member is not None and member.role is command.role:
        return member
    if member is not None or command.role is not MemberRole.MEMBER:
        require_role(standing, MemberRole.OWNER)
    elif standing.kind is RoomKind.PRIVATE:
        require_role(standing, MemberRole.OWNER, MemberRole.MODERATOR)
    if member is None:
        return _enter(unit, command.room_id, user.id, command.role, by=unit.actor.user_id)
    if member.role is MemberRole.OWNER and count_room_owners(unit, command.room_id) == 1:
        raise LastOwner()
    return _change_role(unit, command.room_id, user.id, command.role)


def remove_member(command: MemberPath, unit: Unit) -> None:
    """Owners remove anyone, moderators plain members, everyone themselves."""
    user_id = unit.actor.user_id if command.user_id == "me" else command.user_id
    if user_id == unit.actor.user_id:
        leave_room(RoomPath(room_id=command.room_id), unit)
        return
    standing = standing_in(unit, command.room_id)
    _require_no_direct(standing.kind, command.room_id)
    member = member_of(unit, command.room_id, user_id)
    if member is None:
        raise UserNotFound(user_id=user_id)
    if member.role is MemberRole.MEMBER:
        require_role(standing, MemberRole.OWNER, MemberRole.MODERATOR)
    else:
        require_role(standing, MemberRole.OWNER)
    _exit(unit, command.room_id, user_id)


def admit_invited(invited: Invited, unit: Unit) -> None:
    """An invite's room must be one that its maker sees, and takes in whoever registers with it if it still is there."""
    if invited.room_id is None:
        return
    hold_room(unit.transaction, invited.room_id)
    is_open = exists(unit, invited.room_id)
    if invited.user_id is None:
        room_of(unit, invited.room_id)
        if not is_open:
            raise RoomNotFound(room_id=invited.room_id)
    elif is_open:
        _enter(unit, invited.room_id, invited.user_id, MemberRole.MEMBER, by=invited.user_id)


def tell_renamed(renamed: Renamed, unit: Unit) -> None:
    """Reaction: the rooms of somebody with a new name show it; beyond the first page by jobs."""
    _tell_renamed(unit, renamed.user_id, after="")


def go_on_telling_renamed(unit: Unit, payload: str) -> None:
    """Job: one more page of the rooms of somebody with a new name."""
    user_id, _, after = payload.partition(" ")
    _tell_renamed(unit, UserId(user_id), after)


def _tell_renamed(unit: Unit, user_id: UserId, after: str) -> None:
    room_ids = room_ids_of(unit, user_id, ROOMS_PAGE, after)
    for room_id in room_ids:
        member = member_of(unit, room_id, user_id)
        if member is not None:  # on PostgreSQL they may leave between the two queries
            unit.tell(MemberUpdated(room_id=room_id, at=unit.now, by=user_id, member=member))
    if len(room_ids) == ROOMS_PAGE:
        unit.later(RENAMED, f"{user_id} {room_ids[-1]}")


def _add_room(unit: Unit, name: str, kind: RoomKind, topic: str, direct_key: str | None) -> RoomId:
    room_id = RoomId(new_id())
    unit.run(
        _ADD_ROOM,
        id=room_id,
        name=name,
        kind=kind,
        topic=topic,
        direct_key=direct_key,
        created_by=unit.actor.user_id,
        created_at=unit.at_ms,
        archived_at=None,
        last_message_seq=0,
    )
    unit.tell(RoomCreated(room_id=room_id, at=unit.now, room=card_of(unit, room_id)))
    return room_id


def _enter(unit: Unit, room_id: RoomId, user_id: UserId, role: MemberRole, *, by: UserId) -> Member:
    """A new member has nothing unread: what was said before is history."""
    unit.run(
        _ADD_MEMBER,
        room_id=room_id,
        user_id=user_id,
        role=role,
        joined_at=unit.at_ms,
        joined_after=unit.head_of(room_channel(room_id)),
        last_read_seq=card_of(unit, room_id).last_message_seq,
    )
    member = member_of(unit, room_id, user_id)
    assert member is not None
    unit.tell(MemberJoined(room_id=room_id, at=unit.now, by=by, member=member))
    unit.signal(Signal.membership("joined", room_id, user_id))
    return member


def _exit(unit: Unit, room_id: RoomId, user_id: UserId) -> None:
    member = member_of(unit, room_id, user_id)
    assert member is not None
    if member.role is MemberRole.OWNER and count_room_owners(unit, room_id) == 1:
        heir = heir_of(unit, room_id, user_id)
        if heir is not None:
            _change_role(unit, room_id, heir, MemberRole.OWNER)
    unit.run(_REMOVE_MEMBER, room_id=room_id, user_id=user_id)
    unit.tell(MemberLeft(room_id=room_id, at=unit.now, by=unit.actor.user_id, member=member))
    unit.signal(Signal.membership("left", room_id, user_id))


def _change_role(unit: Unit, room_id: RoomId, user_id: UserId, role: MemberRole) -> Member:
    unit.run(_SET_ROLE, of_room=room_id, of_user=user_id, new_role=role)
    member = member_of(unit, room_id, user_id)
    assert member is not None
    unit.tell(MemberUpdated(room_id=room_id, at=unit.now, by=unit.actor.user_id, member=member))
    return member


def _require_no_direct(kind: RoomKind, room_id: RoomId) -> None:
    if kind is RoomKind.DIRECT:
        raise DirectRoomFixed(room_id=room_id)
