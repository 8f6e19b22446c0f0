"""The bot kit: functions for events and commands, run with a limit, each event once.

Laws. Own messages are not heard, nor those of other bots unless they are asked for: two that answer each other would
never stop. Handlers run at the same time, at most `concurrency`; one that fails or takes too long
is logged, and the bot goes on. A bot hears what happened while it was cut off; with a `state` file also what happened
while it was not running. What it says in answer is stored once, even if it crashed between saying and remembering.
"""

import asyncio
import inspect
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from chat_server.client.bookmarks import Bookmarks
from chat_server.client.client import Client
from chat_server.client.context import Context
from chat_server.client.delivery import Delivery, Heard, Position
from chat_server.client.following import Following
from chat_server.client.link import Token
from chat_server.client.problems import ClientError, Closed, Disconnected, Refused
from chat_server.client.progress import Progress
from chat_server.events import MemberJoined, MemberLeft, MemberUpdated, MessageDeleted, MessageEdited, MessagePosted
from chat_server.ids import UserId, namespace_of
from chat_server.shapes import Kind

logger = logging.getLogger(__name__)

URL = "http://127.0.0.1:8000"
CONCURRENCY = 10
HANDLER_S = 300.0
GRACE_S = 10.0  # for what is being handled when the bot is stopped
SAVE_S = 1.0
KNOWN_SENDERS = 10_000

E = TypeVar("E")
F = TypeVar("F", bound=Callable[..., Any])
Handler = Callable[[Context[E]], Coroutine[Any, Any, None]]
Work = Callable[[Client], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class _Route:
    """A handler, and which events it is for. `command` is empty for all of that kind."""

    kind: type[Any]
    command: str
    handler: Handler[Any]

    @property
    def name(self) -> str:
        return f"{self.handler.__qualname__}{self.command}"

    def args_of(self, event: Heard) -> str | None:
        """What stands behind the command, "" for a plain event of the kind; None when it is not for this handler."""
        if not isinstance(event, self.kind):
            return None
        if not self.command:
            return ""
        assert isinstance(event, MessagePosted)
        word, _, rest = event.message.text.strip().partition(" ")
        return rest.strip() if word.lower() == self.command else None


class Bot:
    """`state`: a file to keep positions in. `hears_bots`: what other bots say is handled too. Give every bot an account
    of its own.
    """

    def __init__(
        self,
        *,
        state: str | Path | None = None,
        concurrency: int = CONCURRENCY,
        handler_timeout_s: float = HANDLER_S,
        hears_bots: bool = False,
    ) -> None:
        self._bookmarks = None if state is None else Bookmarks(Path(state))
        self._slots = asyncio.Semaphore(concurrency)
        self._handler_timeout_s = handler_timeout_s
        self._hears_bots = hears_bots
        self._kinds: dict[UserId, Kind] = {}
        self._routes: list[_Route] = []
        self._work: list[Work] = []
        self._stopped = asyncio.Event()
        self._problem: ClientError | None = None
        self._client: Client | None = None
        self._saved: dict[str, Position] = {}
        self._saver = ThreadPoolExecutor(1)  # in order: one that was given up goes on, and must not outlast the next
        self.progress = Progress({})
        self.ready = asyncio.Event()  # it is let in, and hears
        self.moved = asyncio.Event()  # whenever something has been handled
        self.failed: Callable[[str, Exception], None] = _log

    def on(self, kind: type[E]) -> Callable[[Handler[E]], Handler[E]]:
        """For every event of a kind: `@bot.on(MessagePosted)`. Missed and UnknownEvent are kinds too."""

        def add(handler: Handler[E]) -> Handler[E]:
            self._routes.append(_Route(kind, "", _checked(handler)))
            return handler

        return add

    def command(self, name: str) -> Callable[[Handler[MessagePosted]], Handler[MessagePosted]]:
        """For messages whose first word is `name`: `@bot.command("/weather")`. `on` hears them as well."""

        def add(handler: Handler[MessagePosted]) -> Handler[MessagePosted]:
            self._routes.append(_Route(MessagePosted, name.lower(), _checked(handler)))
            return handler

        return add

    def background(self, work: Work) -> Work:
        """Something of the bot's own that runs beside its handlers: `async def work(client)`."""
        self._work.append(_checked(work))
        return work

    def run(self, url: str | None = None, token: Token | None = None) -> None:
        """Until Ctrl-C or SIGTERM. CHAT_URL and CHAT_TOKEN say where and who, unless they are given."""
        token = token or os.environ.get("CHAT_TOKEN", "")
        if not token:
            sys.exit("bot: set CHAT_TOKEN to the bot's API key: chat-server bot add NAME")
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
        try:
            asyncio.run(self._run(url or os.environ.get("CHAT_URL", URL), token))
        except (ClientError, ValueError) as error:
            sys.exit(f"bot: {error}")

    async def live(self, client: Client) -> None:
        """On a client that is not entered yet, until `stop`. Raises what ended the client, if it was not that."""
        kept = {} if self._bookmarks is None else await asyncio.to_thread(self._bookmarks.load)
        self.progress = Progress(kept)
        self._client = client
        own = next((at for channel, at in kept.items() if namespace_of(channel) == "user"), None)
        followings = (client.follow_rooms(since=kept), client.follow("user:me", since=own))
        try:
            async with client:
                logger.info("bot.ready: %s", client.me.username)
                self.ready.set()
                try:
                    await self._attend(client, followings)
                finally:
                    await self._save(followings)
        except Closed:
            pass  # stopped while it waited for the server
        if self._problem is not None:
            raise self._problem

    def stop(self) -> None:
        """Take nothing more; what is being handled is finished."""
        self._stopped.set()
        if self._client is not None and not self._client.is_entered:
            self._client.give_up()

    async def _run(self, url: str, token: Token) -> None:
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, self.stop)
        await self.live(Client(url, token, open_timeout_s=None))

    async def _attend(self, client: Client, followings: Sequence[Following]) -> None:
        """Until it is stopped, and then until what is being handled is finished."""
        try:
            async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as handling:
                async with asyncio.TaskGroup() as group:
                    helpers = [group.create_task(self._heed(client, one, handling)) for one in followings]
                    helpers += [group.create_task(self._beside(client, work)) for work in self._work]
                    helpers.append(group.create_task(self._keep(followings)))
                    await self._stopped.wait()
                    for task in helpers:
                        task.cancel()
                limit.reschedule(asyncio.get_running_loop().time() + GRACE_S)
        except TimeoutError:
            logger.warning("bot.cut_off")

    async def _heed(self, client: Client, following: Following, handling: asyncio.TaskGroup) -> None:
        try:
            while True:
                delivery = await following.next()
                event = delivery.event
                wanted = [] if _is_own(event, delivery.channel, client.me.id) else list(self._wanted(event))
                if delivery.position is not None:
                    self.progress.began(delivery.channel, delivery.position)
                if not wanted:
                    self._finished(delivery)
                    continue
                await self._slots.acquire()
                handling.create_task(self._handle(client, delivery, event, wanted))
        except ClientError as error:
            self._problem = error
            self._stopped.set()

    def _wanted(self, event: Heard) -> Iterator[tuple[_Route, str]]:
        for route in self._routes:
            args = route.args_of(event)
            if args is not None:
                yield route, args

    async def _handle(self, client: Client, delivery: Delivery, event: Heard, wanted: list[tuple[_Route, str]]) -> None:
        try:
            if await self._is_deaf_to(client, event):
                wanted = []
            for route, args in wanted:
                try:
                    async with asyncio.timeout(self._handler_timeout_s):
                        await route.handler(Context(event, client, delivery, route.name, args))
                except (Closed, Disconnected):
                    raise
                except Exception as error:  # noqa: BLE001  whatever a handler does, the bot goes on; `failed` logs it
                    self.failed(route.name, error)
            self._finished(delivery)
        except (Closed, Disconnected):
            return  # the bot ends: this event is for its next life
        finally:
            self._slots.release()

    async def _is_deaf_to(self, client: Client, event: Heard) -> bool:
        """Whether another bot said it. Events name the sender only; each is asked about once."""
        if self._hears_bots or not isinstance(event, MessagePosted | MessageEdited | MessageDeleted):
            return False
        sender_id = event.message.sender_id
        if sender_id not in self._kinds:
            if len(self._kinds) >= KNOWN_SENDERS:
                self._kinds.clear()
            try:
                self._kinds[sender_id] = (await client.user(sender_id, timeout_s=None)).kind
            except Refused:
                return False  # nobody that could be known
        return self._kinds[sender_id] is Kind.BOT

    def _finished(self, delivery: Delivery) -> None:
        if delivery.position is not None:
            self.progress.finished(delivery.channel, delivery.position)
        self.moved.set()

    async def _beside(self, client: Client, work: Work) -> None:
        try:
            await work(client)
        except Exception as error:  # noqa: BLE001  as for handlers
            self.failed(work.__qualname__, error)

    async def _keep(self, followings: Sequence[Following]) -> None:
        while self._bookmarks is not None:
            await self._save(followings)
            await asyncio.sleep(SAVE_S)

    async def _save(self, followings: Sequence[Following]) -> None:
        if self._bookmarks is None or self._client is None:
            return
        for following in followings:
            self.progress.start(self._client.starts(following))
        positions = self.progress.positions
        if positions != self._saved:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._saver, self._bookmarks.save, positions)
            self._saved = positions


def _is_own(event: Heard, channel: str, me: UserId) -> bool:
    """Of the bot's own doing, or told to it twice: its memberships come in its own channel as well as in the room's."""
    if isinstance(event, MessagePosted | MessageEdited | MessageDeleted):
        return event.message.sender_id == me
    if isinstance(event, MemberJoined | MemberLeft | MemberUpdated):
        return event.member.user_id == me and namespace_of(channel) == "room"
    return False


def _checked(function: F) -> F:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{function!r} must be `async def`")
    return function


def _log(name: str, error: Exception) -> None:
    logger.error("bot.failed: %s", name, exc_info=error)
