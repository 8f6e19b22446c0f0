"""What an operator does on the server's own machine: on the database, beside a server that may be running."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import make_url

from chat_server.accounts.bots import create_bot, create_key
from chat_server.accounts.commands import add_user as add
from chat_server.accounts.commands import change_password, update_user
from chat_server.accounts.identity import secret_of
from chat_server.accounts.logins import Client, open_session
from chat_server.accounts.model import ListUsers, NewBot, NewKey, NewUser, Registration, UpdateUser
from chat_server.accounts.passwords import hash_now
from chat_server.accounts.queries import count_owners, is_username_taken, list_users, user_named
from chat_server.accounts.scopes import asked_for
from chat_server.accounts.tokens import Tokens
from chat_server.actor import SYSTEM, Signal
from chat_server.broker import Envelope
from chat_server.broker.redis.messages import tell
from chat_server.commands import REACTIONS
from chat_server.errors import BrokerUnavailable, ScopeNotGranted
from chat_server.gateway.listener import encoded
from chat_server.logs import masked
from chat_server.settings import Settings
from chat_server.shapes import Kind, Role, User
from chat_server.store import event_log
from chat_server.store.engine import CannotOpen, migrate, open_engine
from chat_server.store.store import Store
from chat_server.store.writer import Commit
from chat_server.unit import Unit

R = TypeVar("R")


def in_store(settings: Settings, run: Callable[[Unit], R]) -> R:
    """Run as the house itself in one transaction, and tell the workers. CannotOpen, and what `run` raises."""

    async def opened() -> R:
        async with Store(open_engine(settings.store_url, settings.sqlite_synchronous)) as store:
            done = Commit()
            store.on_commit = partial(_collect, done)
            found = await store.write(lambda transaction: run(Unit(transaction, SYSTEM, store.clock_ms(), REACTIONS)))
        if settings.redis_url and (done.publications or done.signals):
            await _tell(settings, done)
        return found

    migrate(settings.store_url)
    return asyncio.run(opened())


def renew_epoch(settings: Settings) -> None:
    """Make every client load its state anew: the database lost commits, so offsets will be given out again."""
    in_store(settings, lambda unit: event_log.renew_epoch(unit.transaction))


def _collect(done: Commit, commit: Commit) -> None:
    done.publications += commit.publications
    done.signals += commit.signals


async def _tell(settings: Settings, commit: Commit) -> None:
    envelopes = [Envelope(found.channel, "pub", found.payload, found.offset) for found in commit.publications]
    signals = [encoded(found) for found in commit.signals if isinstance(found, Signal)]
    with suppress(BrokerUnavailable):  # the workers read it in the database within a second or a few
        await tell(settings.redis_url, settings.redis_prefix, envelopes, signals)


def has_owner(settings: Settings) -> bool:
    return in_store(settings, lambda unit: count_owners(unit.transaction) > 0)


def access_token(settings: Settings, username: str, scopes: list[str]) -> str:
    """An access token of a login of its own, which ends with it."""

    def opened(unit: Unit) -> str:
        found = user_named(unit, username)
        granted = asked_for(scopes, found.role)
        if granted is None:
            raise ScopeNotGranted()
        client = Client(user_agent="chat-server token", address="")
        session = open_session(unit, found.id, granted, client, settings.access_ttl_s * 1000)
        return Tokens(secret_of(settings)).access(found.id, session.id, granted, settings.access_ttl_s)

    return in_store(settings, opened)


def add_person(settings: Settings, username: str, role: str, password: str, display_name: str | None) -> User:
    asked = Registration(username=username, password=password, display_name=display_name)
    new = NewUser(username=asked.username, password_hash=hash_now(password), display_name=asked.display_name)
    return in_store(settings, lambda unit: add(unit, new, Kind.HUMAN, Role(role)))


def everybody(settings: Settings) -> Iterator[User]:
    query = ListUsers(limit=200)
    while True:
        page = in_store(settings, lambda unit, query=query: list_users(query, unit))  # type: ignore[misc]
        yield from page.items
        if page.next is None:
            return
        query = ListUsers(limit=200, after=str(page.next))


def set_password(settings: Settings, username: str, password: str) -> None:
    """All of that person's logins end."""
    Registration(username=username, password=password)
    hashed = hash_now(password)
    in_store(settings, lambda unit: change_password(unit, user_named(unit, username).id, hashed))


def set_disabled(settings: Settings, username: str, disabled: bool) -> None:
    def changed(unit: Unit) -> None:
        update_user(UpdateUser(user_id=user_named(unit, username).id, disabled=disabled), unit)

    in_store(settings, changed)


def add_key(settings: Settings, username: str, body: Mapping[str, object]) -> str:
    """A new key of a bot, which is made when it is not there."""
    new_key = NewKey.model_validate(body)

    def minted(unit: Unit) -> str:
        if is_username_taken(unit, username.lower()):
            found = user_named(unit, username)
        else:
            found = create_bot(NewBot(username=username), unit)
        key = create_key(found.id, new_key, unit).key
        assert key is not None
        return key

    return in_store(settings, minted)


def sqlite_path(settings: Settings) -> Path:
    """Where the SQLite file is. CannotOpen when the database is none."""
    found = make_url(settings.store_url)
    if found.get_backend_name() != "sqlite" or found.database is None:
        raise CannotOpen(
            "this is for SQLite: use pg_dump and pg_restore for PostgreSQL, and after a restore migrate --new-epoch"
        )
    return Path(found.database)


def shown_url(settings: Settings) -> str:
    """The database's URL without its password."""
    return masked(make_url(settings.store_url).render_as_string(hide_password=True))
