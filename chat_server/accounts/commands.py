"""What people do with their accounts, and admins with everybody's."""

import secrets

from sqlalchemy import bindparam, insert, null, update

from chat_server.accounts.foreign import username_of
from chat_server.accounts.logins import end_sessions_of
from chat_server.accounts.model import Invite, Invited, NewInvite, NewUser, ProfileChanges, Renamed, UpdateUser
from chat_server.accounts.queries import (
    count_owners,
    foreign_user_id,
    hash_of,
    invite_of,
    is_username_taken,
    require_admin,
    user_of,
)
from chat_server.actor import Signal
from chat_server.clock import moment
from chat_server.errors import AlreadySetUp, InviteNeeded, LastOwner, RoleTooLow, UsernameTaken
from chat_server.ids import UserId, new_id
from chat_server.shapes import Kind, Role, User
from chat_server.store.locks import hold_house
from chat_server.store.schema import invites, users
from chat_server.unit import Unit

_ADD_USER = insert(users)
_CHANGE_PASSWORD = update(users).where(users.c.id == bindparam("user_id")).values(password_hash=bindparam("hash"))
_SEEN = update(users).where(users.c.id == bindparam("user_id")).values(last_seen_at=bindparam("at"))
_ADD_INVITE = insert(invites)
_USE_INVITE = (
    update(invites)
    .where(invites.c.id == bindparam("invite_id"), invites.c.uses < invites.c.max_uses)
    .values(uses=invites.c.uses + 1)
)


def set_up(command: NewUser, unit: Unit) -> User:
    """Make the first owner. AlreadySetUp when there is one; the route has checked the code."""
    hold_house(unit.transaction)
    if count_owners(unit.transaction):
        raise AlreadySetUp()
    return add_user(unit, command, Kind.HUMAN, Role.OWNER)


def register(command: NewUser, unit: Unit) -> User:
    """Make a member, or what the invite says. InviteNeeded for one that is not good."""
    if command.invite is None:
        return add_user(unit, command, Kind.HUMAN, Role.MEMBER)
    invite = invite_of(unit.transaction, command.invite)
    if invite is None or invite.expires_at <= unit.at_ms or not unit.run(_USE_INVITE, invite_id=invite.id):
        raise InviteNeeded()
    user = add_user(unit, command, Kind.HUMAN, invite.role)
    unit.happened(Invited(user_id=user.id, room_id=invite.room_id))
    return user


def add_user(unit: Unit, command: NewUser, kind: Kind, role: Role) -> User:
    """UsernameTaken when it is."""
    if is_username_taken(unit, command.username):
        raise UsernameTaken(username=command.username)
    row = {"password_hash": command.password_hash or None, "issuer": None, "subject": None}
    return user_of(unit, _add(unit, command.username, command.display_name or command.username, kind, role, row))


def ensure_foreign_user(unit: Unit, issuer: str, subject: str, name: str) -> UserId:
    """Whom another party calls `subject`, made on first sight. A name never leads to somebody who is here already."""
    known = foreign_user_id(unit.transaction, issuer, subject)
    if known is not None:
        return known
    username = username_of(issuer, subject)
    if is_username_taken(unit, username):
        username = username[:20] + secrets.token_hex(6)
    row = {"password_hash": None, "issuer": issuer, "subject": subject}
    return _add(unit, username, name or username, Kind.HUMAN, Role.MEMBER, row)


def change_profile(command: ProfileChanges, unit: Unit) -> User:
    """Change what people may change of themselves; what was not sent stays."""
    _change(unit, unit.actor.user_id, command.model_dump(exclude_unset=True))
    return user_of(unit, unit.actor.user_id)


def update_user(command: UpdateUser, unit: Unit) -> User:
    """Change somebody's role or name, disable or enable them. For admins; only an owner touches owners."""
    mine = require_admin(unit)
    user = user_of(unit, command.user_id)
    role = user.role if command.role is None else command.role
    disabled = user.disabled if command.disabled is None else command.disabled
    if mine is not Role.OWNER and Role.OWNER in {user.role, role}:
        raise RoleTooLow(needed=Role.OWNER)
    if user.role is Role.OWNER and not user.disabled and (disabled or role is not Role.OWNER):
        _require_another_owner(unit)
    _change(unit, user.id, command.model_dump(include={"role", "display_name"}, exclude_none=True))
    if disabled is not user.disabled:
        _set_disabled(unit, user.id, disabled)
    if role is not user.role:
        unit.signal(Signal("role", user.id))
    return user_of(unit, user.id)


def change_password(unit: Unit, user_id: UserId, password_hash: str) -> None:
    """Store a new password and end all other logins."""
    unit.run(_CHANGE_PASSWORD, user_id=user_id, hash=password_hash)
    end_sessions_of(unit, user_id, but=unit.actor.session_id)


def create_invite(command: NewInvite, unit: Unit) -> Invite:
    """An invite that admins hand out. Its code is told this once. RoomNotFound unless they see the room."""
    mine = require_admin(unit)
    if command.role is Role.ADMIN and mine is not Role.OWNER:
        raise RoleTooLow(needed=Role.OWNER)
    unit.happened(Invited(user_id=None, room_id=command.room_id))
    code = secrets.token_urlsafe(16)
    expires_at = unit.at_ms + command.expires_in_s * 1000
    invite_id = new_id()
    unit.run(
        _ADD_INVITE,
        id=invite_id,
        hash=hash_of(code),
        role=command.role,
        room_id=command.room_id,
        created_by=unit.actor.user_id,
        created_at=unit.at_ms,
        expires_at=expires_at,
        max_uses=command.max_uses,
        uses=0,
    )
    return Invite(
        id=invite_id,
        code=code,
        url=f"/?invite={code}",
        role=command.role,
        room_id=command.room_id,
        max_uses=command.max_uses,
        expires_at=moment(expires_at),
    )


def stamp_last_seen(unit: Unit) -> None:
    """When the actor was last here. May be lost: it runs in the background."""
    unit.run(_SEEN, user_id=unit.actor.user_id, at=unit.at_ms)


def _add(unit: Unit, username: str, display_name: str, kind: Kind, role: Role, row: dict[str, str | None]) -> UserId:
    user_id = UserId(new_id())
    unit.run(
        _ADD_USER,
        id=user_id,
        username=username,
        display_name=display_name,
        email=None,
        kind=kind,
        role=role,
        created_at=unit.at_ms,
        disabled_at=None,
        last_seen_at=None,
        last_delivery_seq=0,
        **row,
    )
    return user_id


def _change(unit: Unit, user_id: UserId, changes: dict[str, object]) -> None:
    if changes:
        unit.run(update(users).where(users.c.id == user_id).values(changes))
    if "display_name" in changes:
        unit.happened(Renamed(user_id=user_id))


def _set_disabled(unit: Unit, user_id: UserId, disabled: bool) -> None:
    _change(unit, user_id, {"disabled_at": unit.at_ms if disabled else null()})
    if disabled:
        end_sessions_of(unit, user_id)
    unit.signal(Signal("user" if disabled else "enabled", user_id))


def _require_another_owner(unit: Unit) -> None:
    hold_house(unit.transaction)
    if count_owners(unit.transaction) < 2:
        raise LastOwner()
