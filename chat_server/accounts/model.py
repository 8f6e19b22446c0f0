"""The bodies and answers about people, bots, logins and invites."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from chat_server.ids import KeyId, RoomId, UserId
from chat_server.shapes import (
    ApiKey,
    Body,
    DisplayName,
    Email,
    Id,
    Limit,
    Password,
    Role,
    RoomIdField,
    Scope,
    SearchText,
    User,
    UserIdField,
    Username,
)

Code = Annotated[str, StringConstraints(min_length=1, max_length=128)]
ChannelName = Annotated[
    str, StringConstraints(min_length=3, max_length=255, pattern=r"^[A-Za-z0-9_-]+:[^\x00-\x1f\x7f]+$")
]
Label = Annotated[str, StringConstraints(max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Setup(Body):
    code: Code
    username: Username
    password: Password
    display_name: DisplayName | None = None


class Registration(Body):
    username: Username
    password: Password
    display_name: DisplayName | None = None
    invite: Code | None = None


class NewUser(Body):
    """A person about to be stored: the password is hashed by now."""

    username: Username
    password_hash: str
    display_name: DisplayName | None = None
    role: Role = Role.MEMBER
    invite: Code | None = None


class ProfileChanges(Body):
    """What people may change of themselves. A field that is not sent stays as it is."""

    display_name: DisplayName | None = None
    email: Email | None = None

    @field_validator("display_name")
    @classmethod
    def _a_name_is_not_taken_away(cls, value: str | None) -> str | None:
        if value is None:
            raise ValueError("leave it out to keep it; it cannot be empty")
        return value


class UserChanges(Body):
    """What an admin may change of somebody. A field that is not sent stays as it is."""

    role: Role | None = None
    disabled: bool | None = None
    display_name: DisplayName | None = None

    @model_validator(mode="after")
    def _something_changes(self) -> Self:
        if all(value is None for value in (self.role, self.disabled, self.display_name)):
            raise ValueError("send at least one of role, disabled, display_name")
        return self


class UpdateUser(UserChanges):
    user_id: UserIdField


class UserPath(Body):
    user_id: UserIdField


class PasswordChange(Body):
    old_password: Annotated[str, StringConstraints(max_length=1024)]
    new_password: Password


class PasswordChanged(Body):
    """What an Idempotency-Key remembers of a change: nothing that a password could be guessed from."""


class ListUsers(Body):
    after: SearchText | None = None
    before: SearchText | None = None
    limit: Limit = 50
    query: SearchText | None = None


class RefreshBody(Body):
    refresh_token: Annotated[str, StringConstraints(max_length=4096)]


class NewInvite(Body):
    role: Role = Role.MEMBER
    room_id: RoomIdField | None = None
    max_uses: Annotated[int, Field(strict=True, ge=1, le=10_000)] = 1
    expires_in_s: Annotated[int, Field(strict=True, ge=60, le=365 * 86400)] = 7 * 86400

    @field_validator("role")
    @classmethod
    def _nobody_is_invited_to_own_the_server(cls, value: Role) -> Role:
        if value is Role.OWNER:
            raise ValueError("an invite cannot make an owner")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An invite was made (`user_id` None) or used by somebody who registered. `room_id` is where it leads."""

    user_id: UserId | None
    room_id: RoomId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """Somebody goes by another display name now."""

    user_id: UserId


class NewBot(Body):
    username: Username
    display_name: DisplayName | None = None


class NewKey(Body):
    """`channels` limits the key to exactly these channels; left out, it reaches whatever the bot does."""

    label: Label = ""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=8)] = [Scope.CHAT, Scope.STREAM]
    channels: Annotated[list[ChannelName], Field(min_length=1, max_length=200)] | None = None
    expires_in_s: Annotated[int, Field(strict=True, ge=60, le=10 * 365 * 86400)] | None = None

    @field_validator("scopes")
    @classmethod
    def _each_scope_once(cls, value: list[Scope]) -> list[Scope]:
        if len(set(value)) != len(value):
            raise ValueError("a scope is named twice")
        return value


class KeyPath(Body):
    bot_id: Id
    key_id: Id


class Tokens(BaseModel):
    """`refresh_token` is null when the login is held by the cookie."""

    model_config = ConfigDict(frozen=True)

    access_token: str
    refresh_token: str | None
    token_type: str = "bearer"  # noqa: S105  RFC 6750's word
    expires_in: int
    scope: str


class Ticket(BaseModel):
    ticket: str
    expires_in: int


class Invite(BaseModel):
    """`code` is told this once, alone and in `url`; a repeat under the same Idempotency-Key has null in both."""

    id: str
    code: str | None
    url: str | None
    role: Role
    room_id: RoomId | None
    max_uses: int
    expires_at: datetime


class Bot(BaseModel):
    """A bot with its keys, which are nested without their secrets."""

    user: User
    keys: list[ApiKey]


class MintedKey(BaseModel):
    """A new API key. `key` is told this once; a repeat under the same Idempotency-Key has null."""

    id: KeyId
    user_id: UserId
    label: str
    prefix: str
    scopes: list[Scope]
    channels: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    key: str | None
