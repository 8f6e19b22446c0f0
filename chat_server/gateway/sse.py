"""`GET /sse`: one-way streams through sse-starlette, with exact resume. docs/protocol.md is the contract."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from sse_starlette.event import ServerSentEvent
from sse_starlette.sse import EventSourceResponse
from starlette.responses import StreamingResponse
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from chat_server.accounts.cookie import cookie_of, may_use_cookie, require_origin
from chat_server.actor import Actor
from chat_server.errors import (
    INVALID_TOKEN,
    SERVER_ERROR,
    ChatError,
    LimitExceeded,
    PermissionDenied,
    SessionRevoked,
    TicketUsed,
    Unauthorized,
    Unavailable,
)
from chat_server.gateway import cursor
from chat_server.gateway.admission import Admission, canonical
from chat_server.gateway.direct_stream import SEND_TIMEOUT_S, DirectStream
from chat_server.gateway.gateway import HAND_OVER, Gateway
from chat_server.gateway.handshake import bearer_of
from chat_server.gateway.replay import open_channels
from chat_server.gateway.stream import RETRY_MS, Chunks, Stream
from chat_server.ids import user_channel
from chat_server.metrics import CONNECTIONS
from chat_server.middleware import TOKEN
from chat_server.realtime.mailbox import Mailbox
from chat_server.realtime.resume import Asked
from chat_server.rest import address_of, invalid
from chat_server.shapes import Scope
from chat_server.wire import CHANNEL_CHARS
from chat_server.worker import Worker

CHANNELS_PER_STREAM = 50
HEADERS = {"Cache-Control": "no-store", "Connection": "keep-alive", "X-Accel-Buffering": "no"}

router = APIRouter(tags=["streams"])


@router.get(
    "/sse",
    response_class=EventSourceResponse,
    responses={204: {"description": "Do not open it again: the login has ended or the ticket is spent"}},
)
async def stream(
    request: Request,
    channels: Annotated[str, Query(max_length=CHANNELS_PER_STREAM * CHANNEL_CHARS, description="Comma-separated")] = "",
    last_event_id: Annotated[str, Query(max_length=cursor.CURSOR_CHARS)] = "",
    resume_from: Annotated[str, Header(alias="Last-Event-ID", max_length=cursor.CURSOR_CHARS)] = "",
) -> Response:
    """Follow channels, one way. The credential is a header, `?token=`, or the cookie of a page of ours."""
    gateway: Gateway = request.app.state.gateway
    try:
        actor = await _actor(request, gateway.worker)
    except (TicketUsed, SessionRevoked):
        return Response(status_code=204)  # the one answer that stops an EventSource in peace
    actor.require(Scope.STREAM)
    names = _names(channels, actor)
    asked = cursor.read(resume_from or last_event_id, names)
    admissions = await _admitted(gateway, actor, names, is_resuming=bool(resume_from or last_event_id))
    if not admissions:
        return Response(status_code=204)
    hand_over = request.scope.get("extensions", {}).get(HAND_OVER)
    opening = _Opening(gateway, address_of(request), actor, admissions, asked)
    if hand_over is not None and opening.is_admitted():
        return _DirectResponse(opening, hand_over["to"])
    return EventSourceResponse(
        _events(opening),
        ping=gateway.worker.settings.stream_ping_s,
        ping_message_factory=lambda: ServerSentEvent(comment="ping"),
        sep="\n",
        send_timeout=SEND_TIMEOUT_S,
    )


async def _actor(request: Request, worker: Worker) -> Actor:
    """Whoever opens the stream. Unauthorized, OriginNotAllowed."""
    token = request.scope.get(TOKEN, "") or bearer_of(request.headers)
    if token:
        require_origin(request.headers, request.url.scheme, worker.settings, has_cookie=False)
        return await worker.judge.actor_of(token, tickets=True)
    cookie = cookie_of(request.headers)
    if not cookie:
        raise Unauthorized()
    if not may_use_cookie(request.headers, request.url.scheme, worker.settings):
        require_origin(request.headers, request.url.scheme, worker.settings, has_cookie=True)
    return await worker.judge.actor_of_cookie(cookie)


def _names(channels: str, actor: Actor) -> list[str]:
    names = [canonical(name.strip(), actor.user_id) for name in channels.split(",") if name.strip()]
    if not names:
        names = [user_channel(actor.user_id)] if actor.channels is None else sorted(actor.channels)
    names = list(dict.fromkeys(names))
    if len(names) > CHANNELS_PER_STREAM:
        raise invalid("channels", "too_many", f"at most {CHANNELS_PER_STREAM} channels go into one stream")
    if any(len(name) > CHANNEL_CHARS for name in names):
        raise invalid("channels", "too_long", f"a channel's name has at most {CHANNEL_CHARS} characters")
    return names


async def _admitted(gateway: Gateway, actor: Actor, names: list[str], *, is_resuming: bool) -> list[Admission]:
    """The ways into all channels. PermissionDenied for one that is closed; a resuming stream goes on without it."""
    found = []
    for name in names:
        try:
            found.append(await gateway.subscriptions.judge(actor, name))
        except PermissionDenied:
            if not is_resuming:
                raise
    return found


@dataclass(slots=True)
class _Opening:
    """A stream that may be opened, and what it is to follow. `is_in`: it counts among its address's connections."""

    gateway: Gateway
    address: str
    actor: Actor
    admissions: list[Admission]
    asked: dict[str, Asked]
    is_in: bool = False

    def is_admitted(self) -> bool:
        """Whether there is room for it; then `release` at its end."""
        if not self.is_in:
            with suppress(Unavailable):
                self.gateway.admit(self.address)
                self.is_in = True
        return self.is_in

    def stream(self, mailbox: Chunks) -> Stream:
        return Stream(self.actor, [admission.channel for admission in self.admissions], mailbox, self.gateway.wheel)

    def begin(self, stream: Stream) -> "asyncio.Task[None]":
        """From here on signals reach the stream; its channels are fed to it. LimitExceeded."""
        worker = self.gateway.worker
        worker.manager.add(stream)
        try:
            worker.judge.check(self.actor)
        except SessionRevoked:
            stream.close(INVALID_TOKEN.because("session_revoked"))
        if self.actor.expires_at is not None:
            stream.expire_in(self.actor.expires_at - time.time())
        return worker.spawn(self._feed(stream))

    async def _feed(self, stream: Stream) -> None:
        try:
            await open_channels(self.gateway.worker, self.gateway.subscriptions, stream, self.admissions, self.asked)
        except ChatError:
            stream.close(SERVER_ERROR)  # it resumes where it stands


class _DirectResponse(StreamingResponse):
    """Sends the head; then a DirectStream has the transport, and the request is over."""

    def __init__(self, opening: _Opening, hand_over: Callable[[DirectStream], None]) -> None:
        super().__init__(iter(()), headers=HEADERS, media_type="text/event-stream")
        self._opening = opening
        self._hand_over = hand_over

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        carrier = DirectStream(self._opening.gateway, self._opening.address)
        stream = carrier.stream = self._opening.stream(carrier)
        self._hand_over(carrier)
        if not carrier.is_open:
            return
        try:
            carrier.feeding = self._opening.begin(stream)
        except LimitExceeded:
            later = _later()
            carrier.put(later, len(later))
            carrier.end()


async def _events(opening: _Opening) -> AsyncIterator[bytes]:
    """The stream's chunks, until it is closed by either side."""
    if not opening.is_admitted():
        yield _later()
        return
    gateway = opening.gateway
    mailbox: Mailbox[bytes] = Mailbox(gateway.slow_bytes)
    found = opening.stream(mailbox)
    try:
        with CONNECTIONS.labels("sse").track_inprogress():
            async for chunk in _chunks(opening, found, mailbox):
                yield chunk
    finally:
        gateway.wheel.forget(found)
        gateway.worker.fanout.remove(found)
        gateway.release(opening.address)


async def _chunks(opening: _Opening, found: Stream, mailbox: Mailbox[bytes]) -> AsyncIterator[bytes]:
    yield b"retry: %d\n\n" % RETRY_MS
    try:
        feeding = opening.begin(found)
    except LimitExceeded:
        yield _later()
        return
    try:
        while not (found.closing is not None and mailbox.is_empty):
            chunk = b"".join(await mailbox.take())
            if chunk:
                yield chunk
    finally:
        feeding.cancel()


def _later() -> bytes:
    """There is no room now; not all are to come back at once."""
    return b"retry: %d\n\n" % random.randint(RETRY_MS, 10 * RETRY_MS)  # noqa: S311
