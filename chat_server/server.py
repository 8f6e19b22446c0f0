"""One server process: its listening socket, uvicorn without its habits, and leaving in good order."""

import asyncio
import gc
import logging
import resource
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from chat_server.app import create_app
from chat_server.gateway.drain import drain
from chat_server.settings import Settings, get_settings
from chat_server.worker import Worker

logger = logging.getLogger(__name__)

BACKLOG = 4096
# A peer that does not read keeps the server's ping timeout from ever closing it: the kernel gives it up after this.
USER_TIMEOUT_MS = 10_000
# What a stalled peer pins in the kernel; by default it grew to 2.8 MB.
SEND_BUFFER_BYTES = 64 * 1024
# Net new objects until Python looks for cycles among them (gc.set_threshold): more than a worker has in flight.
COLLECT_AFTER = (20_000, 10, 10)
START_FAILED = 3
FINISH_S = 1  # after the drain, for uvicorn's own shutdown


class CannotListen(Exception):
    """The address cannot be listened on. The message says why and how to mend it, in one line."""


def listening_socket(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Bound, with the options that accepted sockets inherit. CannotListen. `is_shared`: others bind the same port."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        found = socket.socket(family, kind, protocol)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            # The kernel spreads connections over the sockets: 98/100/102, where one shared socket gave 22/108/70.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
        found.bind(address)
        found.set_inheritable(True)
    except socket.gaierror as error:
        raise CannotListen(f"CHAT_HOST {host!r} is no address of this machine: {error.strerror}") from error
    except OSError as error:
        raise CannotListen(f"cannot listen on {host} port {port} ({error.strerror}): try another --port") from error
    return found


def serve(listener: socket.socket, on_ready: Callable[[], None]) -> int:
    """Run one worker until it is told to stop. Answers the exit status. CannotListen without its TLS files."""
    settings = get_settings()
    raise_file_limit()
    server = DrainingServer(create_app(), settings, lambda: settled(on_ready))
    try:
        server.config.load()
    except OSError as error:  # ssl.SSLError is one
        raise CannotListen(f"TLS with {settings.tls_cert} and {settings.tls_key}: {error.strerror or error}") from error
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises it once more when it is done
    server.run(sockets=[listener])
    return 0 if server.started else START_FAILED


def settled(then: Callable[[], None]) -> None:
    """The process is up. What is in memory now stays: to look through it again and again cost a tenth of a connect. Nor
    is what is in flight looked through all the time, every 700 objects: 5 us of a post.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    then()


def raise_file_limit() -> int:
    """The soft limit of open files to the hard one: a connection is a file. Answers the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class DrainingServer(uvicorn.Server):
    """Drains before uvicorn's shutdown, which closes all sockets at once. A second signal ends it now."""

    def __init__(self, app: FastAPI, settings: Settings, on_ready: Callable[[], None]) -> None:
        super().__init__(_config(settings, app))
        self._app = app
        self._settings = settings
        self._on_ready = on_ready
        self._drain: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        if not self.should_exit:
            self._on_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # A person who presses Ctrl-C waits for it; a deployment gives the time that it set.
        within_s = 0.0 if sig == signal.SIGINT else self._settings.drain_s
        if self._drain is None and self.started:
            self._loop.call_soon_threadsafe(self._begin_drain, within_s)
        else:
            self.should_exit = self.force_exit = True

    def _begin_drain(self, within_s: float) -> None:
        self._drain = self._loop.create_task(self._drained(within_s))

    async def _drained(self, within_s: float) -> None:
        try:
            worker: Worker = self._app.state.worker
            await drain(worker, self._app.state.gateway.strangers, within_s)
        finally:
            self.should_exit = True


def server_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn is to serve us, whoever starts it."""
    return {
        "loop": "uvloop",
        "http": "chat_server.gateway.direct:StreamingProtocol",
        "ws": "chat_server.gateway.direct:RealtimeProtocol",
        "ws_max_size": settings.frame_bytes,
        "ws_ping_interval": 20.0,
        "ws_ping_timeout": 20.0,
        "ws_per_message_deflate": settings.websocket_deflate,
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": FINISH_S,
        "lifespan": "on",
    }


def _config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        backlog=BACKLOG,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        **server_options(settings),
    )
