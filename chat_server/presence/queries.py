"""Reading who could be here: a room's members and when they were last seen."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, func, select

from chat_server.clock import moment_or_none
from chat_server.ids import RoomId, UserId
from chat_server.rooms.queries import standing_in
from chat_server.store.schema import memberships, users
from chat_server.unit import Unit

_SEEN = (
    select(users.c.id, users.c.last_seen_at)
    .join_from(memberships, users, users.c.id == memberships.c.user_id)
    .where(memberships.c.room_id == bindparam("room_id"))
    .order_by(users.c.id)
    .limit(bindparam("limit"))
)
_SIZE = select(func.count()).select_from(
    select(memberships.c.user_id)
    .where(memberships.c.room_id == bindparam("room_id"))
    .limit(bindparam("at_most"))
    .subquery()
)


@dataclass(frozen=True, slots=True)
class Seen:
    user_id: UserId
    last_seen_at: datetime | None


def members_seen(unit: Unit, room_id: RoomId, limit: int) -> list[Seen]:
    """At most `limit` members of the actor's room, by id. RoomNotFound, NotAMember."""
    standing_in(unit, room_id)
    return [Seen(row[0], moment_or_none(row[1])) for row in unit.all(_SEEN, room_id=room_id, limit=limit)]


def is_large(unit: Unit, room_id: RoomId, limit: int) -> bool:
    """Whether the room has more than `limit` members; it is not counted further."""
    row = unit.one(_SIZE, room_id=room_id, at_most=limit + 1)
    return row is not None and row[0] > limit
