"""The bodies about notifications and topics."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, field_validator, model_validator

from chat_server.ids import UserId
from chat_server.shapes import Body, Cursor, Id, Limit, Notification, Page, TopicName, UserIdField

NotificationText = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
Title = Annotated[str, StringConstraints(max_length=250, pattern=r"^[^\x00-\x1f\x7f]*$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f,]+$")]
ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[^\x00]+$")]
Link = Annotated[str, StringConstraints(max_length=2048, pattern=r"^[^\x00-\x20\x7f]+$")]


class PublishNotification(Body):
    """To exactly one of: people (by our ids, or by what their own app calls them), or a topic and whoever listens."""

    user_ids: Annotated[list[UserIdField], Field(min_length=1, max_length=1000)] | None = None
    external_ids: Annotated[list[ExternalId], Field(min_length=1, max_length=1000)] | None = None
    topic: TopicName | None = None
    title: Title = ""
    text: NotificationText
    priority: Annotated[int, Field(strict=True, ge=1, le=5)] = 3
    tags: Annotated[list[Tag], Field(max_length=16)] = []
    click: Link | None = None

    @field_validator("click")
    @classmethod
    def _a_link_leads_to_a_page(cls, value: str | None) -> str | None:
        if value is not None and not value.lower().startswith(("http://", "https://", "/")):
            raise ValueError("it must begin with https://, http:// or /")
        return value

    @field_validator("user_ids")
    @classmethod
    def _each_person_once(cls, value: list[UserId] | None) -> list[UserId] | None:
        return None if value is None else list(dict.fromkeys(value))

    @model_validator(mode="after")
    def _one_kind_of_addressee(self) -> Self:
        if sum(given is not None for given in (self.user_ids, self.external_ids, self.topic)) != 1:
            raise ValueError("send one of user_ids, external_ids and topic")
        return self


class ListNotifications(Body):
    """The actor's inbox, ascending; none of `before` and `after` is the newest page."""

    before: Cursor | None = None
    after: Cursor | None = None
    limit: Limit = 50
    unread: bool = False

    @model_validator(mode="after")
    def _one_direction(self) -> Self:
        if self.before is not None and self.after is not None:
            raise ValueError("before and after exclude each other")
        return self


class Inbox(Page[Notification]):
    """A page of the actor's notifications, and how many of all are unread."""

    unread: int


class Unread(BaseModel):
    unread: int


class NotificationChange(Body):
    read: Annotated[bool, Field(strict=True)]


class UpdateNotification(NotificationChange):
    notification_id: Id


class ReadAll(Body):
    """Takes no parameters."""


class TopicRule(Body):
    """Who may read a topic: everyone with an account, or only the readers named here."""

    access: Literal["everyone", "named"] = "everyone"
    readers: Annotated[list[UserIdField], Field(max_length=1000)] = []

    @model_validator(mode="after")
    def _names_need_a_rule(self) -> Self:
        if self.access == "everyone" and self.readers:
            raise ValueError("readers go with access named")
        return self


class Topic(BaseModel):
    """`readers` is null for those who may not change the topic."""

    name: str
    access: Literal["everyone", "named"]
    created_by: UserId
    created_at: datetime
    readers: list[UserId] | None
