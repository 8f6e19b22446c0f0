"""Reading rooms. Membership is part of the look-up: nothing here returns a room that the actor may not see."""

from dataclasses import dataclass

from sqlalchemy import and_, bindparam, func, or_, select

from chat_server.clock import moment, moment_or_none
from chat_server.errors import NotAMember, RoleTooLow, RoomIsArchived, RoomNotFound, UserNotFound
from chat_server.ids import RoomId, UserId, room_channel
from chat_server.rooms.model import ListMembers, ListRooms, MemberPath, RoomPath
from chat_server.shapes import Kind, Member, MemberRole, Page, Room, RoomKind, page_of
from chat_server.store.schema import memberships, rooms, users
from chat_server.store.transaction import Row
from chat_server.unit import Unit

_ROOM_COLUMNS = (
    rooms.c.id,
    rooms.c.name,
    rooms.c.kind,
    rooms.c.topic,
    rooms.c.created_by,
    rooms.c.created_at,
    rooms.c.archived_at,
    rooms.c.last_message_seq,
)
_MINE = (memberships.c.role, memberships.c.last_read_seq, memberships.c.joined_after)
_WITH_MINE = rooms.outerjoin(
    memberships, and_(memberships.c.room_id == rooms.c.id, memberships.c.user_id == bindparam("me"))
)
_ROOM = select(*_ROOM_COLUMNS, *_MINE).select_from(_WITH_MINE).where(rooms.c.id == bindparam("room_id"))
_STANDING = (
    select(rooms.c.kind, rooms.c.archived_at, rooms.c.last_message_seq, *_MINE)
    .select_from(_WITH_MINE)
    .where(rooms.c.id == bindparam("room_id"))
)
_BY_DIRECT_KEY = select(rooms.c.id).where(rooms.c.direct_key == bindparam("direct_key"))
_MEMBER_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.display_name,
    users.c.kind,
    memberships.c.role,
    memberships.c.joined_at,
)
_MEMBERS = select(*_MEMBER_COLUMNS).join_from(memberships, users, users.c.id == memberships.c.user_id)
_MEMBER = _MEMBERS.where(memberships.c.room_id == bindparam("room_id"), memberships.c.user_id == bindparam("user_id"))
_COUNT_OWNERS = select(func.count()).where(memberships.c.room_id == bindparam("room_id"), memberships.c.role == "owner")
_MEMBER_IDS = (
    select(memberships.c.user_id)
    .where(memberships.c.room_id == bindparam("room_id"), memberships.c.user_id > bindparam("after"))
    .order_by(memberships.c.user_id)
    .limit(bindparam("limit"))
)
_HEIR = (
    select(memberships.c.user_id)
    .where(memberships.c.room_id == bindparam("room_id"), memberships.c.user_id != bindparam("leaver"))
    .order_by((memberships.c.role == "moderator").desc(), memberships.c.joined_at, memberships.c.user_id)
    .limit(1)
)
_ROOM_IDS_OF = (
    select(memberships.c.room_id)
    .where(memberships.c.user_id == bindparam("user_id"), memberships.c.room_id > bindparam("after"))
    .order_by(memberships.c.room_id)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the actor stands to a room: what a command needs to know and nothing more."""

    kind: RoomKind
    is_archived: bool
    last_message_seq: int
    role: MemberRole
    last_read_seq: int
    joined_after: int


def standing_in(unit: Unit, room_id: RoomId, *, to_change: bool = False) -> Standing:
    """The actor's standing as a member. RoomNotFound, NotAMember (a public room), ChannelNotAllowed (an API key).

    `to_change`: RoomIsArchived when the room takes no changes any more.
    """
    row = unit.one(_STANDING, room_id=room_id, me=unit.actor.user_id)
    if row is None or (row[3] is None and row[0] != "public"):
        raise RoomNotFound(room_id=room_id)
    if row[3] is None:
        raise NotAMember(room_id=room_id)
    unit.actor.require_channel(room_channel(room_id))
    if to_change and row[1] is not None:
        raise RoomIsArchived(room_id=room_id)
    return Standing(RoomKind(row[0]), row[1] is not None, row[2], MemberRole(row[3]), row[4], row[5])


def require_role(standing: Standing, *roles: MemberRole) -> None:
    """RoleTooLow unless the member has one of `roles`."""
    if standing.role not in roles:
        raise RoleTooLow(needed=roles[-1])


def room_of(unit: Unit, room_id: RoomId) -> Room:
    """The room as the actor sees it: a member's own figures, a public room's card, or RoomNotFound."""
    row = unit.one(_ROOM, room_id=room_id, me=unit.actor.user_id)
    if row is None or (row[8] is None and row[2] != "public"):
        raise RoomNotFound(room_id=room_id)
    unit.actor.require_channel(room_channel(room_id))
    return _room_from(row)


def card_of(unit: Unit, room_id: RoomId) -> Room:
    """The room as events show it: nobody's own figures. Only for commands that have found it for their actor."""
    row = unit.one(_ROOM, room_id=room_id, me="")
    if row is None:
        raise RoomNotFound(room_id=room_id)
    return _room_from(row)


def exists(unit: Unit, room_id: RoomId) -> bool:
    """Whether there is such a room and it takes changes: for the house's own checks, never an answer to a client."""
    row = unit.one(_STANDING, room_id=room_id, me="")
    return row is not None and row[1] is None and row[0] != "direct"


def direct_room_of(unit: Unit, direct_key: str) -> RoomId | None:
    row = unit.one(_BY_DIRECT_KEY, direct_key=direct_key)
    return None if row is None else RoomId(row[0])


def get_room(query: RoomPath, unit: Unit) -> Room:
    return room_of(unit, query.room_id)


def list_rooms(query: ListRooms, unit: Unit) -> Page[Room]:
    """The actor's rooms, or the public ones too; `after` and `before` are room ids."""
    statement = select(*_ROOM_COLUMNS, *_MINE).select_from(_WITH_MINE)
    if query.scope == "mine":
        statement = statement.where(memberships.c.user_id.is_not(None))
    else:
        statement = statement.where(rooms.c.kind == "public", rooms.c.archived_at.is_(None))
    covered = unit.actor.names_covered("room")
    if covered is not None:
        statement = statement.where(rooms.c.id.in_(covered))
    backwards = query.before is not None
    if backwards:
        statement = statement.where(rooms.c.id < query.before).order_by(rooms.c.id.desc())
    else:
        statement = statement.where(rooms.c.id > (query.after or "")).order_by(rooms.c.id)
    rows = unit.all(statement.limit(query.limit + 1), me=unit.actor.user_id)
    more, rows = len(rows) > query.limit, rows[: query.limit]
    items = [_room_from(row) for row in (reversed(rows) if backwards else rows)]
    return page_of(
        items,
        lambda room: room.id,
        before=more if backwards else query.after is not None,
        after=backwards or more,
    )


def member_of(unit: Unit, room_id: RoomId, user_id: UserId) -> Member | None:
    row = unit.one(_MEMBER, room_id=room_id, user_id=user_id)
    return None if row is None else _member_from(row)


def get_member(query: MemberPath, unit: Unit) -> Member:
    """UserNotFound unless that user is in the room."""
    standing_in(unit, query.room_id)
    member = member_of(unit, query.room_id, unit.actor.user_id if query.user_id == "me" else query.user_id)
    if member is None:
        raise UserNotFound(user_id=query.user_id)
    return member


def list_members(query: ListMembers, unit: Unit) -> Page[Member]:
    """The room's members; `after` and `before` are user ids."""
    standing_in(unit, query.room_id)
    statement = _MEMBERS.where(memberships.c.room_id == query.room_id)
    backwards = query.before is not None
    if backwards:
        statement = statement.where(users.c.id < query.before).order_by(users.c.id.desc())
    else:
        statement = statement.where(users.c.id > (query.after or "")).order_by(users.c.id)
    rows = unit.all(statement.limit(query.limit + 1))
    more, rows = len(rows) > query.limit, rows[: query.limit]
    items = [_member_from(row) for row in (reversed(rows) if backwards else rows)]
    return page_of(
        items,
        lambda member: member.user_id,
        before=more if backwards else query.after is not None,
        after=backwards or more,
    )


def members_named(unit: Unit, room_id: RoomId, user_ids: list[UserId], usernames: list[str]) -> list[UserId]:
    """Those of the users that are in the room, by id or by username."""
    found = unit.all(
        select(users.c.id)
        .join_from(memberships, users, users.c.id == memberships.c.user_id)
        .where(
            memberships.c.room_id == room_id,
            or_(users.c.id.in_(user_ids), users.c.username.in_(usernames)),
        )
    )
    return [row[0] for row in found]


def member_ids(unit: Unit, room_id: RoomId, after: str = "", limit: int = 1000) -> list[UserId]:
    """The members' ids in order, from after `after`."""
    return [row[0] for row in unit.all(_MEMBER_IDS, room_id=room_id, after=after, limit=limit)]


def room_ids_of(unit: Unit, user_id: UserId, limit: int, after: str = "") -> list[RoomId]:
    """The rooms that somebody is in, in the order of their ids, from after `after`."""
    return [row[0] for row in unit.all(_ROOM_IDS_OF, user_id=user_id, limit=limit, after=after)]


def count_room_owners(unit: Unit, room_id: RoomId) -> int:
    row = unit.one(_COUNT_OWNERS, room_id=room_id)
    return int(row[0]) if row else 0


def heir_of(unit: Unit, room_id: RoomId, leaver: UserId) -> UserId | None:
    """Who becomes the owner when the last one leaves."""
    row = unit.one(_HEIR, room_id=room_id, leaver=leaver)
    return None if row is None else UserId(row[0])


def _room_from(row: Row) -> Room:
    room_id, name, kind, topic, created_by, created_at, archived_at, last_message_seq, role, last_read_seq, _ = row
    card = {
        "id": room_id,
        "name": name,
        "kind": RoomKind(kind),
        "topic": topic,
        "created_by": created_by,
        "created_at": moment(created_at),
        "archived_at": moment_or_none(archived_at),
        "last_message_seq": last_message_seq,
    }
    if role is None:
        return Room(**card)
    return Room(
        **card, role=MemberRole(role), last_read_seq=last_read_seq, unread=max(0, last_message_seq - last_read_seq)
    )


def _member_from(row: Row) -> Member:
    user_id, username, display_name, kind, role, joined_at = row
    return Member(
        user_id=user_id,
        username=username,
        display_name=display_name,
        kind=Kind(kind),
        role=MemberRole(role),
        joined_at=moment(joined_at),
    )
