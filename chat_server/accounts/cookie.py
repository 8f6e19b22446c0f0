"""The session cookie, and which pages may use it: only a socket, a stream and a refresh read it, from our own pages."""

from collections.abc import Mapping
from typing import Literal

from starlette.requests import HTTPConnection, cookie_parser
from starlette.responses import Response

from chat_server.errors import OriginNotAllowed
from chat_server.settings import Settings

COOKIE = "__Host-chat"
COOKIE_ON_LOOPBACK = "chat"  # a browser takes the prefix over TLS only


def cookie_of(headers: Mapping[str, str]) -> str:
    if "cookie" not in headers:
        return ""
    cookies = cookie_parser(headers["cookie"])
    return cookies.get(COOKIE) or cookies.get(COOKIE_ON_LOOPBACK) or ""


def require_origin(headers: Mapping[str, str], scheme: str, settings: Settings, *, has_cookie: bool) -> None:
    """OriginNotAllowed for a page of a foreign origin. None at all (a bot) is fine, but not with the cookie."""
    origin = headers.get("origin")
    if origin is None and not has_cookie:
        return
    if origin is None and may_use_cookie(headers, scheme, settings):
        return
    if origin is None or not _is_allowed(headers, scheme, settings, origin):
        raise OriginNotAllowed(origin=origin)


def may_use_cookie(headers: Mapping[str, str], scheme: str, settings: Settings) -> bool:
    """Whether the request comes from a page of ours, by its Origin or, without one, by Sec-Fetch-Site."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "same-origin"
    return _is_allowed(headers, scheme, settings, origin)


def cookie_name(connection: HTTPConnection) -> Literal["__Host-chat", "chat"]:
    """The prefixed name over TLS, the plain one on loopback without it."""
    return "__Host-chat" if is_secure(connection.url.scheme) else "chat"


def is_secure(scheme: str) -> bool:
    return scheme in {"https", "wss"}


def _is_allowed(headers: Mapping[str, str], scheme: str, settings: Settings, origin: str) -> bool:
    own = f"{'https' if is_secure(scheme) else 'http'}://{headers.get('host', '')}"
    return origin == own or origin in settings.allowed_origins


def set_cookie(connection: HTTPConnection, response: Response, value: str, lives_s: int) -> None:
    """HttpOnly, so that no script reads it; SameSite=Strict, so that no other site's page sends it."""
    name = cookie_name(connection)
    response.set_cookie(name, value, max_age=lives_s, path="/", secure=name == COOKIE, httponly=True, samesite="strict")


def clear_cookie(connection: HTTPConnection, response: Response) -> None:
    name = cookie_name(connection)
    response.delete_cookie(name, path="/", secure=name == COOKIE, httponly=True, samesite="strict")
