"""Logging in and out: set-up, registration, tokens, the cookie, sessions, tickets, invites."""

import hmac
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response, status
from fastapi.security import OAuth2PasswordRequestForm

from chat_server.accounts import commands, logins
from chat_server.accounts.attempts import Attempt, check_password
from chat_server.accounts.cookie import clear_cookie, cookie_of, may_use_cookie, set_cookie
from chat_server.accounts.identity import Identity
from chat_server.accounts.logins import Client, OpenSession
from chat_server.accounts.model import Invite, NewInvite, NewUser, RefreshBody, Registration, Setup, Ticket, Tokens
from chat_server.accounts.queries import count_owners, invite_of, is_username_taken, session_of, sessions_of
from chat_server.accounts.scopes import asked_for
from chat_server.actor import SYSTEM
from chat_server.errors import (
    AlreadySetUp,
    Forbidden,
    InviteNeeded,
    OriginNotAllowed,
    RegistrationClosed,
    ScopeNotGranted,
    SessionRevoked,
    SetupCodeWrong,
    Unauthorized,
    UsernameTaken,
)
from chat_server.ids import SessionId
from chat_server.rest import AdminUnit, AnyUnit, RequestUnit, SettingsOf, StrictRoute, WorkerOf, address_of, invalid
from chat_server.settings import Registration as RegistrationRule
from chat_server.settings import Settings
from chat_server.shapes import Id, Page, Session, User
from chat_server.unit import Unit

_LONE = re.compile("[\ud800-\udfff]")
DAY_MS = 24 * 3600 * 1000

router = APIRouter(tags=["login"], route_class=StrictRoute)


def identity_of(request: Request) -> Identity:
    identity: Identity = request.app.state.identity
    return identity


def login_form(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> OAuth2PasswordRequestForm:
    """The form, if it is text. Its charset may be one that decodes to lone surrogates, which are none."""
    for name, value in (("username", form.username), ("password", form.password)):
        if "\x00" in value or _LONE.search(value):
            raise invalid(name, "string_unicode", "this is no valid text")
    return form


IdentityOf = Annotated[Identity, Depends(identity_of)]
LoginForm = Annotated[OAuth2PasswordRequestForm, Depends(login_form)]


@router.post("/api/v1/auth/setup", status_code=status.HTTP_201_CREATED, response_model_exclude_unset=True)
async def set_up(body: Setup, worker: WorkerOf, identity: IdentityOf) -> User:
    """Make the first owner, with the code that the console prints until there is one."""
    if await worker.store.read(count_owners):
        raise AlreadySetUp()
    if not hmac.compare_digest(body.code.encode(), identity.setup_code.encode()):
        raise SetupCodeWrong()
    hashed = await identity.passwords.hashed(body.password)
    new = NewUser(username=body.username, password_hash=hashed, display_name=body.display_name)
    return await worker.write(SYSTEM, lambda unit: commands.set_up(new, unit))


@router.post("/api/v1/auth/register", status_code=status.HTTP_201_CREATED, response_model_exclude_unset=True)
async def register(body: Registration, worker: WorkerOf, identity: IdentityOf, settings: SettingsOf) -> User:
    """By the server's rule: open to everyone, with an invite, or closed."""
    rule = settings.registration
    if rule is RegistrationRule.CLOSED:
        raise RegistrationClosed()
    if rule is RegistrationRule.INVITE and body.invite is None:
        raise InviteNeeded()
    await worker.read(SYSTEM, lambda unit: _require_free(unit, body))
    hashed = await identity.passwords.hashed(body.password)
    new = NewUser(username=body.username, password_hash=hashed, display_name=body.display_name, invite=body.invite)
    return await worker.write(SYSTEM, lambda unit: commands.register(new, unit))


@router.post("/token")
async def log_in(
    form: LoginForm, request: Request, worker: WorkerOf, identity: IdentityOf, settings: SettingsOf
) -> Tokens:
    """OAuth2's password form. Without `scope` the tokens grant all that the person's role allows."""
    address = address_of(request)
    attempt = Attempt(username=form.username.strip().lower(), password=form.password, address=address)
    login = await check_password(worker, identity, settings, attempt)
    scopes = asked_for(form.scopes, login.role)
    if scopes is None:
        raise ScopeNotGranted()
    client = Client(user_agent=request.headers.get("user-agent", ""), address=address)
    ttl_ms = settings.session_ttl_days * DAY_MS
    session = await worker.write(SYSTEM, lambda unit: logins.open_session(unit, login.user_id, scopes, client, ttl_ms))
    return _tokens(settings, identity, session)


@router.post("/refresh")
async def refresh(
    request: Request,
    response: Response,
    worker: WorkerOf,
    identity: IdentityOf,
    settings: SettingsOf,
    body: RefreshBody | None = None,
) -> Tokens:
    """The next pair of tokens, for a refresh token or, without a body, for the cookie of a page of ours."""
    ttl_ms = settings.session_ttl_days * DAY_MS
    if body is not None:
        claims = identity.tokens.read(body.refresh_token, "refresh")
        session = await worker.write(SYSTEM, lambda unit: logins.rotate(unit, claims, ttl_ms))
        if session is None:
            raise SessionRevoked()
        return _tokens(settings, identity, session)
    session_id = await _session_of_cookie(request, identity, settings)
    session = await worker.write(SYSTEM, lambda unit: logins.renew(unit, session_id, ttl_ms))
    _give_cookie(request, response, identity, session, worker.store.clock_ms())
    return _tokens(settings, identity, session).model_copy(update={"refresh_token": None})


@router.post("/api/v1/auth/cookie", status_code=status.HTTP_204_NO_CONTENT)
async def give_cookie(request: Request, unit: AnyUnit, identity: IdentityOf) -> Response:
    """Hold the login in an HttpOnly cookie, which opens /ws, /sse and /refresh for the server's own pages."""
    session_id = _own_session(unit)
    stored = await unit.worker.store.read(lambda transaction: session_of(transaction, session_id))
    if stored is None:
        raise SessionRevoked()
    response = Response(status_code=status.HTTP_204_NO_CONTENT)
    cookie = identity.tokens.cookie(stored.user_id, stored.id, stored.expires_at // 1000)
    set_cookie(request, response, cookie, (stored.expires_at - unit.worker.store.clock_ms()) // 1000)
    return response


@router.post("/api/v1/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def log_out(request: Request, unit: AnyUnit) -> Response:
    """End the caller's session: its tokens, sockets and streams too."""
    session_id = _own_session(unit)
    await unit.run(lambda found: logins.end_session(found, found.actor.user_id, session_id))
    response = Response(status_code=status.HTTP_204_NO_CONTENT)
    clear_cookie(request, response)
    return response


@router.get("/api/v1/auth/sessions")
async def list_sessions(unit: AnyUnit) -> Page[Session]:
    """The caller's logins, the newest first."""
    return Page(items=await unit.look(sessions_of), next=None, previous=None)


@router.delete("/api/v1/auth/sessions/{session_id}", status_code=status.HTTP_204_NO_CONTENT)
async def end_session(session_id: Id, unit: AnyUnit) -> None:
    """End one of the caller's logins."""
    _own_session(unit)
    await unit.run(lambda found: logins.end_session(found, found.actor.user_id, SessionId(session_id)))


@router.post("/api/v1/auth/tickets", status_code=status.HTTP_201_CREATED)
async def issue_ticket(unit: AnyUnit, settings: SettingsOf) -> Ticket:
    """A single-use stand-in for the caller's credential, good for a minute, to be put into one URL."""
    ttl_s = settings.ticket_ttl_s
    return Ticket(ticket=await unit.run(lambda found: logins.issue_ticket(found, ttl_s * 1000)), expires_in=ttl_s)


@router.post("/api/v1/invites", status_code=status.HTTP_201_CREATED)
async def create_invite(body: NewInvite, unit: AdminUnit) -> Invite:
    """The answer's `code` and `url` are told this once."""
    return await unit.write_once(
        commands.create_invite,
        body,
        Invite,
        kept=lambda invite: invite.model_copy(update={"code": None, "url": None}),
    )


def _require_free(unit: Unit, body: Registration) -> None:
    """Refuse what would be refused anyway before a password is hashed for it."""
    if body.invite is not None and invite_of(unit.transaction, body.invite) is None:
        raise InviteNeeded()
    if is_username_taken(unit, body.username):
        raise UsernameTaken(username=body.username)


async def _session_of_cookie(request: Request, identity: Identity, settings: Settings) -> SessionId:
    cookie = cookie_of(request.headers)
    if not cookie:
        raise Unauthorized()
    if not may_use_cookie(request.headers, request.url.scheme, settings):
        raise OriginNotAllowed()
    holder = await identity.authenticator.actor_of_cookie(cookie)
    assert holder.session_id is not None
    return holder.session_id


def _own_session(unit: RequestUnit) -> SessionId:
    """Forbidden for an API key, which has no session."""
    if unit.actor.session_id is None:
        raise Forbidden()
    return unit.actor.session_id


def _tokens(settings: Settings, identity: Identity, session: OpenSession) -> Tokens:
    ttl_s = settings.access_ttl_s
    refresh_token = identity.tokens.refresh(
        session.user_id, session.id, session.generation, session.issued_at // 1000, session.expires_at // 1000
    )
    return Tokens(
        access_token=identity.tokens.access(session.user_id, session.id, session.scopes, ttl_s),
        refresh_token=refresh_token,
        token_type="bearer",  # noqa: S106
        expires_in=ttl_s,
        scope=" ".join(sorted(session.scopes)),
    )


def _give_cookie(request: Request, response: Response, identity: Identity, session: OpenSession, now_ms: int) -> None:
    cookie = identity.tokens.cookie(session.user_id, session.id, session.expires_at // 1000)
    set_cookie(request, response, cookie, (session.expires_at - now_ms) // 1000)
