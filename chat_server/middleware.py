"""The layers around every request, from outside in: credentials out of sight, CORS, security headers, request id and
timing, trusted hosts, HTTPS, the size of bodies. Plain ASGI, so that a stream passes through untouched.
"""

import logging
import re
import time
from urllib.parse import unquote_plus

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat_server.errors import ChatError, Crashed, HostNotAllowed, TooLarge
from chat_server.ids import new_id
from chat_server.metrics import REQUESTS
from chat_server.rest import REQUEST_ID, answer_to
from chat_server.settings import Settings

logger = logging.getLogger("chat_server.http")

TOKEN = "chat.token"  # noqa: S105  the scope's key for what stood in the URL
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}")
_PORT = re.compile(r":[0-9]+$")
_QUIET = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})


class Credentials:
    """Takes `token=` out of the URL in place, before anything can log it; finds it again under TOKEN.

    The server logs a WebSocket's URL from this very scope, so a copy would not do. The outermost layer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            _take_token(scope)
        await self._app(scope, receive, send)


def _take_token(scope: Scope) -> None:
    scope[TOKEN], scope["query_string"] = token_in(scope.get("query_string", b""))


def token_in(query: bytes) -> tuple[str, bytes]:
    """The first token that is in a query and not empty, and the query without any."""
    if b"token" not in query and b"%" not in query:
        return "", query
    token, kept = "", []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if unquote_plus(name.decode("latin-1")) == "token":
            token = token or unquote_plus(value.decode("latin-1"))
            kept.append(b"token=***")
        else:
            kept.append(part)
    return token, b"&".join(kept)


class RequestContext:
    """Gives each request an id (a client's own is kept), times it, logs one line, and answers 500 for a crash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        asked = Headers(scope=scope).get("x-request-id", "")
        scope[REQUEST_ID] = asked if _REQUEST_ID.fullmatch(asked) else new_id()
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        status = 0

        async def timed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = scope[REQUEST_ID]
                headers["X-Process-Time"] = f"{time.perf_counter() - began:.6f}"
            await send(message)

        try:
            await self._app(scope, receive, timed)
        except Exception as error:
            logger.exception("http.crashed", extra={"request_id": scope[REQUEST_ID]})
            if status == 0:
                answer = answer_to(scope, error if isinstance(error, ChatError) else Crashed())
                await answer(scope, receive, timed)
        finally:
            _log(scope, status, time.perf_counter() - began)


def _log(scope: Scope, status: int, seconds: float) -> None:
    REQUESTS.labels(scope["method"], status).inc()
    level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
    if logger.isEnabledFor(level):
        fields = {
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 2),
            "request_id": scope[REQUEST_ID],
            "address": scope["client"][0] if scope.get("client") else "",
        }
        logger.log(level, "http.request", extra=fields)


class Hosts:
    """The names that the operator gave; none is any. `*.example.org` is everything below it."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self._exact = {host.lower() for host in hosts if not host.startswith("*")}
        self._below = tuple(host[1:].lower() for host in hosts if host.startswith("*."))
        self._any = not hosts or "*" in hosts

    def __contains__(self, host: str) -> bool:
        if self._any:
            return True
        name = _PORT.sub("", host.lower())
        return name in self._exact or (bool(self._below) and name.endswith(self._below))


class TrustedHosts:
    """HostNotAllowed for a Host that the operator did not name."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"} and Headers(scope=scope).get("host", "") not in self._hosts:
            await answer_to(scope, HostNotAllowed())(scope, receive, send)
            return
        await self._app(scope, receive, send)


class BodyLimit:
    """TooLarge for a body over `limit_bytes`, by its header or while it comes in."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdecimal() or len(length) > 15 or int(length) > self._limit_bytes:
            await answer_to(scope, TooLarge())(scope, receive, send)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self._limit_bytes:
                raise HTTPException(413)  # the framework lets only its own exception pass its body reader
            return message

        await self._app(scope, counted, send)


class SecurityHeaders:
    """What every answer carries against being framed, sniffed, cached or scripted by strangers."""

    def __init__(self, app: ASGIApp, *, has_tls: bool) -> None:
        self._app = app
        self._always = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
        ]
        if has_tls:
            self._always.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*self._always, (b"content-security-policy", _policy(scope).encode())]
                if scope["path"].startswith(("/api/", "/token", "/refresh", "/sse")):
                    headers.append((b"cache-control", b"no-store"))
                told = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(found for found in headers if found[0] not in told)]
            await send(message)

        await self._app(scope, receive, guarded)


def _policy(scope: Scope) -> str:
    """Our own scripts, styles and sockets only; the API's documentation page brings its viewer from elsewhere."""
    if scope["path"] in {"/docs", "/redoc"}:
        cdn = "https://cdn.jsdelivr.net"
        return (
            f"default-src 'none'; script-src 'self' 'unsafe-inline' {cdn}; style-src 'unsafe-inline' {cdn}; "
            "img-src 'self' data: https://fastapi.tiangolo.com; connect-src 'self'; frame-ancestors 'none'"
        )
    host = Headers(scope=scope).get("host", "")
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""  # 'self' does not cover ws: everywhere
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{sockets}; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


def add_middleware(app: FastAPI, settings: Settings) -> None:
    """Each call of `add_middleware` puts another layer around those before it: the last one is the outermost."""
    app.add_middleware(BodyLimit, limit_bytes=settings.body_bytes)
    if settings.https_redirect:
        app.add_middleware(HTTPSRedirectMiddleware)
    if settings.trusted_hosts:
        app.add_middleware(TrustedHosts, hosts=Hosts(settings.trusted_hosts))
    app.add_middleware(RequestContext)
    app.add_middleware(SecurityHeaders, has_tls=settings.tls_cert is not None)
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.allowed_origins),
            allow_credentials=True,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-ID"],
            expose_headers=["X-Request-ID", "X-Process-Time", "Retry-After", "Link", "Idempotency-Replayed"],
            max_age=600,
        )
    app.add_middleware(Credentials)
