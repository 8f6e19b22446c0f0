"""People and bots over HTTP."""

from types import NoneType
from typing import Annotated

from fastapi import APIRouter, Query, Request, status

from chat_server.accounts import bots, commands, queries
from chat_server.accounts.attempts import Attempt, check_password
from chat_server.accounts.model import (
    Bot,
    KeyPath,
    ListUsers,
    MintedKey,
    NewBot,
    NewKey,
    PasswordChange,
    PasswordChanged,
    ProfileChanges,
    UpdateUser,
    UserChanges,
    UserPath,
)
from chat_server.accounts.routes import IdentityOf
from chat_server.errors import BadCredentials, IdempotencyKeyReused
from chat_server.ids import KeyId
from chat_server.rest import AdminUnit, AnyUnit, ChatUnit, SettingsOf, StrictRoute, add_links, address_of, invalid
from chat_server.shapes import Id, Page, User, UserIdField

router = APIRouter(prefix="/api/v1", tags=["people"], route_class=StrictRoute)


@router.get("/users/me", response_model_exclude_unset=True)
async def get_me(unit: AnyUnit) -> User:
    return await unit.look(lambda found: queries.user_of(found, found.actor.user_id))


@router.patch("/users/me", response_model_exclude_unset=True)
async def change_profile(changes: ProfileChanges, unit: ChatUnit) -> User:
    return await unit.write(commands.change_profile, changes)


@router.post("/users/me/password", status_code=status.HTTP_204_NO_CONTENT)
async def change_password(
    body: PasswordChange, request: Request, unit: ChatUnit, identity: IdentityOf, settings: SettingsOf
) -> None:
    """All other logins end."""
    user = await unit.look(lambda found: queries.user_of(found, found.actor.user_id))
    is_repeat = await unit.is_repeat(PasswordChanged())
    password = body.new_password if is_repeat else body.old_password
    attempt = Attempt(username=user.username, password=password, address=address_of(request))
    try:
        await check_password(unit.worker, identity, settings, attempt)
    except BadCredentials as error:
        if is_repeat:
            raise IdempotencyKeyReused() from error
        raise invalid("old_password", "wrong_password", "this is not your password") from error
    hashed = await identity.passwords.hashed(body.new_password)
    await unit.write_once(
        lambda _, found: commands.change_password(found, user.id, hashed), PasswordChanged(), NoneType
    )


@router.get("/users", response_model_exclude_unset=True)
async def list_users(query: Annotated[ListUsers, Query()], unit: ChatUnit) -> Page[User]:
    """People and bots by username; `query` searches in both names."""
    return add_links(unit, await unit.read(queries.list_users, query))


@router.get("/users/{user_id}", response_model_exclude_unset=True)
async def get_user(user_id: UserIdField, unit: ChatUnit) -> User:
    return await unit.read(queries.get_user, UserPath(user_id=user_id))


@router.patch("/users/{user_id}", response_model_exclude_unset=True)
async def update_user(user_id: UserIdField, changes: UserChanges, unit: AdminUnit) -> User:
    command = UpdateUser(user_id=user_id, **changes.model_dump(exclude_unset=True))
    return await unit.write(commands.update_user, command)


@router.post("/bots", status_code=status.HTTP_201_CREATED, response_model_exclude_unset=True)
async def create_bot(command: NewBot, unit: AdminUnit) -> User:
    return await unit.write_once(bots.create_bot, command, User)


@router.get("/bots", response_model_exclude_unset=True)
async def list_bots(unit: AdminUnit) -> Page[Bot]:
    return await unit.look(queries.list_bots)


@router.post("/bots/{bot_id}/keys", status_code=status.HTTP_201_CREATED)
async def create_key(bot_id: UserIdField, command: NewKey, unit: AdminUnit) -> MintedKey:
    """The answer's `key` is told this once."""
    return await unit.write_once(
        lambda body, found: bots.create_key(bot_id, body, found),
        command,
        MintedKey,
        kept=lambda minted: minted.model_copy(update={"key": None}),
    )


@router.delete("/bots/{bot_id}/keys/{key_id}", status_code=status.HTTP_204_NO_CONTENT)
async def revoke_key(bot_id: Id, key_id: Id, unit: AdminUnit) -> None:
    """Its sockets and streams are closed."""
    await unit.write(bots.revoke_key, KeyPath(bot_id=bot_id, key_id=KeyId(key_id)))
