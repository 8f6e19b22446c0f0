"""Bots and their API keys. A key is `ck_<prefix>_<secret>`; only its hash is stored."""

import secrets

from sqlalchemy import bindparam, insert, select, update

from chat_server.accounts.commands import add_user
from chat_server.accounts.model import KeyPath, MintedKey, NewBot, NewKey, NewUser
from chat_server.accounts.queries import hash_of, require_admin, user_of
from chat_server.actor import Signal
from chat_server.clock import moment, moment_or_none
from chat_server.errors import KeyNotFound, RoleTooLow, UserNotFound
from chat_server.ids import KeyId, UserId, new_id
from chat_server.shapes import Kind, Role, User
from chat_server.store.schema import api_keys
from chat_server.unit import Unit

KEY_PREFIX = "ck_"

_ADD = insert(api_keys)
_OWNER_OF = select(api_keys.c.user_id).where(api_keys.c.id == bindparam("key_id"), api_keys.c.revoked_at.is_(None))
_REVOKE = update(api_keys).where(api_keys.c.id == bindparam("key_id")).values(revoked_at=bindparam("at"))
_USED = update(api_keys).where(api_keys.c.id == bindparam("key_id")).values(last_used_at=bindparam("at"))


def create_bot(command: NewBot, unit: Unit) -> User:
    """A bot that can act once it has a key. For admins."""
    require_admin(unit)
    body = NewUser(username=command.username, display_name=command.display_name, password_hash="")
    return add_user(unit, body, Kind.BOT, Role.MEMBER)


def create_key(bot_id: UserId, command: NewKey, unit: Unit) -> MintedKey:
    """A key of a bot; its secret is told this once. UserNotFound unless there is such a bot."""
    bot = _bot_of(unit, bot_id)
    prefix = secrets.token_hex(4)
    secret = f"{KEY_PREFIX}{prefix}_{secrets.token_urlsafe(24)}"
    expires_at = None if command.expires_in_s is None else unit.at_ms + command.expires_in_s * 1000
    key_id = KeyId(new_id())
    unit.run(
        _ADD,
        id=key_id,
        user_id=bot.id,
        label=command.label,
        prefix=prefix,
        hash=hash_of(secret),
        scopes=" ".join(sorted(command.scopes)),
        channels=None if command.channels is None else "\n".join(command.channels),
        created_by=unit.actor.user_id,
        created_at=unit.at_ms,
        expires_at=expires_at,
        last_used_at=None,
        revoked_at=None,
    )
    return MintedKey(
        id=key_id,
        user_id=bot.id,
        label=command.label,
        prefix=prefix,
        scopes=sorted(command.scopes),
        channels=command.channels,
        created_at=moment(unit.at_ms),
        expires_at=moment_or_none(expires_at),
        key=secret,
    )


def revoke_key(command: KeyPath, unit: Unit) -> None:
    """End a key; its sockets and streams are closed. KeyNotFound unless the bot has it."""
    require_admin(unit)
    row = unit.one(_OWNER_OF, key_id=command.key_id)
    if row is None or row[0] != command.bot_id:
        raise KeyNotFound(key_id=command.key_id)
    unit.run(_REVOKE, key_id=command.key_id, at=unit.at_ms)
    unit.signal(Signal("key", command.key_id))


def stamp_last_used(unit: Unit) -> None:
    """When the actor's key was last used. May be lost: it runs in the background."""
    unit.run(_USED, key_id=unit.actor.key_id, at=unit.at_ms)


def _bot_of(unit: Unit, bot_id: UserId) -> User:
    """For admins; RoleTooLow for a bot that ranks as owner, whom a key would let an admin be, unless they own too."""
    mine = require_admin(unit)
    bot = user_of(unit, bot_id)
    if bot.kind is not Kind.BOT:
        raise UserNotFound(user_id=bot_id)
    if bot.role is Role.OWNER and mine is not Role.OWNER:
        raise RoleTooLow(needed=Role.OWNER)
    return bot
