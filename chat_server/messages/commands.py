"""What people do with messages. `post_message` is the hottest command of the house: 40 us in a batch is its budget."""

from dataclasses import replace

from sqlalchemy import bindparam, update

from chat_server.errors import (
    ClientMsgIdReused,
    FieldError,
    Invalid,
    MessageIsDeleted,
    MessageNotFound,
    RoleTooLow,
    RoomIsArchived,
)
from chat_server.events import MessageDeleted, MessageEdited, MessagePosted, Read, ReadAdvanced
from chat_server.ids import MessageId, RoomId, new_id
from chat_server.messages.model import (
    Called,
    EditMessage,
    MarkRead,
    MentionsBody,
    MessagePath,
    Posted,
    PostMessage,
    names_in,
)
from chat_server.messages.queries import message_of, posted_with, stored_mentions
from chat_server.rooms.queries import members_named, room_of, standing_in
from chat_server.shapes import MemberRole, Mentions, Message, Room, RoomKind
from chat_server.store.dialects import upsert
from chat_server.store.schema import memberships, messages, rooms
from chat_server.unit import Unit

_ADD = upsert(messages).on_conflict_do_nothing(index_elements=[messages.c.sender_id, messages.c.client_msg_id])
_COUNT = update(rooms).where(rooms.c.id == bindparam("room")).values(last_message_seq=bindparam("seq"))
_EDIT = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"))
    .values(text=bindparam("new_text"), mentions=bindparam("new_mentions"), edited_at=bindparam("at"))
)
_DELETE = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"))
    .values(text="", mentions="", deleted_at=bindparam("at"))
)
_ADVANCE_READ = (
    update(memberships)
    .where(
        memberships.c.room_id == bindparam("room"),
        memberships.c.user_id == bindparam("reader"),
        memberships.c.last_read_seq < bindparam("upto"),
    )
    .values(last_read_seq=bindparam("upto"))
)


def post_message(command: PostMessage, unit: Unit) -> Posted:
    """Post once: a repeated client_msg_id answers with the stored message. Posting reads the room up to one's own."""
    standing = standing_in(unit, command.room_id)
    if standing.is_archived or command.reply_to is not None or command.mentions.user_ids:
        repeat = _repeat_of(command, unit)
        if repeat is not None:
            return repeat  # whatever became of the room, and of what it refers to
    if standing.is_archived:
        raise RoomIsArchived(room_id=command.room_id)
    message = _composed(command, unit, standing.last_message_seq + 1)
    if not unit.run(_ADD, **_row_of(message, unit.at_ms)):
        repeat = _repeat_of(command, unit)
        assert repeat is not None, "nothing else keeps a message out"
        return repeat
    unit.run(_COUNT, room=command.room_id, seq=message.seq)
    unit.run(_ADVANCE_READ, room=command.room_id, reader=unit.actor.user_id, upto=message.seq)
    unit.tell(MessagePosted(room_id=command.room_id, at=unit.now, message=message))
    if standing.kind is RoomKind.DIRECT or message.mentions.user_ids or message.mentions.room:
        unit.happened(Called(message, standing.kind, message.mentions.user_ids, message.mentions.room))
    return Posted(message, is_repeat=False)


def edit_message(command: EditMessage, unit: Unit) -> Message:
    """By its sender; mentions are resolved anew. The same text again is no change."""
    standing = standing_in(unit, command.room_id, to_change=True)
    message = message_of(unit, command.room_id, command.message_id)
    if message.sender_id != unit.actor.user_id:
        raise RoleTooLow(needed="sender")
    if message.deleted_at is not None:
        raise MessageIsDeleted(message_id=message.id)
    if message.text == command.text:
        return message
    mentions = _resolved(unit, command.room_id, command.text, MentionsBody(room=message.mentions.room))
    unit.run(_EDIT, message_id=message.id, new_text=command.text, new_mentions=stored_mentions(mentions), at=unit.at_ms)
    edited = replace(message, text=command.text, mentions=mentions, edited_at=unit.now)
    unit.tell(MessageEdited(room_id=command.room_id, at=unit.now, message=edited))
    called_now = tuple(user_id for user_id in mentions.user_ids if user_id not in message.mentions.user_ids)
    if called_now and standing.kind is not RoomKind.DIRECT:
        unit.happened(Called(edited, standing.kind, called_now, everyone=False))
    return edited


def delete_message(command: MessagePath, unit: Unit) -> None:
    """By its sender, or the room's owners and moderators: a tombstone stays. Deleting it again is no change."""
    standing = standing_in(unit, command.room_id, to_change=True)
    message = message_of(unit, command.room_id, command.message_id)
    if message.sender_id != unit.actor.user_id and standing.role is MemberRole.MEMBER:
        raise RoleTooLow(needed=MemberRole.MODERATOR)
    if message.deleted_at is not None:
        return
    unit.run(_DELETE, message_id=message.id, at=unit.at_ms)
    gone = replace(message, text="", mentions=Mentions(), deleted_at=unit.now)
    unit.tell(MessageDeleted(room_id=command.room_id, at=unit.now, message=gone))


def mark_read(command: MarkRead, unit: Unit) -> Room:
    """Everything up to `seq` is read. The mark never goes back and never beyond the last message."""
    standing = standing_in(unit, command.room_id)
    upto = min(command.seq, standing.last_message_seq)
    if unit.run(_ADVANCE_READ, room=command.room_id, reader=unit.actor.user_id, upto=upto):
        read = Read(user_id=unit.actor.user_id, last_read_seq=upto)
        unit.tell(ReadAdvanced(room_id=command.room_id, at=unit.now, read=read))
    return room_of(unit, command.room_id)


def _repeat_of(command: PostMessage, unit: Unit) -> Posted | None:
    """What is stored under the same client_msg_id. ClientMsgIdReused when that is in another room."""
    if command.client_msg_id is None:
        return None
    stored = posted_with(unit, unit.actor.user_id, command.client_msg_id)
    if stored is None:
        return None
    if stored.room_id != command.room_id:
        raise ClientMsgIdReused(client_msg_id=command.client_msg_id)
    return Posted(stored, is_repeat=True)


def _composed(command: PostMessage, unit: Unit, seq: int) -> Message:
    """Invalid when it refers to what is not in the room."""
    if command.reply_to is not None:
        _require_reply_target(unit, command.room_id, command.reply_to)
    return Message(
        id=MessageId(new_id()),
        room_id=command.room_id,
        seq=seq,
        sender_id=unit.actor.user_id,
        client_msg_id=command.client_msg_id,
        text=command.text,
        mentions=_resolved(unit, command.room_id, command.text, command.mentions),
        reply_to=command.reply_to,
        created_at=unit.now,
        edited_at=None,
        deleted_at=None,
    )


def _row_of(message: Message, at_ms: int) -> dict[str, object]:
    return {
        "id": message.id,
        "room_id": message.room_id,
        "seq": message.seq,
        "sender_id": message.sender_id,
        "client_msg_id": message.client_msg_id,
        "text": message.text,
        "mentions": stored_mentions(message.mentions),
        "reply_to": message.reply_to,
        "created_at": at_ms,
        "edited_at": None,
        "deleted_at": None,
    }


def _resolved(unit: Unit, room_id: RoomId, text: str, asked: MentionsBody) -> Mentions:
    """Who is really mentioned: members of the room only. Invalid for an id in the body that is none."""
    names = names_in(text)
    if not names and not asked.user_ids:
        return Mentions(room=asked.room)
    found = members_named(unit, room_id, list(asked.user_ids), names)
    if not set(asked.user_ids) <= set(found):
        raise Invalid(
            fields=(FieldError(field="mentions.user_ids", code="not_a_member", message="mention members of the room"),)
        )
    return Mentions(user_ids=tuple(found), room=asked.room)


def _require_reply_target(unit: Unit, room_id: RoomId, message_id: MessageId) -> None:
    try:
        message_of(unit, room_id, message_id)
    except MessageNotFound as error:
        raise Invalid(
            fields=(FieldError(field="reply_to", code="not_found", message="reply to a message of this room"),)
        ) from error
