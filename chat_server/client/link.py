"""The client's socket: opened again and again until the protocol says that it is over; it performs what that says."""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from inspect import isawaitable
from typing import Protocol as Seam
from urllib.parse import SplitResult, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from chat_server.client.calls import NEVER
from chat_server.client.permit import Permit
from chat_server.client.problems import ClientError, Disconnected, Refused, Unreachable
from chat_server.client.protocol import CUT, Drop, Effect, Fetch, Protocol, Renew, Send

logger = logging.getLogger(__name__)

OPEN_S = 10.0
CLOSE_S = 2.0
TOKEN_S = 30.0
RETRY_MOST_S = 3600.0
FRAME_BYTES = 16 * 1024 * 1024  # a connect's answer recovers up to 16 channels of 512 KiB
RETRIED = frozenset({408, 425, 429})  # and all 5xx: what a proxy says while the server restarts

Token = str | Callable[[], str | Awaitable[str]]


class Line(Seam):
    """What carries a client's protocol."""

    async def run(self) -> None:
        """Until the protocol ends."""

    def perform(self, effects: list[Effect]) -> None: ...

    async def token(self) -> str: ...


class Link:
    """`run` it in a task. `opened` is called when a connection stands, and at the end."""

    def __init__(self, url: str, token: Token, protocol: Protocol, opened: Callable[[], None]) -> None:
        self._address = socket_address(url)
        self._source = token
        self._token = ""
        self._protocol = protocol
        self._opened = opened
        self._socket: ClientConnection | None = None
        self._outbox: deque[bytes] = deque()  # bounded by the calls in flight, and one pong a ping
        self._has_mail = asyncio.Event()
        self._needs_renewal = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._tasks = asyncio.TaskGroup()
        self._fetching: set[asyncio.Task[None]] = set()  # one a channel, at most

    async def run(self) -> None:
        """Until the protocol ends."""
        async with self._tasks:
            renewing = self._tasks.create_task(self._renew())
            try:
                while self._protocol.end is None:
                    pause_s = await self._connect()
                    if self._protocol.end is None:
                        await asyncio.sleep(pause_s)
            finally:
                for task in (renewing, *self._fetching):
                    task.cancel()
                if self._timer is not None:
                    self._timer.cancel()
                self._opened()

    def perform(self, effects: list[Effect]) -> None:
        """Never awaits, so that effects of one moment stay together."""
        for effect in effects:
            match effect:
                case Send(data):
                    self._outbox.append(data)
                    self._has_mail.set()
                case Drop():
                    if self._socket is not None:
                        self._socket.transport.abort()
                case Renew():
                    self._needs_renewal.set()
                case Fetch(permit):
                    task = self._tasks.create_task(self._fetch(permit))
                    self._fetching.add(task)
                    task.add_done_callback(self._fetching.discard)
        self._arm()

    async def token(self) -> str:
        """The credential that is good now. Unreachable when there is none."""
        if self._protocol.needs_token:
            token = await self._new_token()
            if token is None:
                raise self._protocol.end or Unreachable("there is no token now")
            self._token = token
        return self._token

    async def _connect(self) -> float:
        """One connection from its opening to its end. The pause before the next."""
        try:
            token = await self.token()
        except ClientError:
            return self._protocol.failed()
        try:
            socket = await connect(
                self._address, open_timeout=OPEN_S, close_timeout=CLOSE_S, ping_interval=None, max_size=FRAME_BYTES
            )
        except InvalidStatus as error:
            return self._turned_away(error)
        except ssl.SSLCertVerificationError as error:
            self._protocol.finish(Unreachable(str(error)))
            return 0.0
        except (OSError, TimeoutError, InvalidHandshake) as error:
            logger.info("connection.failed: %s", error)
            return self._protocol.failed()
        return await self._converse(socket, token)

    async def _converse(self, socket: ClientConnection, token: str) -> float:
        self._socket = socket
        self._outbox.clear()
        self.perform(self._protocol.opened(token, self._now()))
        code, reason = CUT, ""
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._write(socket))
                try:
                    code, reason = await self._read(socket)
                finally:
                    writing.cancel()
        finally:
            self._socket = None
            pause_s = self._protocol.closed(code, reason, self._now())
            await socket.close()
        logger.info("connection.closed: %s %s", code, reason)
        return pause_s

    async def _read(self, socket: ClientConnection) -> tuple[int, str]:
        """Until the socket ends: with which code and reason."""
        was_connected = False
        try:
            while self._protocol.end is None:
                self.perform(self._protocol.receive(await socket.recv(decode=False), self._now()))
                if self._protocol.is_connected and not was_connected:
                    was_connected = True
                    self._opened()
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                return closed.rcvd.code, closed.rcvd.reason
        return CUT, ""

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._has_mail.wait()
                self._has_mail.clear()
                while self._outbox:
                    await socket.send(self._outbox.popleft(), text=True)
        except ConnectionClosed:
            return  # the reader sees it too

    async def _renew(self) -> None:
        while True:
            await self._needs_renewal.wait()
            self._needs_renewal.clear()
            token = await self._new_token()
            if token is not None:
                self._token = token
            self.perform(self._protocol.renewed(token, self._now()))

    async def _new_token(self) -> str | None:
        """None when there is none now. A source that raises Refused, and not as temporary, ends the client."""
        if isinstance(self._source, str):
            return self._source
        found = await _told_by(self._source)
        if isinstance(found, Refused):
            self._protocol.finish(found)
            return None
        return found

    async def _fetch(self, permit: Permit) -> None:
        assert callable(permit.source)
        found = await _told_by(partial(permit.source, permit.channel))
        self.perform(self._protocol.fetched(permit, found, self._now()))

    def _turned_away(self, error: InvalidStatus) -> float:
        """The handshake was answered with a status of HTTP."""
        status, headers = error.response.status_code, error.response.headers
        logger.info("connection.refused: %s", status)
        if status >= 500 or status in RETRIED:
            return self._protocol.failed(seconds_in(headers.get("Retry-After", "")))
        self._protocol.finish(Disconnected(status, error.response.reason_phrase))
        return 0.0

    def _arm(self) -> None:
        """One timer, set anew only for an earlier time: most frames only move a later one."""
        at = self._protocol.wake_at
        if at == NEVER or (self._timer is not None and not self._timer.cancelled() and self._timer.when() <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.perform(self._protocol.wake(self._now()))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _told_by(source: Callable[[], str | Awaitable[str]]) -> str | Refused | None:
    """A token; why there will be none; None when there is none now. A plain function may block: it runs in a thread."""
    try:
        async with asyncio.timeout(TOKEN_S):
            found = await asyncio.to_thread(source)
            return await found if isawaitable(found) else found
    except Refused as error:
        return None if error.temporary else error
    except ClientError as error:
        logger.info("token.failed: %s", error)
    except Exception:
        logger.exception("token.failed")
    return None


def socket_address(url: str) -> str:
    """`http://host:8000`, with or without a path before it, as the address of its WebSocket. ValueError."""
    parts = address_of(url, ("http", "https", "ws", "wss"))
    path = parts.path.rstrip("/")
    if not path.endswith(("/ws", "/connection/websocket")):
        path += "/ws"
    return urlunsplit((parts.scheme.replace("http", "ws"), parts.netloc, path, parts.query, ""))


def address_of(url: str, schemes: Sequence[str]) -> SplitResult:
    """The parts of a server's address. ValueError."""
    try:
        parts = urlsplit(url)
        if parts.scheme in schemes and parts.hostname and parts.port != 0:
            return parts
    except ValueError:
        pass
    raise ValueError(f"{url}: write the server's address as http://host:port or https://host")


def seconds_in(header: str) -> float:
    """Retry-After, a number of seconds or a date (RFC 9110 10.2.3), in seconds; 0 when there is none.

    At most RETRY_MOST_S: whoever has a wrong clock must not silence a client for good.
    """
    if header.isdecimal():
        return min(float(header), RETRY_MOST_S)
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    left = at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)
    return min(max(0.0, left.total_seconds()), RETRY_MOST_S)
