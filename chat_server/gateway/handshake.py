"""Before a socket or stream is opened: where the page comes from, and what credential came along."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import HTTPConnection

from chat_server.accounts.cookie import cookie_of, may_use_cookie, require_origin
from chat_server.actor import Actor
from chat_server.errors import INVALID_TOKEN, CloseCode, OriginNotAllowed, Unauthorized
from chat_server.middleware import TOKEN
from chat_server.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """What came: an actor, a refusal that a browser can see only after the handshake, or neither yet."""

    actor: Actor | None = None
    refusal: CloseCode | None = None
    cookie: str = ""


async def shaken(connection: HTTPConnection, worker: Worker) -> Handshake:
    """Judge the URL's token, else the header's. The cookie is judged by a connect that brings no token.

    OriginNotAllowed; Unauthorized for a bad header. A bad URL token is the refusal: a browser cannot read the status
    of a handshake that failed.
    """
    headers, scheme = connection.headers, connection.url.scheme
    require_origin(headers, scheme, worker.settings, has_cookie=False)
    token = connection.scope.get(TOKEN, "")
    if token:
        try:
            return Handshake(actor=await worker.judge.actor_of(token, tickets=True))
        except Unauthorized as error:
            return Handshake(refusal=INVALID_TOKEN.because(error.code))
    bearer = bearer_of(headers)
    if bearer:
        return Handshake(actor=await worker.judge.actor_of(bearer, tickets=True))
    return Handshake(cookie=_cookie(headers, scheme, worker))


def shaken_at_once(headers: Mapping[str, str], scheme: str, token: str, worker: Worker) -> Handshake | None:
    """The same where nothing is refused and no query is needed; None where that is not so."""
    try:
        require_origin(headers, scheme, worker.settings, has_cookie=False)
        credential = token or bearer_of(headers)
    except (OriginNotAllowed, Unauthorized):
        return None
    if not credential:
        return Handshake(cookie=_cookie(headers, scheme, worker))
    actor = worker.judge.actor_at_once(credential)
    return None if actor is None else Handshake(actor=actor)


def wants_rooms(query: bytes) -> bool:
    """Whether the URL asks for `subscribe=rooms`."""
    if b"rooms" not in query and b"%" not in query:
        return False
    return dict(parse_qsl(query.decode("latin-1"))).get("subscribe") == "rooms"


def bearer_of(headers: Mapping[str, str]) -> str:
    """The Authorization header's bearer credential; Unauthorized when the header is of another kind."""
    header = headers.get("authorization", "")
    if not header:
        return ""
    scheme, _, credential = header.partition(" ")
    if scheme.lower() != "bearer" or not credential.strip():
        raise Unauthorized()
    return credential.strip()


def _cookie(headers: Mapping[str, str], scheme: str, worker: Worker) -> str:
    """The cookie, if it comes from a page of ours."""
    cookie = cookie_of(headers)
    return cookie if cookie and may_use_cookie(headers, scheme, worker.settings) else ""
