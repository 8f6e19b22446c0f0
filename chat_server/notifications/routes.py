"""The inbox and the topics over HTTP."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, status

from chat_server.notifications import commands, queries
from chat_server.notifications.model import (
    Inbox,
    ListNotifications,
    NotificationChange,
    PublishNotification,
    ReadAll,
    Topic,
    TopicRule,
    Unread,
    UpdateNotification,
)
from chat_server.rest import AnyUnit, ChatUnit, NotifyUnit, SettingsOf, StrictRoute, add_links
from chat_server.shapes import Id, Notification, Page, TopicName

router = APIRouter(prefix="/api/v1", tags=["notifications"], route_class=StrictRoute)


@router.post("/notifications", status_code=status.HTTP_201_CREATED)
async def publish_notification(command: PublishNotification, unit: NotifyUnit, settings: SettingsOf) -> Notification:
    """To people by `user_ids` or `external_ids`, or to a `topic` and whoever follows it."""
    publish = partial(commands.publish_notification, issuer=settings.foreign_issuer)
    return await unit.write_once(publish, command, Notification)


@router.get("/notifications")
async def list_notifications(query: Annotated[ListNotifications, Query()], unit: ChatUnit) -> Inbox:
    """The caller's inbox, ascending; the newest page by default."""
    return add_links(unit, await unit.read(queries.inbox, query))


@router.patch("/notifications/{notification_id}", response_model_exclude_unset=True)
async def update_notification(notification_id: Id, change: NotificationChange, unit: ChatUnit) -> Notification:
    command = UpdateNotification(notification_id=notification_id, read=change.read)
    return await unit.write(commands.update_notification, command)


@router.post("/notifications/read-all")
async def read_all(unit: ChatUnit) -> Unread:
    return await unit.write_once(commands.read_all, ReadAll(), Unread)


@router.get("/topics")
async def list_topics(
    unit: AnyUnit, after: TopicName | None = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> Page[Topic]:
    """The topics that the caller may read, by name."""
    return add_links(unit, await unit.look(lambda found: queries.list_topics(found, after or "", limit)))


@router.get("/topics/{name}")
async def get_topic(name: TopicName, unit: AnyUnit) -> Topic:
    return await unit.look(lambda found: queries.get_topic(found, name))


@router.put("/topics/{name}")
async def set_topic(name: TopicName, rule: TopicRule, unit: NotifyUnit) -> Topic:
    """Make a topic, or change who may read it."""
    return await unit.run(lambda found: commands.set_topic(found, name, rule))
