"""A session on a transport: one object a connection, no task, no timer, no ASGI once the handshake is done.

Laws. What one turn of the loop sends leaves in one write; the transport's buffer is the queue, bounded by `slow_bytes`.
After `close` nothing is written. `connection_lost` is the one end, whoever began it.
"""

import asyncio
import random
from operator import attrgetter
from typing import Any

from chat_server.errors import CLOSE_BAD_REQUEST, NO_PONG, SHUTDOWN, SLOW, CloseCode
from chat_server.gateway.gateway import Gateway
from chat_server.gateway.handshake import Handshake
from chat_server.gateway.pipe import Pipe
from chat_server.gateway.session import NEVER, Ask, Close, Effect, Send, Session, State, Then
from chat_server.gateway.socket import Socket
from chat_server.metrics import CONNECTIONS, SLOW_CONSUMERS
from chat_server.realtime import rfc6455
from chat_server.realtime.rfc6455 import BadFrame, FrameReader

CLOSE_S = 5.0  # how long a peer may take to read what waits for it, and to answer our close, before it is cut off
SHUTDOWN_S = 1.0  # the same when the process ends, which waits for it

_OPEN = CONNECTIONS.labels("websocket")
_AS_FRAMES, _AS_SMALL_FRAMES = attrgetter("websocket"), attrgetter("websocket_small")


class DirectCarrier(asyncio.Protocol):
    """One connection: takes its transport over after the handshake, and is the outlet of its socket.

    `wake_at` serves the session's deadlines, and our own: RFC 6455 pings where no `{}` are sent, and the patience after
    a close.
    """

    __slots__ = (
        "_address",
        "_asked",
        "_closing",
        "_connections",
        "_due_at",
        "_gateway",
        "_is_asking",
        "_is_held",
        "_is_pinged",
        "_pipe",
        "_reader",
        "_session",
        "_socket",
        "_transport",
    )

    def __init__(self, gateway: Gateway, handshake: Handshake, address: str, *, wants_rooms: bool) -> None:
        self._gateway = gateway
        self._address = address
        self._socket = Socket(self, actor=handshake.actor, cookie=handshake.cookie, wants_rooms=wants_rooms)
        self._session = Session(
            self._socket.client_id, is_known=handshake.actor is not None, timing=gateway.timing, now=gateway.wheel.now
        )
        self._reader = FrameReader(gateway.worker.settings.frame_bytes)
        self._pipe = Pipe(self, gateway.turn, _AS_FRAMES, limit_bytes=gateway.slow_bytes, hold_bytes=gateway.hold_bytes)
        self._closing: CloseCode | None = None
        self._asked: Ask | None = None
        self._is_asking = False
        self._is_held = False
        self._is_pinged = False
        self._due_at = NEVER

    def begin(self, transport: asyncio.Transport, connections: "set[Any]", *, deflates: bool) -> None:
        """Carry the session on this transport from now on. `connections` are the server's, told to `shutdown`.

        `deflates`: the client agreed to compression.
        """
        self._transport = transport
        if deflates:
            self._reader.inflates = True
            self._pipe.bytes_of = _AS_SMALL_FRAMES
        self._connections = connections
        _OPEN.inc()
        connections.add(self)
        if self._socket.is_stranger:
            self._gateway.strangers.add(self)
        if transport.is_closing():
            self.connection_lost(None)
            return
        self._pipe.begin(transport)
        transport.set_protocol(self)
        transport.resume_reading()
        self._gateway.wheel.watch(self)

    def data_received(self, data: bytes) -> None:
        if self._is_pinged:
            self._is_pinged = False
            self._due_at = self._gateway.wheel.now + self._gateway.timing.ping_s
        self._reader.feed(data)
        self._read_on()

    def eof_received(self) -> None:
        return None  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self._pipe.drop()
        self._session.closed()
        self._due_at = NEVER
        self._connections.discard(self)
        gateway = self._gateway
        gateway.wheel.forget(self)
        gateway.strangers.discard(self)
        gateway.release(self._address)
        gateway.worker.spawn(gateway.desk.gone(self._socket))
        _OPEN.dec()
        gateway.ended(self._socket, self._address, self._closing, self._pipe.sent)

    def pause_writing(self) -> None:
        self._pipe.paused()

    def resume_writing(self) -> None:
        self._pipe.resumed()

    def shutdown(self) -> None:
        """The process ends."""
        self.close(SHUTDOWN)
        self._due_at = min(self._due_at, self._gateway.wheel.now + SHUTDOWN_S)
        self._gateway.wheel.watch(self)

    @property
    def waiting_bytes(self) -> int:
        return self._pipe.waiting_bytes

    @property
    def wake_at(self) -> float:
        return min(self._session.wake_at, self._due_at)

    def wake(self, now: float) -> None:
        if now >= self._due_at:
            self._overdue(now)
        if self._pipe.is_open:
            self._perform(self._session.wake(now))

    def write(self, data: bytes) -> None:
        self._pipe.put((rfc6455.encoded_small if self._reader.inflates else rfc6455.encoded)(rfc6455.TEXT, data))

    @property
    def sink(self) -> Pipe:
        return self._pipe

    def close(self, code: CloseCode) -> None:
        """What waits still goes out, then the code. A peer that does not take it is cut off."""
        if not self._pipe.is_open:
            return
        self._pipe.flush()
        if self._pipe.is_open:
            self._closing = code
            self._end(rfc6455.closing(code.code, code.reason))

    def leave(self, code: CloseCode) -> None:
        self._perform(self._session.leave(code))

    def expire_in(self, seconds: float | None) -> None:
        self._session.expire_at(None if seconds is None else self._gateway.wheel.now + seconds)
        self._gateway.wheel.watch(self)

    def overrun(self) -> None:
        SLOW_CONSUMERS.inc()
        self.close(SLOW)

    def _read_on(self) -> None:
        """Take in what has come, as long as the session wants more; else it is held, and reading pauses."""
        try:
            while self._session.wants_input:
                message = self._reader.next()
                if message is None:
                    if self._is_held:
                        self._is_held = False
                        self._transport.resume_reading()
                    return
                self._take(*message)
        except BadFrame as error:
            self.close(CloseCode(error.code, ""))
            self._stop_listening()
        else:
            self._is_held = True
            self._transport.pause_reading()

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == rfc6455.CLOSE:
            self._closed_by_peer(payload)
        elif not self._pipe.is_open:
            return
        elif opcode == rfc6455.TEXT:
            try:
                text = payload.decode()
            except UnicodeDecodeError as error:
                raise BadFrame(rfc6455.INVALID_PAYLOAD) from error
            self._perform(self._session.receive(text, self._gateway.wheel.now))
        elif opcode == rfc6455.PING:
            self._pipe.put(rfc6455.encoded(rfc6455.PONG, payload))
        elif opcode == rfc6455.BINARY:
            self.close(CLOSE_BAD_REQUEST.because("text frames only"))

    def _closed_by_peer(self, payload: bytes) -> None:
        if self._pipe.is_open:
            code = rfc6455.status_in(payload)
            self._pipe.flush()
            self._end(rfc6455.encoded(rfc6455.CLOSE, payload[:2] if code else b""))
        self._transport.close()

    def _stop_listening(self) -> None:
        """What follows cannot be read. Our end is closed first: closing both at once would cut off the close frame."""
        self._reader = FrameReader(0)
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _end(self, last: bytes) -> None:
        """Nothing is written after `last`; the peer has CLOSE_S to take it."""
        self._session.closed()
        self._pipe.end(last)
        self._due_at = self._gateway.wheel.now + CLOSE_S
        self._gateway.wheel.watch(self)

    def _overdue(self, now: float) -> None:
        if not self._pipe.is_open:
            self._transport.abort()
        elif self._is_pinged:
            self.close(NO_PONG)
        else:
            self._is_pinged = True
            self._due_at = now + self._gateway.timing.pong_s
            self._pipe.put(rfc6455.encoded(rfc6455.PING, b""))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(data):
                    self.write(data)
                case Ask():
                    self._ask(effect)
                case Then(run):
                    run()
                case Close(code):
                    self.close(code)

    def _connected(self) -> None:
        self._gateway.strangers.discard(self)
        if self._session.sends_pings:
            self._due_at = NEVER
        elif self._due_at == NEVER:
            timing = self._gateway.timing
            self._due_at = self._gateway.wheel.now + random.uniform(0, timing.ping_s)  # noqa: S311  not all at once

    def _ask(self, ask: Ask) -> None:
        """The session asks one thing at a time; one task carries out what it asks right after."""
        self._asked = ask
        if not self._is_asking:
            self._is_asking = True
            self._gateway.worker.spawn(self._carry_out())

    async def _carry_out(self) -> None:
        while self._asked is not None:
            ask, self._asked = self._asked, None
            outcome = await self._gateway.outcome(self._socket, ask)
            if self._pipe.is_open:
                self._perform(self._session.answered(outcome, self._gateway.wheel.now))
                if self._session.state is State.CONNECTED:
                    self._connected()
                self._gateway.wheel.watch(self)  # only an answer brings a deadline nearer
                if self._is_held:
                    self._read_on()
            if self._asked is not None:
                await asyncio.sleep(0)  # whoever sends many commands at once does not keep the others waiting
        self._is_asking = False
