"""Reading messages, in the order of their `seq`."""

from sqlalchemy import bindparam, select

from chat_server.clock import moment, moment_or_none
from chat_server.errors import MessageNotFound
from chat_server.ids import MessageId, RoomId, UserId
from chat_server.messages.model import ListMessages, MessagePath
from chat_server.rooms.queries import standing_in
from chat_server.shapes import Mentions, Message, Page, page_of
from chat_server.store.schema import messages
from chat_server.store.transaction import Row
from chat_server.unit import Unit
from chat_server.wire import encode, parse

NO_MENTIONS = ""  # stored for nearly every message, and not parsed

_COLUMNS = (
    messages.c.id,
    messages.c.room_id,
    messages.c.seq,
    messages.c.sender_id,
    messages.c.client_msg_id,
    messages.c.text,
    messages.c.mentions,
    messages.c.reply_to,
    messages.c.created_at,
    messages.c.edited_at,
    messages.c.deleted_at,
)
_MESSAGE = select(*_COLUMNS).where(messages.c.id == bindparam("message_id"), messages.c.room_id == bindparam("room_id"))
_BY_CLIENT_ID = select(*_COLUMNS).where(
    messages.c.sender_id == bindparam("sender_id"), messages.c.client_msg_id == bindparam("client_msg_id")
)
_IN_ROOM = select(*_COLUMNS).where(messages.c.room_id == bindparam("room_id"))
_BEFORE = _IN_ROOM.where(messages.c.seq < bindparam("seq")).order_by(messages.c.seq.desc()).limit(bindparam("limit"))
_FROM = _IN_ROOM.where(messages.c.seq >= bindparam("seq")).order_by(messages.c.seq).limit(bindparam("limit"))


def message_of(unit: Unit, room_id: RoomId, message_id: MessageId) -> Message:
    """MessageNotFound unless it is in that room; the caller has checked the room."""
    row = unit.one(_MESSAGE, message_id=message_id, room_id=room_id)
    if row is None:
        raise MessageNotFound(message_id=message_id)
    return _message_from(row)


def posted_with(unit: Unit, sender_id: UserId, client_msg_id: str) -> Message | None:
    """What that sender posted under that client_msg_id, in any room."""
    row = unit.one(_BY_CLIENT_ID, sender_id=sender_id, client_msg_id=client_msg_id)
    return None if row is None else _message_from(row)


def get_message(query: MessagePath, unit: Unit) -> Message:
    standing_in(unit, query.room_id)
    return message_of(unit, query.room_id, query.message_id)


def list_messages(query: ListMessages, unit: Unit) -> Page[Message]:
    """Ascending by `seq`: the newest page, or the one before, after or around a `seq`."""
    last_seq = standing_in(unit, query.room_id).last_message_seq
    if query.around is not None:
        earlier = _page_before(unit, query.room_id, query.around, query.limit // 2)
        items = earlier + _page_from(unit, query.room_id, query.around, query.limit - len(earlier))
    elif query.after is not None:
        items = _page_from(unit, query.room_id, query.after + 1, query.limit)
    else:
        items = _page_before(unit, query.room_id, last_seq + 1 if query.before is None else query.before, query.limit)
    return page_of(
        items,
        lambda message: message.seq,
        before=bool(items) and items[0].seq > 1,
        after=bool(items) and items[-1].seq < last_seq,
    )


def stored_mentions(mentions: Mentions) -> str:
    return encode(mentions).decode() if mentions.user_ids or mentions.room else NO_MENTIONS


def _page_before(unit: Unit, room_id: RoomId, seq: int, limit: int) -> list[Message]:
    rows = unit.all(_BEFORE, room_id=room_id, seq=seq, limit=limit)
    return [_message_from(row) for row in reversed(rows)]


def _page_from(unit: Unit, room_id: RoomId, seq: int, limit: int) -> list[Message]:
    return [_message_from(row) for row in unit.all(_FROM, room_id=room_id, seq=seq, limit=limit)]


def _message_from(row: Row) -> Message:
    message_id, room_id, seq, sender_id, client_msg_id, text, mentions, reply_to, created, edited, deleted = row
    return Message(
        id=message_id,
        room_id=room_id,
        seq=seq,
        sender_id=sender_id,
        client_msg_id=client_msg_id,
        text=text,
        mentions=_mentions_from(mentions),
        reply_to=reply_to,
        created_at=moment(created),
        edited_at=moment_or_none(edited),
        deleted_at=moment_or_none(deleted),
    )


def _mentions_from(stored: str) -> Mentions:
    if stored == NO_MENTIONS:
        return Mentions()
    found = parse(stored)
    return Mentions(user_ids=tuple(found["user_ids"]), room=found["room"])
