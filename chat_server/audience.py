"""Who hears an event: the only answer to it. A new event without an audience does not pass the type check."""

from typing import assert_never

from chat_server.events import (
    Event,
    FiguresTaken,
    MemberJoined,
    MemberLeft,
    MemberUpdated,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
    NotificationRaised,
    NotificationUpdated,
    NotificationWithdrawn,
    PresenceChanged,
    ReadAdvanced,
    RoomArchived,
    RoomCreated,
    RoomUpdated,
    SessionEnded,
    TypingStarted,
    TypingStopped,
)
from chat_server.ids import FIGURES_CHANNEL, Channel, presence_channel, room_channel, topic_channel, user_channel


def channels_of(event: Event) -> tuple[Channel, ...]:
    """The channels that `event` is published to."""
    match event:
        case MessagePosted() | MessageEdited() | MessageDeleted() | RoomCreated() | RoomUpdated() | RoomArchived():
            return (room_channel(event.room_id),)
        case MemberJoined() | MemberLeft() | MemberUpdated():
            return (room_channel(event.room_id), user_channel(event.member.user_id))
        case ReadAdvanced():
            return (user_channel(event.read.user_id),)
        case TypingStarted() | TypingStopped() | PresenceChanged():
            return (presence_channel(event.room_id),)
        case NotificationRaised():
            if event.notification.topic is not None:
                return (topic_channel(event.notification.topic),)
            return () if event.user_id is None else (user_channel(event.user_id),)
        case NotificationUpdated() | NotificationWithdrawn():
            return () if event.user_id is None else (user_channel(event.user_id),)
        case SessionEnded():
            return (user_channel(event.user_id),)
        case FiguresTaken():
            return (FIGURES_CHANNEL,)
        case _:
            assert_never(event)
