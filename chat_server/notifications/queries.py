"""Reading the inbox and the topics."""

from sqlalchemy import bindparam, exists, func, or_, select

from chat_server.accounts.queries import role_of_actor
from chat_server.clock import moment, moment_or_none
from chat_server.errors import NotificationNotFound, TopicNotFound
from chat_server.ids import NotificationId, UserId, topic_channel, user_channel
from chat_server.notifications.model import Inbox, ListNotifications, Topic
from chat_server.shapes import Notification, Page, Role
from chat_server.store.schema import deliveries, notifications, topic_readers, topics
from chat_server.store.transaction import Row
from chat_server.unit import Unit

_COLUMNS = (
    notifications.c.id,
    notifications.c.kind,
    notifications.c.topic,
    notifications.c.title,
    notifications.c.text,
    notifications.c.priority,
    notifications.c.tags,
    notifications.c.click,
    notifications.c.room_id,
    notifications.c.message_id,
    notifications.c.sender_id,
    notifications.c.created_at,
    notifications.c.expires_at,
)
_MINE = (
    select(*_COLUMNS, deliveries.c.read_at, deliveries.c.seq)
    .join_from(deliveries, notifications, notifications.c.id == deliveries.c.notification_id)
    .where(deliveries.c.user_id == bindparam("me"))
)
_ONE = _MINE.where(notifications.c.id == bindparam("notification_id"))
_UNREAD = select(func.count()).where(deliveries.c.user_id == bindparam("me"), deliveries.c.read_at.is_(None))
_ABOUT = (
    select(deliveries.c.user_id, deliveries.c.notification_id)
    .join_from(deliveries, notifications, notifications.c.id == deliveries.c.notification_id)
    .where(notifications.c.message_id == bindparam("message_id"))
    .limit(bindparam("limit"))
)
_TOPIC = select(topics.c.name, topics.c.access, topics.c.created_by, topics.c.created_at)
_TOPIC_NAMED = _TOPIC.where(topics.c.name == bindparam("name"))
_READERS = (
    select(topic_readers.c.user_id).where(topic_readers.c.topic == bindparam("name")).order_by(topic_readers.c.user_id)
)
_IS_READER = exists().where(topic_readers.c.topic == topics.c.name, topic_readers.c.user_id == bindparam("me"))
_VISIBLE = (
    _TOPIC.where(
        topics.c.name > bindparam("after"),
        or_(topics.c.access == "everyone", topics.c.created_by == bindparam("me"), _IS_READER),
    )
    .order_by(topics.c.name)
    .limit(bindparam("limit"))
)
_ALL_TOPICS = _TOPIC.where(topics.c.name > bindparam("after")).order_by(topics.c.name).limit(bindparam("limit"))


def inbox(query: ListNotifications, unit: Unit) -> Inbox:
    """A page of the actor's notifications. ChannelNotAllowed for a key that does not cover the actor's own channel."""
    require_inbox(unit)
    statement = _MINE
    if query.unread:
        statement = statement.where(deliveries.c.read_at.is_(None))
    backwards = query.after is None
    if query.after is not None:
        statement = statement.where(deliveries.c.seq > query.after).order_by(deliveries.c.seq)
    else:
        statement = statement.order_by(deliveries.c.seq.desc())
        if query.before is not None:
            statement = statement.where(deliveries.c.seq < query.before)
    rows = unit.all(statement.limit(query.limit + 1), me=unit.actor.user_id)
    more, rows = len(rows) > query.limit, rows[: query.limit]
    if backwards:
        rows.reverse()
    has_earlier = more if backwards else True
    has_later = query.before is not None if backwards else more
    return Inbox(
        items=[_notification_from(row) for row in rows],
        next=rows[-1][14] if rows and has_later else None,
        previous=rows[0][14] if rows and has_earlier else None,
        unread=count_unread(unit),
    )


def require_inbox(unit: Unit) -> None:
    """The inbox is what the actor's own channel carries, and quotes rooms: a key must cover that channel."""
    unit.actor.require_channel(user_channel(unit.actor.user_id))


def count_unread(unit: Unit) -> int:
    row = unit.one(_UNREAD, me=unit.actor.user_id)
    return int(row[0]) if row else 0


def notification_of(unit: Unit, notification_id: NotificationId) -> Notification:
    """One of the actor's own. NotificationNotFound for others'."""
    require_inbox(unit)
    row = unit.one(_ONE, me=unit.actor.user_id, notification_id=notification_id)
    if row is None:
        raise NotificationNotFound(notification_id=notification_id)
    return _notification_from(row)


def deliveries_about(unit: Unit, message_id: str, limit: int) -> list[tuple[UserId, NotificationId]]:
    """Who has a notification that a message raised."""
    return [(row[0], row[1]) for row in unit.all(_ABOUT, message_id=message_id, limit=limit)]


def topic_of(unit: Unit, name: str) -> Topic | None:
    """The topic with its readers, whoever asks; None when nobody has published to it yet."""
    row = unit.one(_TOPIC_NAMED, name=name)
    return None if row is None else _topic_from(row, [reader for (reader,) in unit.all(_READERS, name=name)])


def may_read(unit: Unit, topic: Topic | None) -> bool:
    """Whether the actor may read a topic; one that is not there yet would be everyone's."""
    if topic is None or topic.access == "everyone":
        return True
    return unit.actor.user_id == topic.created_by or unit.actor.user_id in (topic.readers or ()) or _is_admin(unit)


def may_change(unit: Unit, topic: Topic) -> bool:
    return unit.actor.user_id == topic.created_by or _is_admin(unit)


def get_topic(unit: Unit, name: str) -> Topic:
    """TopicNotFound unless it is there and the actor may read it."""
    topic = topic_of(unit, name)
    if topic is None or not may_read(unit, topic):
        raise TopicNotFound(name=name)
    unit.actor.require_channel(topic_channel(name))
    return topic if may_change(unit, topic) else topic.model_copy(update={"readers": None})


def list_topics(unit: Unit, after: str, limit: int) -> Page[Topic]:
    """The topics that the actor may read, by name."""
    statement, parameters = (_ALL_TOPICS, {}) if _is_admin(unit) else (_VISIBLE, {"me": unit.actor.user_id})
    covered = unit.actor.names_covered("topic")
    if covered is not None:
        statement = statement.where(topics.c.name.in_(covered))
    rows = unit.all(statement, after=after, limit=limit + 1, **parameters)
    items = [_topic_from(row, None) for row in rows[:limit]]
    return Page(items=items, next=items[-1].name if len(rows) > limit else None, previous=None)


def _is_admin(unit: Unit) -> bool:
    return role_of_actor(unit) in {Role.OWNER, Role.ADMIN}


def _topic_from(row: Row, readers: list[UserId] | None) -> Topic:
    name, access, created_by, created_at = row
    return Topic(name=name, access=access, created_by=created_by, created_at=moment(created_at), readers=readers)


def _notification_from(row: Row) -> Notification:
    return Notification(
        id=row[0],
        kind=row[1],
        topic=row[2],
        title=row[3],
        text=row[4],
        priority=row[5],
        tags=tuple(row[6].split(",")) if row[6] else (),
        click=row[7],
        room_id=row[8],
        message_id=row[9],
        sender_id=row[10],
        created_at=moment(row[11]),
        expires_at=moment_or_none(row[12]),
        read_at=moment_or_none(row[13]),
    )
