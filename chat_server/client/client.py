"""A person's or a bot's connection: say something, hear everything, over any number of reconnects."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal

from pydantic import TypeAdapter

from chat_server.client import http
from chat_server.client.calls import Call, Fate, Result
from chat_server.client.delivery import Position
from chat_server.client.following import Following
from chat_server.client.inbox import INBOX_EVENTS, Inbox
from chat_server.client.link import Line, Link, Token
from chat_server.client.permit import SubscriptionToken
from chat_server.client.problems import ClientError, Closed, Unanswered, Unreachable
from chat_server.client.protocol import Protocol
from chat_server.ids import RoomId, UserId, namespace_of, new_id, room_channel
from chat_server.shapes import Mentions, Message, Page, Room, User

OPEN_S = 30.0
RPC_S = 30.0
PENDING = 256  # commands that wait or are under way; whoever has one more waits in line
PAGE = 200
# Carried out twice they do the same as once, so a cut connection is no reason to bother the program.
REPEATABLE = frozenset(
    {
        "users.me",
        "users.get",
        "users.list",
        "users.update",
        "rooms.list",
        "rooms.get",
        "rooms.join",
        "rooms.members",
        "direct.open",
        "messages.list",
        "messages.get",
        "messages.edit",
        "messages.read",
        "typing.start",
        "typing.stop",
        "notifications.list",
        "notifications.update",
        "notifications.read_all",
    }
)

_MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)
_MESSAGES: TypeAdapter[Page[Message]] = TypeAdapter(Page[Message])
_ROOMS: TypeAdapter[Page[Room]] = TypeAdapter(Page[Room])


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Somebody who is connected and follows the room."""

    user_id: UserId
    username: str
    display_name: str
    kind: str


class Client:
    """`async with Client(url, token) as client: ...`; `token` is a string, or a function that gets a new one.

    Entering waits until the server has let it in: `open_timeout_s` at most (None: for ever), then Unreachable. From
    then on it reconnects by itself. What the server forbids for good is raised as Disconnected or Refused, by whatever
    waits. `line` carries it over something else than a socket: a test's stage.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        *,
        open_timeout_s: float | None = OPEN_S,
        inbox_events: int = INBOX_EVENTS,
        line: Callable[[Protocol, Callable[[], None]], Line] | None = None,
    ) -> None:
        self.url = url
        self._is_open = asyncio.Event()
        self._protocol = Protocol(is_renewable=callable(token))
        self._link = (line or partial(Link, url, token))(self._protocol, self._is_open.set)
        self._open_timeout_s = open_timeout_s
        self._inbox_events = inbox_events
        self._slots = asyncio.Semaphore(PENDING)
        self._tasks = asyncio.TaskGroup()
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Client":
        await self._tasks.__aenter__()
        self._running = self._tasks.create_task(self._link.run())
        try:
            async with asyncio.timeout(self._open_timeout_s):
                await self._is_open.wait()
            if self._protocol.end is not None:
                raise self._protocol.end
        except TimeoutError:
            await self.close()
            raise Unreachable(f"{self.url}: no connection within {self._open_timeout_s:g} s") from None
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Whoever still waits for an answer gets Closed; followings stop."""
        self._protocol.finish(Closed())
        if self._running is not None:
            self._running.cancel()
            self._running = None
            await self._tasks.__aexit__(None, None, None)  # what the program raised is not the tasks' to wrap

    def give_up(self) -> None:
        """Stop waiting for the server: whoever enters gets Closed."""
        self._protocol.finish(Closed())
        self._is_open.set()

    @property
    def is_entered(self) -> bool:
        return self._is_open.is_set()

    @property
    def me(self) -> User:
        """Whose credential this is."""
        return User.model_validate(self._protocol.user)

    @property
    def is_connected(self) -> bool:
        """Whether the line stands right now; nothing depends on asking."""
        return self._protocol.is_connected

    async def rpc(
        self,
        method: str,
        data: Mapping[str, Any] | None = None,
        *,
        repeat: bool | None = None,
        timeout_s: float | None = RPC_S,
    ) -> Any:
        """One of docs/protocol.md's methods. Refused when the server says no.

        A command that was sent when the connection was cut is repeated on the next one if `repeat` (None: if it is one
        that does no harm twice), else it fails with Unanswered. Nothing within `timeout_s` is Unanswered too.
        """
        fate = Fate.REPEAT if (method in REPEATABLE if repeat is None else repeat) else Fate.FAIL
        answer = await self._ask("rpc", {"method": method, "data": dict(data or {})}, fate, timeout_s)
        return answer["data"]

    async def post(
        self,
        room_id: str,
        text: str,
        *,
        reply_to: str | None = None,
        mentions: Mentions | None = None,
        client_msg_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Message:
        """Say something: stored exactly once when this returns. It is repeated, with one id, until it is answered."""
        data: dict[str, Any] = {"room_id": room_id, "text": text, "client_msg_id": client_msg_id or new_id()}
        if reply_to is not None:
            data["reply_to"] = reply_to
        if mentions is not None:
            data["mentions"] = asdict(mentions)
        return _MESSAGE.validate_python(await self.rpc("messages.post", data, repeat=True, timeout_s=timeout_s))

    async def edit(self, room_id: str, message_id: str, text: str) -> Message:
        data = {"room_id": room_id, "message_id": message_id, "text": text}
        return _MESSAGE.validate_python(await self.rpc("messages.edit", data))

    async def delete(self, room_id: str, message_id: str) -> None:
        await self.rpc("messages.delete", {"room_id": room_id, "message_id": message_id})

    async def read(self, room_id: str, seq: int) -> None:
        """Everything up to this message has been seen."""
        await self.rpc("messages.read", {"room_id": room_id, "seq": seq})

    async def typing(self, room_id: str, *, is_over: bool = False) -> None:
        """Tell that one is typing; others forget it after 6 seconds."""
        await self.rpc("typing.stop" if is_over else "typing.start", {"room_id": room_id})

    async def messages(
        self,
        room_id: str,
        *,
        before: int | None = None,
        after: int | None = None,
        around: int | None = None,
        limit: int = 50,
    ) -> Page[Message]:
        """One page, ascending by `seq`; the newest without `before`, `after` or `around`."""
        where = {"before": before, "after": after, "around": around}
        given = {name: seq for name, seq in where.items() if seq is not None}
        found = await self.rpc("messages.list", {"room_id": room_id, "limit": limit, **given})
        return _MESSAGES.validate_python(found)

    async def history(self, room_id: str, *, after: int = 0) -> AsyncIterator[Message]:
        """Every message behind `after`, ascending, page by page."""
        seq: int | None = after
        while seq is not None:
            page = await self.messages(room_id, after=seq, limit=PAGE)
            for message in page.items:
                yield message
            seq = None if page.next is None else int(page.next)

    async def rooms(self, scope: Literal["mine", "public"] = "mine") -> list[Room]:
        """All rooms that one is in, or all public ones."""
        found: list[Room] = []
        query: dict[str, Any] = {"scope": scope, "limit": PAGE}
        while True:
            page = _ROOMS.validate_python(await self.rpc("rooms.list", query))
            found += page.items
            if page.next is None:
                return found
            query["after"] = page.next

    async def user(self, user_id: str, *, timeout_s: float | None = RPC_S) -> User:
        """Somebody's card: a person or a bot says its `kind`."""
        return User.model_validate(await self.rpc("users.get", {"user_id": user_id}, timeout_s=timeout_s))

    async def presence(self, where: str) -> list[Present]:
        """Who is there right now, each once: in a room, by its id, or in a configured channel that knows.

        Coming and going: follow `presence:<room_id>`, or that channel.
        """
        channel = where if namespace_of(where) else room_channel(RoomId(where))
        answer = await self._ask("presence", {"channel": channel}, Fate.REPEAT, RPC_S)
        people = {info["user"]: info["conn_info"] for info in answer["presence"].values() if "user" in info}
        return [Present(user_id=user_id, **info) for user_id, info in people.items()]

    async def publish(self, channel: str, data: Any) -> None:
        """Into a channel of a namespace that lets clients publish. Not repeated over a cut: Unanswered."""
        await self._ask("publish", {"channel": channel, "data": data}, Fate.FAIL, RPC_S)

    def follow(
        self, channel: str, *, since: Position | None = None, token: SubscriptionToken | None = None
    ) -> Following:
        """What is published in the channel, from now on or from what comes after `since`. AlreadySubscribed.

        `room:<id>`, `user:me`, `presence:<room_id>`, `topic:<name>`, `live:<name>`. A channel has one follower.
        `token`, where the namespace's rule is that: a subscription token, or a function of the channel that gets one.
        """
        following = self._following()
        self._link.perform(self._protocol.follow(channel, following.inbox, since, self._now(), token))
        return following

    def follow_rooms(self, *, since: Mapping[str, Position] | None = None) -> Following:
        """What is published in every room that one is in, now and later. AlreadySubscribed.

        At most 1,999: a connection follows 2,000 channels, one of them one's own; beyond that it ends with Refused.
        Rooms that have a follower of their own already stay with it. Before the client is entered it costs nothing;
        on a connected client it opens the connection anew.
        """
        following = self._following()
        self._link.perform(self._protocol.follow_rooms(following.inbox, since or {}))
        return following

    def starts(self, following: Following) -> dict[str, Position]:
        """Where each channel of a following began: before its first event, what is to be kept as its position."""
        return self._protocol.starts(following.inbox)

    async def notify(self, text: str, **body: Any) -> None:
        """Publish a notification, by HTTP: to `topic="deploys"` or `user_ids=[...]`; also `title`, `priority`, `tags`.

        Needs the scope `notify:publish`.
        """
        headers = {"Authorization": f"Bearer {await self._link.token()}"}
        await http.post(self.url, "/api/v1/notifications", {"text": text, **body}, headers)

    def _following(self) -> Following:
        return Following(self._inbox_events, self._taken, self._left)

    def _taken(self, inbox: Inbox) -> None:
        if inbox.was_full:
            self._link.perform(self._protocol.taken(inbox, self._now()))

    def _left(self, inbox: Inbox) -> None:
        self._link.perform(self._protocol.unfollow(inbox, self._now()))

    async def _ask(self, name: str, request: Mapping[str, Any], fate: Fate, timeout_s: float | None) -> Result:
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                return await self._answer(name, request, fate)
        except TimeoutError:
            raise Unanswered(f"{name}: no answer within {timeout_s:g} s") from None

    async def _answer(self, name: str, request: Mapping[str, Any], fate: Fate) -> Result:
        answered: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        call = Call(name, request, partial(_settle, answered), fate)
        self._link.perform(self._protocol.ask(call, self._now()))
        try:
            return await answered
        except BaseException:
            self._protocol.cancel(call)
            raise

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _settle(answered: "asyncio.Future[Result]", answer: Result | ClientError) -> None:
    if answered.done():
        return
    if isinstance(answer, ClientError):
        answered.set_exception(answer)
    else:
        answered.set_result(answer)
