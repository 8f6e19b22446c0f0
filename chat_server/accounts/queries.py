"""Reading people, logins, keys and invites."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import bindparam, func, or_, select

from chat_server.accounts.model import Bot, ListUsers, UserPath
from chat_server.clock import moment, moment_or_none
from chat_server.errors import RoleTooLow, SessionRevoked, UserNotFound
from chat_server.ids import KeyId, RoomId, SessionId, UserId
from chat_server.shapes import ApiKey, Kind, Page, Role, Scope, Session, User, page_of
from chat_server.store.schema import api_keys, invites, revocations, sessions, users
from chat_server.store.transaction import Row, Transaction
from chat_server.unit import Unit

USER_COLUMNS = (
    users.c.id,
    users.c.username,
    users.c.display_name,
    users.c.kind,
    users.c.role,
    users.c.created_at,
    users.c.disabled_at,
    users.c.email,
)
_USER = select(*USER_COLUMNS).where(users.c.id == bindparam("user_id"))
_ROLE = select(users.c.role).where(users.c.id == bindparam("user_id"), users.c.disabled_at.is_(None))
_ID_BY_NAME = select(users.c.id).where(users.c.username == bindparam("username"))
_BY_SUBJECT = select(users.c.id, users.c.disabled_at).where(
    users.c.issuer == bindparam("issuer"), users.c.subject == bindparam("subject")
)
_LOGIN = select(users.c.id, users.c.password_hash, users.c.disabled_at, users.c.role).where(
    users.c.username == bindparam("username"), users.c.kind == "human"
)
_OWNERS = select(func.count()).where(users.c.role == "owner", users.c.disabled_at.is_(None))
_SESSION = (
    select(
        sessions.c.id,
        sessions.c.user_id,
        sessions.c.scopes,
        sessions.c.expires_at,
        sessions.c.revoked_at,
        sessions.c.refresh_used,
        sessions.c.refresh_issued_at,
        users.c.role,
        users.c.disabled_at,
    )
    .join(users, users.c.id == sessions.c.user_id)
    .where(sessions.c.id == bindparam("session_id"))
)
_SESSIONS = (
    select(
        sessions.c.id,
        sessions.c.created_at,
        sessions.c.last_seen_at,
        sessions.c.expires_at,
        sessions.c.user_agent,
        sessions.c.address,
    )
    .where(
        sessions.c.user_id == bindparam("user_id"),
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > bindparam("now"),
    )
    .order_by(sessions.c.created_at.desc())
    .limit(200)
)
KEY_COLUMNS = (
    api_keys.c.id,
    api_keys.c.user_id,
    api_keys.c.label,
    api_keys.c.prefix,
    api_keys.c.scopes,
    api_keys.c.channels,
    api_keys.c.created_at,
    api_keys.c.expires_at,
    api_keys.c.last_used_at,
)
_KEY_BY_HASH = (
    select(*KEY_COLUMNS, api_keys.c.revoked_at, users.c.disabled_at)
    .join(users, users.c.id == api_keys.c.user_id)
    .where(api_keys.c.hash == bindparam("hash"))
)
_KEYS_OF = (
    select(*KEY_COLUMNS)
    .where(api_keys.c.user_id == bindparam("user_id"), api_keys.c.revoked_at.is_(None))
    .order_by(api_keys.c.created_at, api_keys.c.id)
)
_BOTS = select(*USER_COLUMNS).where(users.c.kind == "bot").order_by(users.c.username).limit(1000)
_INVITE = select(
    invites.c.id, invites.c.role, invites.c.room_id, invites.c.expires_at, invites.c.max_uses, invites.c.uses
).where(invites.c.hash == bindparam("hash"))
_DISABLED = select(users.c.id).where(users.c.disabled_at.is_not(None))
_REVOKED_SINCE = (
    select(revocations.c.id, revocations.c.kind, revocations.c.subject, revocations.c.at)
    .where(revocations.c.at >= bindparam("since"))
    .order_by(revocations.c.at)
)


@dataclass(frozen=True, slots=True)
class Login:
    """What checking a password needs."""

    user_id: UserId
    password_hash: str | None
    disabled_at: int | None
    role: Role


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A login with the state of its refresh tokens. Times are milliseconds."""

    id: SessionId
    user_id: UserId
    scopes: frozenset[str]
    expires_at: int
    revoked_at: int | None
    refresh_used: int
    refresh_issued_at: int
    role: Role
    disabled_at: int | None

    def is_good(self, now_ms: int) -> bool:
        return self.revoked_at is None and self.disabled_at is None and self.expires_at > now_ms


@dataclass(frozen=True, slots=True)
class StoredInvite:
    id: str
    role: Role
    room_id: RoomId | None
    expires_at: int
    max_uses: int
    uses: int


def hash_of(secret: str) -> str:
    """How a random secret (a key, ticket or code) is stored: it has 128 bits or more, so a fast hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def user_from(row: Row) -> User:
    user_id, username, display_name, kind, role, created_at, disabled_at, _ = row
    return User(
        id=user_id,
        username=username,
        display_name=display_name,
        kind=Kind(kind),
        role=Role(role),
        created_at=moment(created_at),
        disabled=disabled_at is not None,
    )


def user_of(unit: Unit, user_id: UserId) -> User:
    """UserNotFound when there is none. `me` is the actor; only oneself sees the e-mail address."""
    row = unit.one(_USER, user_id=own_if_me(unit, user_id))
    if row is None:
        raise UserNotFound(user_id=user_id)
    return _with_email(row) if row[0] == unit.actor.user_id else user_from(row)


def get_user(path: UserPath, unit: Unit) -> User:
    return user_of(unit, path.user_id)


def seen_by_themselves(unit: Unit, user_ids: list[UserId]) -> dict[UserId, User]:
    """Each of them as their own `users.me` shows it; those that do not exist are left out."""
    rows = [unit.one(_USER, user_id=user_id) for user_id in user_ids]
    return {row[0]: _with_email(row) for row in rows if row is not None}


def _with_email(row: Row) -> User:
    return user_from(row).model_copy(update={"email": row[7]})


def own_if_me(unit: Unit, user_id: UserId) -> UserId:
    return unit.actor.user_id if user_id == "me" else user_id


def users_named(unit: Unit, user_ids: list[UserId]) -> dict[UserId, User]:
    """The users among `user_ids` that exist and are not disabled."""
    if not user_ids:
        return {}
    rows = unit.all(select(*USER_COLUMNS).where(users.c.id.in_(user_ids), users.c.disabled_at.is_(None)))
    return {row[0]: user_from(row) for row in rows}


def user_named(unit: Unit, username: str) -> User:
    """UserNotFound when there is none."""
    row = unit.one(_ID_BY_NAME, username=username.lower())
    if row is None:
        raise UserNotFound(username=username)
    return user_of(unit, row[0])


def is_username_taken(unit: Unit, username: str) -> bool:
    return unit.one(_ID_BY_NAME, username=username) is not None


def foreign_user_id(transaction: Transaction, issuer: str, subject: str) -> UserId | None:
    """Whom another party calls `subject`; None when they were never seen."""
    row = transaction.one(_BY_SUBJECT, issuer=issuer, subject=subject)
    return None if row is None else UserId(row[0])


def list_users(query: ListUsers, unit: Unit) -> Page[User]:
    """People and bots by username; `after` and `before` are usernames."""
    statement = select(*USER_COLUMNS)
    if query.query:
        pattern = "%" + query.query.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        statement = statement.where(
            or_(
                users.c.username.like(pattern, escape="\\"), func.lower(users.c.display_name).like(pattern, escape="\\")
            )
        )
    if query.before is not None:
        statement = statement.where(users.c.username < query.before).order_by(users.c.username.desc())
    else:
        statement = statement.where(users.c.username > (query.after or "")).order_by(users.c.username)
    rows = unit.all(statement.limit(query.limit + 1))
    more, rows = len(rows) > query.limit, rows[: query.limit]
    backwards = query.before is not None
    items = [user_from(row) for row in (reversed(rows) if backwards else rows)]
    return page_of(
        items,
        lambda user: user.username,
        before=more if backwards else query.after is not None,
        after=backwards or more,
    )


def role_of_actor(unit: Unit) -> Role:
    """The actor's role as it is now, not as a token once said. The house itself ranks as owner."""
    if not unit.actor.user_id:
        return Role.OWNER
    row = unit.one(_ROLE, user_id=unit.actor.user_id)
    return Role.GUEST if row is None else Role(row[0])


def require_admin(unit: Unit) -> Role:
    """RoleTooLow unless the actor is owner or admin now."""
    role = role_of_actor(unit)
    if role not in {Role.OWNER, Role.ADMIN}:
        raise RoleTooLow(needed=Role.ADMIN)
    return role


def login_of(transaction: Transaction, username: str) -> Login | None:
    row = transaction.one(_LOGIN, username=username)
    return None if row is None else Login(row[0], row[1], row[2], Role(row[3]))


def count_owners(transaction: Transaction) -> int:
    row = transaction.one(_OWNERS)
    return int(row[0]) if row else 0


def session_of(transaction: Transaction, session_id: SessionId) -> StoredSession | None:
    row = transaction.one(_SESSION, session_id=session_id)
    if row is None:
        return None
    return StoredSession(
        id=row[0],
        user_id=row[1],
        scopes=frozenset(row[2].split()),
        expires_at=row[3],
        revoked_at=row[4],
        refresh_used=row[5],
        refresh_issued_at=row[6],
        role=Role(row[7]),
        disabled_at=row[8],
    )


def sessions_of(unit: Unit) -> list[Session]:
    rows = unit.all(_SESSIONS, user_id=unit.actor.user_id, now=unit.at_ms)
    return [
        Session(
            id=row[0],
            created_at=moment(row[1]),
            last_seen_at=moment(row[2]),
            expires_at=moment(row[3]),
            user_agent=row[4],
            address=row[5],
            current=row[0] == unit.actor.session_id,
        )
        for row in rows
    ]


def key_from(row: Row) -> ApiKey:
    return ApiKey(
        id=KeyId(row[0]),
        user_id=UserId(row[1]),
        label=row[2],
        prefix=row[3],
        scopes=tuple(Scope(scope) for scope in row[4].split()),
        channels=None if row[5] is None else tuple(row[5].split("\n")),
        created_at=moment(row[6]),
        expires_at=moment_or_none(row[7]),
        last_used_at=moment_or_none(row[8]),
    )


def key_by_secret(transaction: Transaction, secret: str, now_ms: int) -> ApiKey | None:
    """The key, if it is known and not expired. SessionRevoked when it was revoked or its bot disabled."""
    row = transaction.one(_KEY_BY_HASH, hash=hash_of(secret))
    if row is None or (row[7] is not None and row[7] <= now_ms):
        return None
    if row[9] is not None or row[10] is not None:
        raise SessionRevoked()
    return key_from(row[:9])


def list_bots(unit: Unit) -> Page[Bot]:
    require_admin(unit)
    bots = [user_from(row) for row in unit.all(_BOTS)]
    return Page(items=[Bot(user=bot, keys=keys_of(unit, bot.id)) for bot in bots], next=None, previous=None)


def keys_of(unit: Unit, user_id: UserId) -> list[ApiKey]:
    return [key_from(row) for row in unit.all(_KEYS_OF, user_id=user_id)]


def invite_of(transaction: Transaction, code: str) -> StoredInvite | None:
    row = transaction.one(_INVITE, hash=hash_of(code))
    return None if row is None else StoredInvite(row[0], Role(row[1]), *row[2:])


def disabled_users(transaction: Transaction) -> list[UserId]:
    return [row[0] for row in transaction.all(_DISABLED)]


def revoked_since(transaction: Transaction, since_ms: int) -> list[tuple[str, str, str, int]]:
    """(id, kind, subject, at) of what was revoked at or after `since_ms`."""
    return [(row[0], row[1], row[2], row[3]) for row in transaction.all(_REVOKED_SINCE, since=since_ms)]
