"""The composition root: a worker's parts, what runs as long as it lives, and the routes.

`chat_server.app:app` is the ASGI application for any server; `create_app(settings)` makes one of its own for a test.
"""

import asyncio
import fcntl
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from starlette.routing import WebSocketRoute

from chat_server import __version__, operation
from chat_server.accounts import routes as login_routes
from chat_server.accounts import user_routes
from chat_server.accounts.authenticator import Authenticator
from chat_server.accounts.bots import stamp_last_used
from chat_server.accounts.commands import stamp_last_seen
from chat_server.accounts.foreign import ForeignTokens
from chat_server.accounts.identity import Identity, secret_of, setup_code_of
from chat_server.accounts.revocations import Revocations
from chat_server.accounts.tokens import Tokens
from chat_server.actor import Signal
from chat_server.broker.memory import MemoryBroker
from chat_server.broker.redis.advice import warn
from chat_server.broker.redis.broker import RedisBroker
from chat_server.commands import JOBS, REACTIONS
from chat_server.errors import SHUTDOWN, Unavailable
from chat_server.gateway import api, sse, websocket
from chat_server.gateway.control import Control
from chat_server.gateway.gateway import Gateway
from chat_server.gateway.listener import WorkerListener, encoded
from chat_server.gateway.orders import Orders
from chat_server.gateway.pulse import Pulse
from chat_server.gateway.ring import Ring
from chat_server.gateway.subscriptions import Subscriptions
from chat_server.gateway.survey import Survey
from chat_server.ids import new_id
from chat_server.logs import keep_out_frames
from chat_server.messages import routes as message_routes
from chat_server.metrics import BROKER_UP, LOOP_LAG, MESSAGES
from chat_server.middleware import add_middleware
from chat_server.notifications import routes as notification_routes
from chat_server.pages import Pages
from chat_server.presence import routes as presence_routes
from chat_server.presence.tracker import PresenceTracker
from chat_server.realtime.fanout import Fanout
from chat_server.realtime.manager import ConnectionManager
from chat_server.realtime.wheel import Wheel
from chat_server.rest import RateLimiter, add_error_handlers
from chat_server.retention import KIND as RETENTION
from chat_server.retention import Retention
from chat_server.rooms import routes as room_routes
from chat_server.settings import Settings, get_settings
from chat_server.store.engine import CannotOpen, migrate, open_engine
from chat_server.store.jobs import ADDED, Jobs
from chat_server.store.store import Store
from chat_server.store.writer import Commit
from chat_server.unit import Unit
from chat_server.worker import Worker

logger = logging.getLogger(__name__)

SWITCH_INTERVAL_S = 0.0001  # beside a busy store thread the loop's p99 was 10.5 ms at the default 5 ms, 0.5 ms at this
WATCH_S = 1.0
SWEEP_S = 2.0  # a commit that nobody published reaches every subscriber within 5 s; docs/adr/0009
BROKER_START_S = 3.0
FLUSH_S = 0.5
_POSTED = b'{"type":"message.posted"'


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application. Its parts are built when it starts, not here."""
    chosen = settings or get_settings()
    app = FastAPI(
        title="chat-server",
        version=__version__,
        summary="Realtime chat and notifications",
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    app.state.settings = chosen
    if settings is not None:  # for a test: where anything is overridden, FastAPI takes all dependencies apart each time
        app.dependency_overrides[get_settings] = lambda: settings
    # First, and routes of the framework below FastAPI, whose own cost a tenth of a connect.
    app.router.routes.extend(WebSocketRoute(path, websocket.follow) for path in websocket.PATHS)
    # Routes are looked through in this order, at some 5 us each: those that are asked for most come first.
    app.include_router(api.router)
    limited = [Depends(RateLimiter("http", lambda found: found.rate_http))]
    for router in (
        message_routes.router,
        sse.router,
        notification_routes.router,
        room_routes.router,
        presence_routes.router,
        user_routes.router,
        login_routes.router,
    ):
        app.include_router(router, dependencies=limited)
    app.include_router(operation.router)
    app.router.default = Pages(static_directory())
    add_error_handlers(app)
    add_middleware(app, chosen)
    return app


def __getattr__(name: str) -> Any:
    """`chat_server.app:app`, made on first use: importing this module reads no environment."""
    if name == "app":
        return create_app()
    raise AttributeError(name)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    keep_out_frames()
    async with AsyncExitStack() as stack:
        if not settings.redis_url:
            stack.enter_context(only_worker(settings.data_dir))
            stack.enter_context(open_engine(settings.store_url).alone())
        secret = secret_of(settings)
        await asyncio.to_thread(migrate, settings.store_url)
        worker, works = await _opened(app, settings, secret, stack)
        await stack.enter_async_context(_running(worker, works))
        if not await worker.broker.ready(BROKER_START_S):
            logger.error("broker.unavailable_at_start")
        elif settings.redis_url:
            worker.spawn(warn(settings.redis_url))
        yield
        for connection in worker.manager:
            connection.close(SHUTDOWN)
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await worker.broker.flushed()  # what was committed last is told, too


async def _opened(
    app: FastAPI, settings: Settings, secret: str, stack: AsyncExitStack
) -> tuple[Worker, list[Coroutine[Any, Any, None]]]:
    """The worker, wired and open, and what must run as long as it lives."""
    previous = settings.secret_previous
    tokens = Tokens(secret, None if previous is None else previous.get_secret_value())
    store = Store(open_engine(settings.store_url, settings.sqlite_synchronous))
    name = new_id()
    broker = RedisBroker(settings.redis_url, settings.redis_prefix, name) if settings.redis_url else MemoryBroker()
    revocations = Revocations()
    authenticator = Authenticator(store, tokens, revocations, ForeignTokens(settings))
    manager = ConnectionManager(
        max_per_user=settings.max_connections_per_user,
        max_per_address=settings.max_connections_per_address,
        hold_bytes=settings.most_waiting_bytes,
    )
    worker = Worker(
        settings=settings,
        store=store,
        broker=broker,
        manager=manager,
        fanout=Fanout(manager, store, broker),
        judge=authenticator,
        reactions=REACTIONS,
        on_seen=_on_seen,
        name=name,
    )
    wheel = Wheel(asyncio.get_running_loop().time)
    subscriptions = Subscriptions(worker, wheel)
    presence = PresenceTracker(worker)
    control = Control(worker, subscriptions, revocations)
    orders = Orders(worker, subscriptions)
    jobs = Jobs(store, {**JOBS, RETENTION: Retention(settings)}, recurring=(RETENTION,))
    survey = Survey(worker)
    broker.listen(WorkerListener(worker.fanout, control, orders, presence, survey))
    store.on_commit = partial(_committed, worker, control, jobs)
    app.state.worker = worker
    app.state.gateway = Gateway(worker, subscriptions, presence, wheel, _ring(settings, stack))
    app.state.presence = presence
    app.state.api = api.Api(worker, orders, survey)
    app.state.identity = Identity(
        tokens=tokens, authenticator=authenticator, revocations=revocations, setup_code=setup_code_of(secret)
    )
    await stack.enter_async_context(store)
    await stack.enter_async_context(broker)
    await revocations.load(store)
    works = (worker.fanout, broker, wheel, jobs, presence, Pulse(worker, survey))
    return worker, [*(part.run() for part in works), _watch(worker, control)]


@asynccontextmanager
async def _running(worker: Worker, works: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Own the worker's tasks. One that dies takes the worker down: a server that only seems to work is worse."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(work) for work in works]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
                await worker.end_spawned()
    except* Exception:
        logger.critical("worker.part_died", exc_info=True)
        os.kill(os.getpid(), signal.SIGTERM)
        raise


async def _watch(worker: Worker, control: Control) -> None:
    """Once a second: can the store be written, how late is the loop; and what did another process write."""
    loop = asyncio.get_running_loop()
    swept_at, is_behind = 0.0, False
    while True:
        due = loop.time() + WATCH_S
        await asyncio.sleep(WATCH_S)
        LOOP_LAG.set(max(0.0, loop.time() - due))
        BROKER_UP.set(worker.broker.is_up)
        try:
            if await worker.store.written_elsewhere():
                is_behind = True
                await control.catch_up()
            worker.is_writing = True
            # With a broker that works only what was never published is found here, and that may take a moment.
            if is_behind and (not worker.has_peers or not worker.broker.is_up or loop.time() - swept_at >= SWEEP_S):
                swept_at, is_behind = loop.time(), False
                await worker.fanout.sweep()
        except Unavailable:
            worker.is_writing, is_behind = False, True
            logger.warning("store.unavailable")


def _committed(worker: Worker, control: Control, jobs: Jobs, commit: Commit) -> None:
    """On the event loop, before the commands' callers hear: events first, then what ends access to them."""
    MESSAGES.inc(sum(publication.payload.startswith(_POSTED) for publication in commit.publications))
    worker.fanout.committed(commit)
    for signal_ in commit.signals:
        if isinstance(signal_, Signal):
            control.apply(signal_)
            worker.broker.signal(encoded(signal_))
        elif signal_ is ADDED:
            jobs.wake()


def _ring(settings: Settings, stack: AsyncExitStack) -> Ring | None:
    if not settings.io_uring:
        return None
    try:
        return stack.enter_context(closing(Ring()))
    except OSError as error:
        logger.info("ring.unavailable", extra={"reason": str(error)})
        return None


def _on_seen(unit: Unit) -> None:
    stamp_last_seen(unit)
    if unit.actor.key_id is not None:
        stamp_last_used(unit)


@contextmanager
def only_worker(data_dir: Path) -> Iterator[None]:
    """Hold the data directory for this worker alone. CannotOpen when another one has it: without a broker the two
    would not hear each other.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(data_dir / "worker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CannotOpen(
                f"another worker uses {data_dir}: set REDIS_URL to run several, or CHAT_DATA_DIR to run apart"
            ) from error
        yield
    finally:
        os.close(descriptor)


def static_directory() -> Path:
    """In the wheel beside this module, in a checkout beside the package."""
    inside = Path(__file__).parent / "static"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "static"
