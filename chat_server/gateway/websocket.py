"""The realtime protocol over ASGI's WebSocket: works on any ASGI server, and under TestClient.

Three tasks a connection: one reads frames, one carries out what the session asks, one writes what the mailbox holds.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Self

from fastapi import WebSocket, WebSocketDisconnect

from chat_server.errors import (
    CLOSE_BAD_REQUEST,
    SLOW,
    ChatError,
    CloseCode,
)
from chat_server.gateway.direct_carrier import DirectCarrier
from chat_server.gateway.gateway import HAND_OVER, Gateway
from chat_server.gateway.handshake import Handshake, shaken, wants_rooms
from chat_server.gateway.session import Ask, Close, Effect, Send, Session, State, Then
from chat_server.gateway.socket import Socket
from chat_server.metrics import CLOSES, CONNECTIONS, SLOW_CONSUMERS
from chat_server.realtime.batch import Batch
from chat_server.realtime.mailbox import Mailbox
from chat_server.rest import address_of, problem, request_id_of

logger = logging.getLogger(__name__)

CLOSE_S = 5.0  # how long a peer may take to read what waits for it before it is cut off
JOINED_CHARS = 64 * 1024  # commands' replies and publications share a frame up to this; clients refuse over 1 MiB

PATHS = ("/ws", "/connection/websocket")


class Carrier:
    """One connection: performs the session's effects on an ASGI WebSocket, and is the outlet of its socket."""

    def __init__(self, gateway: Gateway, websocket: WebSocket, handshake: Handshake) -> None:
        self._gateway = gateway
        self._address = address_of(websocket)
        self._websocket = websocket
        self._loop = asyncio.get_running_loop()
        self._mailbox: Mailbox[str] = Mailbox(gateway.worker.settings.most_waiting_bytes)
        self._closing: CloseCode | None = None
        self._socket = Socket(
            self,
            actor=handshake.actor,
            cookie=handshake.cookie,
            wants_rooms=wants_rooms(websocket.scope["query_string"]),
        )
        self._session = Session(
            self._socket.client_id, is_known=handshake.actor is not None, timing=gateway.timing, now=self._loop.time()
        )
        self._asks: asyncio.Queue[Ask] = asyncio.Queue(maxsize=1)
        self._may_read = asyncio.Event()
        self._ended = asyncio.Event()
        self._frames_sent = 0

    @property
    def waiting_bytes(self) -> int:
        """What is to be written and has not been handed to the server."""
        return self._mailbox.size_bytes

    @property
    def wake_at(self) -> float:
        return self._session.wake_at

    def wake(self, now: float) -> None:
        self._perform(self._session.wake(now))

    def write(self, data: bytes) -> None:
        if self._closing is None:
            self._mailbox.put(data.decode(), len(data))

    @property
    def sink(self) -> Self:
        return self

    def deliver(self, batch: Batch) -> None:
        if self._closing is None:
            for frame in batch.frames:
                self._mailbox.put_under(batch.slow, batch.channel, frame.text, len(frame.text))

    def close(self, code: CloseCode) -> None:
        """The writer sends what waits and then the code; a peer that does not read is cut off."""
        if self._closing is None:
            self._closing = code
            self._session.closed()
            self._mailbox.wake()
            self._loop.call_later(CLOSE_S, self._ended.set)

    def leave(self, code: CloseCode) -> None:
        self._perform(self._session.leave(code))

    def expire_in(self, seconds: float | None) -> None:
        self._session.expire_at(None if seconds is None else self._loop.time() + seconds)
        self._gateway.wheel.watch(self)

    async def run(self) -> None:
        """Until the socket is closed by either side."""
        self._gateway.wheel.watch(self)
        if self._socket.is_stranger:
            self._gateway.strangers.add(self)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(work) for work in (self._read(), self._carry_out(), self._write())]
                await self._ended.wait()
                for task in tasks:
                    task.cancel()
        finally:
            self._session.closed()
            self._gateway.wheel.forget(self)
            self._gateway.strangers.discard(self)
            await self._gateway.desk.gone(self._socket)
            self._gateway.ended(self._socket, self._address, self._closing, self._frames_sent)

    async def _read(self) -> None:
        try:
            while True:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                text = message.get("text")
                if text is None:
                    self.close(CLOSE_BAD_REQUEST.because("text frames only"))
                    return
                self._perform(self._session.receive(text, self._loop.time()))
                while not self._session.wants_input:
                    self._may_read.clear()
                    await self._may_read.wait()
        finally:
            if self._closing is None:
                self._ended.set()

    async def _carry_out(self) -> None:
        while True:
            ask = await self._asks.get()
            outcome = await self._gateway.outcome(self._socket, ask)
            self._perform(self._session.answered(outcome, self._loop.time()))
            if self._session.wants_input:
                self._may_read.set()

    async def _write(self) -> None:
        try:
            while True:
                for text in _joined(await self._mailbox.take()):
                    await self._websocket.send_text(text)
                    self._frames_sent += 1
                if self._mailbox.is_overrun:
                    SLOW_CONSUMERS.inc()
                    self.close(SLOW)
                if self._closing is not None:
                    await self._websocket.close(self._closing.code, self._closing.reason)
                    return
        except (WebSocketDisconnect, RuntimeError):
            return  # the peer went first
        finally:
            self._ended.set()

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send(data):
                    self.write(data)
                case Ask():
                    self._asks.put_nowait(effect)
                case Then(run):
                    run()
                case Close(code):
                    self.close(code)
        if self._session.state is State.CONNECTED:
            self._gateway.strangers.discard(self)
        self._gateway.wheel.watch(self)


async def follow(websocket: WebSocket) -> None:
    """The realtime protocol; docs/protocol.md."""
    gateway: Gateway = websocket.app.state.gateway
    address = address_of(websocket)
    try:
        handshake = await shaken(websocket, gateway.worker)
        await gateway.require_place(handshake)
        gateway.admit(address)
    except ChatError as error:
        await websocket.send_denial_response(problem(error, request_id_of(websocket)))
        return
    hand_over = websocket.scope.get("extensions", {}).get(HAND_OVER)
    if hand_over is not None:
        rooms = wants_rooms(websocket.scope["query_string"])
        carrier = DirectCarrier(gateway, handshake, address, wants_rooms=rooms)
        await websocket.accept()
        hand_over["to"](carrier)
        if handshake.refusal is not None:
            carrier.close(handshake.refusal)
        return
    try:
        with CONNECTIONS.labels("websocket").track_inprogress():
            await _accepted(gateway, websocket, handshake)
    finally:
        gateway.release(address)


async def _accepted(gateway: Gateway, websocket: WebSocket, handshake: Handshake) -> None:
    await websocket.accept()
    if handshake.refusal is not None:
        CLOSES.labels(handshake.refusal.code).inc()
        await websocket.close(handshake.refusal.code, handshake.refusal.reason)
        return
    with suppress(WebSocketDisconnect):
        await Carrier(gateway, websocket, handshake).run()


def _joined(texts: list[str]) -> list[str]:
    """As few frames as fit: JSON objects in one frame are parted by newlines."""
    frames: list[list[str]] = []
    size = JOINED_CHARS
    for text in texts:
        size += len(text) + 1
        if size > JOINED_CHARS:
            frames.append([])
            size = len(text)
        frames[-1].append(text)
    return ["\n".join(frame) for frame in frames]
