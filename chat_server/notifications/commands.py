"""What raises a notification, and what people do with theirs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import bindparam, delete, insert, select, update

from chat_server.accounts.commands import ensure_foreign_user
from chat_server.accounts.queries import require_admin, user_of, users_named
from chat_server.actor import Signal
from chat_server.errors import Forbidden, UserNotFound
from chat_server.events import (
    AllRead,
    MemberJoined,
    MessageDeleted,
    NotificationRaised,
    NotificationUpdated,
    NotificationWithdrawn,
    Withdrawn,
)
from chat_server.ids import MessageId, NotificationId, RoomId, UserId, new_id, topic_channel, user_channel
from chat_server.messages.model import Called
from chat_server.messages.queries import message_of
from chat_server.notifications.model import PublishNotification, ReadAll, Topic, TopicRule, Unread, UpdateNotification
from chat_server.notifications.queries import deliveries_about, may_change, notification_of, require_inbox, topic_of
from chat_server.rooms.queries import card_of, member_ids
from chat_server.shapes import Message, Notification, Room, RoomKind, Scope
from chat_server.store.dialects import upsert
from chat_server.store.locks import hold_room
from chat_server.store.schema import deliveries, notifications, topic_readers, topics, users
from chat_server.unit import Unit
from chat_server.wire import encode, parse

CALL_ROOM = "call_room"
WITHDRAW = "withdraw"
PAGE = 100  # recipients a transaction: some milliseconds, so that no post waits long
SNIPPET_CHARS = 200

_ADD = insert(notifications)
_NEXT_SEQ = (
    update(users)
    .where(users.c.id == bindparam("user"))
    .values(last_delivery_seq=users.c.last_delivery_seq + 1)
    .returning(users.c.last_delivery_seq)
)
_DELIVER = insert(deliveries)
_SET_READ = (
    update(deliveries)
    .where(deliveries.c.user_id == bindparam("user"), deliveries.c.notification_id == bindparam("notification"))
    .values(read_at=bindparam("at"))
)
_READ_ALL = (
    update(deliveries)
    .where(deliveries.c.user_id == bindparam("user"), deliveries.c.read_at.is_(None))
    .values(read_at=bindparam("at"))
)
_TAKE_BACK = delete(deliveries).where(
    deliveries.c.user_id == bindparam("user"), deliveries.c.notification_id == bindparam("notification")
)
_ADD_TOPIC = upsert(topics).on_conflict_do_nothing(index_elements=["name"])
_SET_ACCESS = update(topics).where(topics.c.name == bindparam("topic")).values(access=bindparam("rule"))
_CLEAR_READERS = delete(topic_readers).where(topic_readers.c.topic == bindparam("name"))
_ADD_READER = insert(topic_readers)
_OLD = (
    select(notifications.c.id)
    .where(notifications.c.created_at < bindparam("before"))
    .order_by(notifications.c.created_at)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """What a notification says, before it has an id."""

    kind: Literal["published", "mention", "direct", "added"]
    title: str
    text: str
    sender_id: UserId
    priority: int = 3
    tags: tuple[str, ...] = ()
    click: str | None = None
    topic: str | None = None
    room_id: RoomId | None = None
    message_id: MessageId | None = None


def publish_notification(command: PublishNotification, unit: Unit, issuer: str = "") -> Notification:
    """To people's inboxes, or to a topic, which the first publication makes. UserNotFound names who is not there.

    `issuer` is whose `external_ids` are; those never seen are made, so that the notification waits for them.
    """
    _require_publisher(unit)
    draft = _Draft(
        kind="published",
        title=command.title,
        text=command.text,
        sender_id=unit.actor.user_id,
        priority=command.priority,
        tags=tuple(command.tags),
        click=command.click,
        topic=command.topic,
    )
    if command.topic is not None:
        unit.actor.require_channel(topic_channel(command.topic))
        _ensure_topic(unit, command.topic)
        notification = _add(unit, draft)
        unit.tell(NotificationRaised(user_id=None, at=unit.now, notification=notification))
        return notification
    user_ids = list(command.user_ids or ())
    for subject in dict.fromkeys(command.external_ids or ()):
        if not issuer:
            raise UserNotFound(user_id=subject)
        user_ids.append(ensure_foreign_user(unit, issuer, subject, ""))
    found = users_named(unit, user_ids)
    for user_id in user_ids:
        if user_id not in found:
            raise UserNotFound(user_id=user_id)
        unit.actor.require_channel(user_channel(user_id))
    return _raise(unit, draft, user_ids)


def update_notification(command: UpdateNotification, unit: Unit) -> Notification:
    """Mark one of the actor's own read or unread."""
    notification = notification_of(unit, NotificationId(command.notification_id))
    if command.read is (notification.read_at is not None):
        return notification
    unit.run(_SET_READ, user=unit.actor.user_id, notification=notification.id, at=unit.at_ms if command.read else None)
    changed = replace(notification, read_at=unit.now if command.read else None)
    unit.tell(NotificationUpdated(user_id=unit.actor.user_id, at=unit.now, notification=changed))
    return changed


def read_all(command: ReadAll, unit: Unit) -> Unread:
    """Mark all of the actor's notifications read."""
    require_inbox(unit)
    if unit.run(_READ_ALL, user=unit.actor.user_id, at=unit.at_ms):
        unit.tell(NotificationUpdated(user_id=unit.actor.user_id, at=unit.now, notification=AllRead(read_at=unit.now)))
    return Unread(unread=0)


def set_topic(unit: Unit, name: str, command: TopicRule) -> Topic:
    """Make a topic or change who may read it. For its maker and admins; who lost the right stops hearing it."""
    _require_publisher(unit)
    unit.actor.require_channel(topic_channel(name))
    _ensure_topic(unit, name)
    topic = topic_of(unit, name)
    assert topic is not None
    if not may_change(unit, topic):
        raise Forbidden()
    found = users_named(unit, list(command.readers))
    for user_id in command.readers:
        if user_id not in found:
            raise UserNotFound(user_id=user_id)
    unit.run(_SET_ACCESS, topic=name, rule=command.access)
    unit.run(_CLEAR_READERS, name=name)
    for user_id in dict.fromkeys(command.readers):
        unit.run(_ADD_READER, topic=name, user_id=user_id)
    unit.signal(Signal("topic", name))
    return topic.model_copy(update={"access": command.access, "readers": list(dict.fromkeys(command.readers))})


def notify_called(called: Called, unit: Unit) -> None:
    """Reaction: tell those a message calls, and the other one of a direct room."""
    message = called.message
    room = card_of(unit, message.room_id)
    if called.room_kind is RoomKind.DIRECT:
        others = [user_id for user_id in member_ids(unit, room.id) if user_id != message.sender_id]
        _raise(unit, _about(unit, message, room, "direct"), others)
        return
    named = [user_id for user_id in called.user_ids if user_id != message.sender_id]
    if named:
        _raise(unit, _about(unit, message, room, "mention"), named)
    if called.everyone:
        unit.later(CALL_ROOM, encode({"room_id": room.id, "message_id": message.id, "after": ""}).decode())


def notify_added(event: MemberJoined, unit: Unit) -> None:
    """Reaction: tell somebody that they were added to a room by another."""
    if event.by == event.member.user_id:
        return
    room = card_of(unit, event.room_id)
    if room.kind is RoomKind.DIRECT:
        return
    by = user_of(unit, event.by).display_name if event.by else "An administrator"
    draft = _Draft(
        kind="added",
        title=f"#{room.name}",
        text=f"{by} added you to #{room.name}",
        sender_id=event.by,
        click=_link(room.id),
        room_id=room.id,
    )
    _raise(unit, draft, [event.member.user_id])


def withdraw_about(event: MessageDeleted, unit: Unit) -> None:
    """Reaction: what a deleted message raised goes off the screens."""
    if deliveries_about(unit, event.message.id, limit=1):
        unit.later(WITHDRAW, event.message.id)


def call_room(unit: Unit, payload: str) -> None:
    """Job: one page of a room's members is told that a message calls everyone."""
    asked = parse(payload)
    hold_room(unit.transaction, asked["room_id"])  # or the message could be deleted unseen while people are told
    room = card_of(unit, asked["room_id"])
    message = message_of(unit, room.id, asked["message_id"])
    if message.deleted_at is not None:
        return
    page = member_ids(unit, room.id, after=asked["after"], limit=PAGE)
    told = {user_id for user_id, _ in deliveries_about(unit, message.id, limit=1000)}
    others = [user_id for user_id in page if user_id != message.sender_id and user_id not in told]
    if others:
        _raise(unit, _about(unit, message, room, "mention"), others)
    if len(page) == PAGE:
        unit.later(CALL_ROOM, encode({**asked, "after": page[-1]}).decode())


def withdraw(unit: Unit, message_id: str) -> None:
    """Job: take back one page of the notifications that a deleted message raised."""
    found = deliveries_about(unit, message_id, limit=PAGE)
    for user_id, notification_id in found:
        unit.run(_TAKE_BACK, user=user_id, notification=notification_id)
        unit.tell(NotificationWithdrawn(user_id=user_id, at=unit.now, notification=Withdrawn(id=notification_id)))
    if len(found) == PAGE:
        unit.later(WITHDRAW, message_id)


def forget_old(unit: Unit, before_ms: int, limit: int) -> bool:
    """Delete notifications from before then, read or not. Answers whether there may be more."""
    old = [row[0] for row in unit.all(_OLD, before=before_ms, limit=limit)]
    if old:
        unit.run(delete(deliveries).where(deliveries.c.notification_id.in_(old)))
        unit.run(delete(notifications).where(notifications.c.id.in_(old)))
    return len(old) == limit


def _raise(unit: Unit, draft: _Draft, user_ids: Iterable[UserId]) -> Notification:
    notification = _add(unit, draft)
    for user_id in sorted(user_ids):  # in one order, so that two transactions cannot wait for each other
        row = unit.one(_NEXT_SEQ, user=user_id)
        assert row is not None
        unit.run(_DELIVER, user_id=user_id, seq=row[0], notification_id=notification.id, read_at=None)
        unit.tell(NotificationRaised(user_id=user_id, at=unit.now, notification=notification))
    return notification


def _add(unit: Unit, draft: _Draft) -> Notification:
    notification_id = NotificationId(new_id())
    unit.run(
        _ADD,
        id=notification_id,
        kind=draft.kind,
        topic=draft.topic,
        title=draft.title,
        text=draft.text,
        priority=draft.priority,
        tags=",".join(draft.tags),
        click=draft.click,
        room_id=draft.room_id,
        message_id=draft.message_id,
        sender_id=draft.sender_id or None,
        created_at=unit.at_ms,
        expires_at=None,
    )
    return Notification(
        id=notification_id,
        kind=draft.kind,
        topic=draft.topic,
        title=draft.title,
        text=draft.text,
        priority=draft.priority,
        tags=draft.tags,
        click=draft.click,
        room_id=draft.room_id,
        message_id=draft.message_id,
        sender_id=draft.sender_id or None,
        created_at=unit.now,
        expires_at=None,
        read_at=None,
    )


def _about(unit: Unit, message: Message, room: Room, kind: Literal["direct", "mention"]) -> _Draft:
    sender = user_of(unit, message.sender_id).display_name
    return _Draft(
        kind=kind,
        title=sender if kind == "direct" else f"{sender} in #{room.name}",
        text=message.text[:SNIPPET_CHARS],
        sender_id=message.sender_id,
        click=_link(room.id, message.seq),
        room_id=room.id,
        message_id=message.id,
    )


def _link(room_id: RoomId, seq: int | None = None) -> str:
    return f"/?room={room_id}" + ("" if seq is None else f"&seq={seq}")


def _require_publisher(unit: Unit) -> None:
    """Whoever publishes by the scope `admin` must be an admin now, not only when the token was made."""
    if Scope.NOTIFY not in unit.actor.scopes:
        require_admin(unit)


def _ensure_topic(unit: Unit, name: str) -> None:
    unit.run(_ADD_TOPIC, name=name, access="everyone", created_by=unit.actor.user_id, created_at=unit.at_ms)
