"""Logins: sessions, their refresh tokens, and tickets. How each begins, goes on and ends.

A refresh token is of a generation. Presenting the newest one moves the session on; until its successor is used, the one
before answers that same successor (two tabs, a lost answer); an older one is theft, and ends the session.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update

from chat_server.accounts.queries import StoredSession, hash_of, session_of
from chat_server.accounts.scopes import granted
from chat_server.accounts.tokens import Claims
from chat_server.actor import Actor, Signal
from chat_server.errors import SessionNotFound, SessionRevoked, TicketUsed
from chat_server.events import EndedSession, SessionEnded
from chat_server.ids import KeyId, SessionId, UserId, new_id
from chat_server.shapes import Scope
from chat_server.store.schema import sessions, tickets
from chat_server.unit import Unit

TICKET_PREFIX = "tk_"

_OPEN = insert(sessions)
_ROTATE = (
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"))
    .values(
        refresh_used=bindparam("used"),
        refresh_issued_at=bindparam("issued"),
        last_seen_at=bindparam("seen"),
        expires_at=bindparam("expires"),
    )
)
_END = (
    update(sessions)
    .where(sessions.c.id == bindparam("session_id"), sessions.c.revoked_at.is_(None))
    .values(revoked_at=bindparam("at"))
)
_OPEN_SESSIONS = select(sessions.c.id).where(
    sessions.c.user_id == bindparam("user_id"), sessions.c.revoked_at.is_(None)
)
_OWNER_OF = select(sessions.c.user_id).where(sessions.c.id == bindparam("session_id"), sessions.c.revoked_at.is_(None))
_FORGET = delete(sessions).where(sessions.c.expires_at < bindparam("before"))
_ADD_TICKET = insert(tickets)
_TAKE_TICKET = (
    delete(tickets)
    .where(tickets.c.hash == bindparam("hash"))
    .returning(
        tickets.c.user_id,
        tickets.c.session_id,
        tickets.c.key_id,
        tickets.c.scopes,
        tickets.c.channels,
        tickets.c.expires_at,
        tickets.c.good_until,
    )
)
_FORGET_TICKETS = delete(tickets).where(tickets.c.expires_at < bindparam("before"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a login is recorded with."""

    user_agent: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A login that goes on: which refresh token comes next. Times are milliseconds."""

    id: SessionId
    user_id: UserId
    scopes: frozenset[str]
    generation: int
    issued_at: int
    expires_at: int


def open_session(unit: Unit, user_id: UserId, scopes: Iterable[str], client: Client, ttl_ms: int) -> OpenSession:
    session_id = SessionId(new_id())
    granted = frozenset(scopes)
    unit.run(
        _OPEN,
        id=session_id,
        user_id=user_id,
        scopes=" ".join(sorted(granted)),
        user_agent=client.user_agent[:200],
        address=client.address[:64],
        created_at=unit.at_ms,
        last_seen_at=unit.at_ms,
        expires_at=unit.at_ms + ttl_ms,
        revoked_at=None,
        refresh_used=-1,
        refresh_issued_at=unit.at_ms,
    )
    return OpenSession(
        id=session_id,
        user_id=user_id,
        scopes=granted,
        generation=0,
        issued_at=unit.at_ms,
        expires_at=unit.at_ms + ttl_ms,
    )


def rotate(unit: Unit, claims: Claims, ttl_ms: int) -> OpenSession | None:
    """What a refresh token leads to. None for reuse, which ended the session; SessionRevoked when it had ended."""
    session = session_of(unit.transaction, claims.session_id)
    if session is None or session.user_id != claims.user_id or not session.is_good(unit.at_ms):
        raise SessionRevoked()
    if claims.generation < session.refresh_used:
        end_session(unit, session.user_id, session.id)
        return None
    if claims.generation == session.refresh_used:
        return _next(session, session.refresh_used + 1, session.refresh_issued_at, session.expires_at)
    expires_at = unit.at_ms + ttl_ms
    unit.run(
        _ROTATE, session_id=session.id, used=claims.generation, issued=unit.at_ms, seen=unit.at_ms, expires=expires_at
    )
    return _next(session, claims.generation + 1, unit.at_ms, expires_at)


def renew(unit: Unit, session_id: SessionId, ttl_ms: int) -> OpenSession:
    """A login that is held by a cookie goes on. SessionRevoked when it has ended."""
    session = session_of(unit.transaction, session_id)
    if session is None or not session.is_good(unit.at_ms):
        raise SessionRevoked()
    expires_at = unit.at_ms + ttl_ms
    unit.run(
        _ROTATE,
        session_id=session.id,
        used=session.refresh_used,
        issued=session.refresh_issued_at,
        seen=unit.at_ms,
        expires=expires_at,
    )
    return _next(session, session.refresh_used + 1, session.refresh_issued_at, expires_at)


def end_session(unit: Unit, user_id: UserId, session_id: SessionId) -> None:
    """SessionNotFound unless it is an open session of that user."""
    row = unit.one(_OWNER_OF, session_id=session_id)
    if row is None or row[0] != user_id or not unit.run(_END, session_id=session_id, at=unit.at_ms):
        raise SessionNotFound(session_id=session_id)
    unit.tell(SessionEnded(user_id=user_id, at=unit.now, session=EndedSession(id=session_id)))
    unit.signal(Signal("session", session_id))


def end_sessions_of(unit: Unit, user_id: UserId, but: SessionId | None = None) -> None:
    for (session_id,) in unit.all(_OPEN_SESSIONS, user_id=user_id):
        if session_id != but:
            end_session(unit, user_id, session_id)


def issue_ticket(unit: Unit, ttl_ms: int) -> str:
    """A single-use stand-in for the actor's own credential, to be put into an URL."""
    ticket = TICKET_PREFIX + secrets.token_urlsafe(24)
    actor = unit.actor
    unit.run(
        _ADD_TICKET,
        hash=hash_of(ticket),
        user_id=actor.user_id,
        session_id=actor.session_id,
        key_id=actor.key_id,
        scopes=" ".join(sorted(actor.scopes)),
        channels=None if actor.channels is None else "\n".join(sorted(actor.channels)),
        expires_at=unit.at_ms + ttl_ms,
        good_until=_good_until(unit),
    )
    return ticket


def take_ticket(unit: Unit, ticket: str) -> Actor:
    """Whom the ticket stands for, once. TicketUsed when it is unknown, spent or too old."""
    row = unit.one(_TAKE_TICKET, hash=hash_of(ticket))
    if row is None or row[5] <= unit.at_ms:
        raise TicketUsed()
    return Actor(
        user_id=UserId(row[0]),
        session_id=row[1],
        key_id=None if row[2] is None else KeyId(row[2]),
        scopes=frozenset(Scope(scope) for scope in row[3].split()),
        channels=None if row[4] is None else frozenset(row[4].split("\n")),
        expires_at=None if row[6] is None else row[6] / 1000,
    )


def forget_old(unit: Unit, before_ms: int) -> None:
    """Delete what expired before then and tells nobody anything any more."""
    unit.run(_FORGET, before=before_ms)
    unit.run(_FORGET_TICKETS, before=before_ms)


def _good_until(unit: Unit) -> int | None:
    """When what the ticket opens must end: with the login, or with the key. SessionRevoked when it has already."""
    actor = unit.actor
    if actor.session_id is None:
        return None if actor.expires_at is None else int(actor.expires_at * 1000)
    session = session_of(unit.transaction, actor.session_id)
    if session is None or not session.is_good(unit.at_ms):
        raise SessionRevoked()
    return session.expires_at


def _next(session: StoredSession, generation: int, issued_at: int, expires_at: int) -> OpenSession:
    return OpenSession(
        id=session.id,
        user_id=session.user_id,
        scopes=frozenset(granted(session.scopes, session.role)),
        generation=generation,
        issued_at=issued_at,
        expires_at=expires_at,
    )
