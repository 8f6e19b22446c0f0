"""What every routes.py shares: from a request to a unit of work, and from an error to problem+json.

The chain of dependencies is credential -> actor -> scope -> unit. A handler takes the unit with the scope it needs,
`Annotated[RequestUnit, Security(unit, scopes=["chat"])]`, and holds no rule of its own.
"""

import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import BackgroundTasks, Depends, FastAPI, Header, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer, SecurityScopes
from pydantic import BaseModel, TypeAdapter
from starlette.datastructures import URL
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Scope as AsgiScope

from chat_server.actor import Actor
from chat_server.errors import (
    BadJson,
    ChatError,
    FieldError,
    Forbidden,
    Invalid,
    MethodNotAllowed,
    NotFound,
    ScopeMissing,
    ScopeNotGranted,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnsupportedMedia,
)
from chat_server.settings import Rate, Settings, get_settings
from chat_server.shapes import Page, Scope
from chat_server.store.idempotency import Once, keep_answer, kept_answer
from chat_server.unit import Unit
from chat_server.wire import encode, fields_of, parse
from chat_server.worker import Worker

logger = logging.getLogger(__name__)

R = TypeVar("R")
C = TypeVar("C", bound=BaseModel)
P = TypeVar("P", bound=Page[Any])

IDEMPOTENCY_KEY_CHARS = 255
REQUEST_ID = "chat.request_id"  # where the middleware keeps it in the ASGI scope
OAUTH_PATHS = frozenset({"/token", "/refresh"})

oauth2 = OAuth2PasswordBearer(
    tokenUrl="/token",
    refreshUrl="/refresh",
    auto_error=False,
    scopes={
        Scope.CHAT: "Rooms, messages and the inbox",
        Scope.STREAM: "Follow channels, read-only",
        Scope.NOTIFY: "Publish notifications",
        Scope.ADMIN: "People, bots and invites",
    },
)


def worker_of(connection: HTTPConnection) -> Worker:
    worker: Worker = connection.app.state.worker
    return worker


def address_of(connection: HTTPConnection) -> str:
    """The client's address; behind a trusted proxy the one that the proxy names."""
    return connection.client.host if connection.client is not None else "unix"


def request_id_of(connection: HTTPConnection) -> str:
    return str(connection.scope.get(REQUEST_ID, ""))


WorkerOf = Annotated[Worker, Depends(worker_of)]
SettingsOf = Annotated[Settings, Depends(get_settings)]


def credential(bearer: Annotated[str | None, Depends(oauth2)]) -> str:
    """The bearer credential: an access token or an API key. Unauthorized without one."""
    if not bearer:
        raise Unauthorized()
    return bearer


async def actor(found: Annotated[str, Depends(credential)], worker: WorkerOf) -> Actor:
    return await worker.judge.actor_of(found)


def scoped(needed: SecurityScopes, who: Annotated[Actor, Depends(actor)]) -> Actor:
    """The actor, if the credential has every scope that the route asks for. ScopeMissing."""
    for scope in needed.scopes:
        who.require(Scope(scope))
    return who


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestUnit:
    """Carries out commands for one request's actor. Each is a transaction of its own; a request holds none."""

    worker: Worker
    actor: Actor
    url: URL
    endpoint: str
    idempotency_key: str
    response: Response

    async def write(self, run: Callable[[C, Unit], R], command: C) -> R:
        return await self.worker.write(self.actor, lambda unit: run(command, unit), command)

    async def read(self, run: Callable[[C, Unit], R], query: C) -> R:
        return await self.worker.read(self.actor, lambda unit: run(query, unit))

    async def run(self, run: Callable[[Unit], R]) -> R:
        """A write that is no command of a model's."""
        return await self.worker.write(self.actor, run)

    async def look(self, run: Callable[[Unit], R]) -> R:
        """A read that is no query of a model's."""
        return await self.worker.read(self.actor, run)

    async def write_once(
        self, run: Callable[[C, Unit], R], command: C, answer: type[R], kept: Callable[[R], R] | None = None
    ) -> R:
        """Like `write`; under an Idempotency-Key a repeat gets the first answer, and nothing happens.

        `kept` turns the answer into what may be kept, when it holds a secret.
        """
        if not self.idempotency_key:
            return await self.write(run, command)
        once = self._once(command)

        def at_most_once(unit: Unit) -> R:
            before = kept_answer(unit.transaction, once)
            if before is not None:
                self.response.headers["Idempotency-Replayed"] = "true"
                return TypeAdapter(answer).validate_json(before)
            result = run(command, unit)
            keep_answer(unit.transaction, once, encode(result if kept is None else kept(result)), unit.at_ms)
            return result

        return await self.worker.write(self.actor, at_most_once, command)

    async def is_repeat(self, command: BaseModel) -> bool:
        """Whether `write_once` would answer this with an answer that was given before. IdempotencyKeyReused."""
        if not self.idempotency_key:
            return False
        once = self._once(command)
        return await self.look(lambda unit: kept_answer(unit.transaction, once) is not None)

    def _once(self, command: BaseModel) -> Once:
        body = hashlib.sha256(encode(command.model_dump(mode="json"))).hexdigest()
        return Once(actor_id=self.actor.user_id, endpoint=self.endpoint, key=self.idempotency_key, fingerprint=body)


async def unit(
    request: Request,
    response: Response,
    worker: WorkerOf,
    who: Annotated[Actor, Depends(scoped)],
    background: BackgroundTasks,
    idempotency_key: Annotated[str | None, Header(description="Makes a POST safe to repeat for 24 hours")] = None,
) -> AsyncIterator[RequestUnit]:
    """A unit of work for the request's actor, within what the worker finishes before it stops."""
    if idempotency_key is not None and not 0 < len(idempotency_key) <= IDEMPOTENCY_KEY_CHARS:
        raise invalid("Idempotency-Key", "string_too_long", f"use 1 to {IDEMPOTENCY_KEY_CHARS} characters")
    background.add_task(worker.stamp, who)  # may be lost, so it needs no job
    with worker.under_way:
        yield RequestUnit(
            worker=worker,
            actor=who,
            url=request.url,
            endpoint=f"{request.method} {request.url.path}",
            idempotency_key=idempotency_key or "",
            response=response,
        )


def add_links(found: RequestUnit, page: P) -> P:
    """RFC 8288's Link header besides the body's `next` and `previous`, for clients that page by it."""
    links = []
    for rel, cursor, name in (("next", page.next, "after"), ("prev", page.previous, "before")):
        if cursor is not None:
            kept = found.url.remove_query_params(["after", "before", "around"])
            links.append(f'<{kept.include_query_params(**{name: cursor})}>; rel="{rel}"')
    if links:
        found.response.headers["Link"] = ", ".join(links)
    return page


ChatUnit = Annotated[RequestUnit, Security(unit, scopes=[Scope.CHAT])]
AnyUnit = Annotated[RequestUnit, Security(unit, scopes=[])]
NotifyUnit = Annotated[RequestUnit, Security(unit, scopes=[Scope.NOTIFY])]
AdminUnit = Annotated[RequestUnit, Security(unit, scopes=[Scope.ADMIN])]


class RateLimiter:
    """A dependency that counts requests by address, over all workers, against one of the settings' rates:
    TooManyRequests over it. While the broker is away each worker counts alone.

    An instance is the dependency: `Depends(RateLimiter("http", lambda settings: settings.rate_http))`.
    """

    def __init__(self, name: str, rate: Callable[[Settings], Rate]) -> None:
        self._name = name
        self._rate = rate

    async def __call__(self, request: Request, worker: WorkerOf, settings: SettingsOf) -> None:
        wait_s = await worker.broker.take(f"{self._name}:{address_of(request)}", self._rate(settings))
        if wait_s:
            raise TooManyRequests(retry_after_s=wait_s)


class StrictRequest(Request):
    """Reads a JSON body strictly: UTF-8, no NaN, no lone surrogates."""

    async def json(self) -> Any:
        return parse(await self.body())


class StrictRoute(APIRoute):
    """The route class of every router here."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            found: Response = await handler(StrictRequest(request.scope, request.receive))
            return found

        return strict


def invalid(field: str, code: str, message: str) -> Invalid:
    """One refused field, for checks that no model can make."""
    return Invalid(fields=(FieldError(field=field, code=code, message=message),))


def answer_to(scope: AsgiScope, error: ChatError) -> Response:
    """The problem that a request with that ASGI scope is answered with."""
    return problem(error, scope.get(REQUEST_ID, ""), _oauth_error(error) if scope["path"] in OAUTH_PATHS else "")


def problem(error: ChatError, request_id: str, oauth_error: str = "") -> Response:
    """RFC 9457's problem details, with our stable `code` and the request's id; RFC 6749's `error` besides."""
    body: dict[str, object] = {
        "type": f"urn:chat-server:error:{error.code}",
        "title": type(error).text.partition("{")[0].strip() or error.code,
        "status": error.status,
        "detail": str(error),
        "code": error.code,
        "request_id": request_id,
    }
    if error.fields:
        body["errors"] = error.fields
    if oauth_error:
        body |= {"error": oauth_error, "error_description": str(error)}
    headers = {}
    if error.retry_after_s is not None or isinstance(error, Unavailable | TooManyRequests):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s or 1.0)))
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="chat-server"'
    if isinstance(error, ScopeMissing):
        headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{error.values["scope"]}"'
    return Response(encode(body), error.status, headers, "application/problem+json")


def _oauth_error(error: ChatError) -> str:
    """What RFC 6749 calls it (5.2; 4.1.2.1 for what passes)."""
    if isinstance(error, ScopeNotGranted):
        return "invalid_scope"
    if isinstance(error, Unauthorized):
        return "invalid_grant"
    return "temporarily_unavailable" if error.temporary else "invalid_request"


def add_error_handlers(app: FastAPI) -> None:
    """Every error of a route becomes problem+json. What nobody expected is the middleware's."""
    app.add_exception_handler(ChatError, _on_chat_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_error)


async def _on_chat_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ChatError)
    return answer_to(request.scope, error)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [{**each, "loc": each["loc"][1:] or each["loc"]} for each in error.errors()]
    return answer_to(request.scope, Invalid(fields=fields_of(found)))


_BY_STATUS: dict[int, type[ChatError]] = {
    400: BadJson,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: TooLarge,
    415: UnsupportedMedia,
}


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = answer_to(request.scope, _BY_STATUS.get(error.status_code, ChatError)())
    answer.headers.update(error.headers or {})
    return answer
