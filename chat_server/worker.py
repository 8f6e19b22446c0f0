"""One worker's parts, made by app.py and handed to the edges; and the one way they carry out a command."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from chat_server.actor import Actor
from chat_server.broker import Broker
from chat_server.broker.buckets import Buckets
from chat_server.errors import Unavailable
from chat_server.ids import UserId, new_id
from chat_server.metrics import COMMANDS
from chat_server.realtime.fanout import Fanout
from chat_server.realtime.manager import ConnectionManager
from chat_server.settings import Rate, Settings
from chat_server.store.store import Store
from chat_server.store.transaction import Transaction
from chat_server.unit import Reactions, Unit

R = TypeVar("R")

STAMP_S = 60.0

_DONE, _REFUSED = COMMANDS.labels("done"), COMMANDS.labels("refused")

logger = logging.getLogger(__name__)


class Judge(Protocol):
    """Who a credential stands for. Every method raises Unauthorized or one of its kind."""

    async def actor_of(self, credential: str, *, tickets: bool = False) -> Actor: ...

    def actor_at_once(self, credential: str) -> Actor | None:
        """The same for a good token of our own, without a query; None for whatever else, which raises nothing."""

    async def actor_of_cookie(self, cookie: str) -> Actor: ...

    async def subscription(self, token: str, actor: Actor, channel: str) -> float: ...

    def check(self, actor: Actor) -> None: ...


class UnderWay:
    """What must be finished before the worker stops. `with` it, around each."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *exc: object) -> None:
        self.count -= 1


@dataclass(slots=True, kw_only=True)
class Worker:
    """`name` is new at every start. `is_draining`: no new connections, what is under way is finished."""

    settings: Settings
    store: Store
    broker: Broker
    manager: ConnectionManager
    fanout: Fanout
    judge: Judge
    reactions: Reactions
    on_seen: Callable[[Unit], None]
    name: str = field(default_factory=new_id)
    started_at_s: float = field(default_factory=time.time)
    buckets: Buckets = field(default_factory=lambda: Buckets(time.monotonic))
    is_draining: bool = False
    is_writing: bool = True
    under_way: UnderWay = field(default_factory=UnderWay)
    spawned: "dict[asyncio.Task[None], Coroutine[Any, Any, None]]" = field(default_factory=dict)

    @property
    def has_peers(self) -> bool:
        """Whether there may be other workers, which publish what they commit."""
        return bool(self.settings.redis_url)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something beside; what goes wrong in it is logged, and the worker lives on."""
        task = asyncio.get_running_loop().create_task(_guarded(work))
        self.spawned[task] = work
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: "asyncio.Task[None]") -> None:
        self.spawned.pop(task).close()  # a task that was cancelled before it began never ran it

    async def end_spawned(self) -> None:
        """Cancel what runs beside, and wait for its end."""
        for task in tuple(self.spawned):
            task.cancel()
        while self.spawned:
            await asyncio.wait(tuple(self.spawned))

    async def write(self, actor: Actor, run: Callable[[Unit], R], command: object = None) -> R:
        """Carry out a writing command, and answer after its commit. `command` says which room it is about, if any."""
        room_id = str(getattr(command, "room_id", None) or "")
        with _counting:
            return await self.store.write(lambda transaction: run(self._unit(transaction, actor)), room_id)

    async def read(self, actor: Actor, run: Callable[[Unit], R]) -> R:
        """Carry out a reading command on a snapshot."""
        with _counting:
            return await self.store.read(lambda transaction: run(self._unit(transaction, actor)))

    async def stamp_user(self, user_id: UserId) -> None:
        """Note that somebody was here just now."""
        with suppress(Unavailable):
            actor = Actor(user_id=user_id, scopes=frozenset())
            await self.store.write(lambda transaction: self.on_seen(self._unit(transaction, actor)))

    async def stamp(self, actor: Actor) -> None:
        """Note that the actor was here, at most once in STAMP_S."""
        if not self.buckets.take(f"seen:{actor.user_id}:{actor.key_id}", Rate(1, STAMP_S)):
            with suppress(Unavailable):
                await self.store.write(lambda transaction: self.on_seen(self._unit(transaction, actor)))

    def _unit(self, transaction: Transaction, actor: Actor) -> Unit:
        return Unit(transaction, actor, self.store.clock_ms(), self.reactions)


class _Counting:
    """Around each command. One that is cancelled counts as neither."""

    def __enter__(self) -> None:
        """Nothing yet."""

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is None:
            _DONE.inc()
        elif issubclass(kind, Exception):
            _REFUSED.inc()


_counting = _Counting()


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        logger.exception("worker.task_failed")
