"""Bots without a server: `TestBot` says things to a bot and answers what it says.

with TestBot(bot) as test:
    assert test.say("/weather Rome") == ["Sunny in Rome"]
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from chat_server.client.bot import Bot
from chat_server.client.client import Client
from chat_server.client.delivery import Position
from chat_server.client.protocol import Drop, Effect, Protocol, Send
from chat_server.events import Event, MessagePosted
from chat_server.ids import MessageId, RoomId, UserId, new_id, room_channel
from chat_server.shapes import Mentions, Message
from chat_server.wire import encode, event_of, parse, publication, push

PATIENCE_S = 10.0
EPOCH = "stage"

Answers = Mapping[str, Callable[[dict[str, Any]], Any]]


class Stage:
    """A server as far as a bot sees one: rooms that come to be when they are spoken in, and stored messages.

    It is the client's line: frames come in by `perform` and are answered at once. `answers` adds RPC methods.
    """

    def __init__(self, username: str, answers: Answers) -> None:
        self.bots = {username}
        self.user = self._card({"user_id": username})
        self.messages: list[Message] = []
        self.changed = asyncio.Event()
        own = {"messages.post": self._post, "users.me": lambda data: self.user, "users.get": self._card}
        self._answers: Answers = {**own, **answers}
        self._tops: dict[str, int] = {}
        self._ended = asyncio.Event()
        self._protocol: Protocol | None = None
        self._opened: Callable[[], None] = self.changed.set

    def line(self, protocol: Protocol, opened: Callable[[], None]) -> "Stage":
        self._protocol, self._opened = protocol, opened
        return self

    async def run(self) -> None:
        assert self._protocol is not None
        self.perform(self._protocol.opened("", 0.0))
        self._opened()
        await self._ended.wait()

    async def token(self) -> str:
        return ""

    def perform(self, effects: list[Effect]) -> None:
        assert self._protocol is not None
        for effect in effects:
            if isinstance(effect, Send) and (command := parse(effect.data)):
                self.perform(self._protocol.receive(self._reply(command), 0.0))
            elif isinstance(effect, Drop):
                self._ended.set()

    def tell(self, event: Event) -> tuple[str, Position]:
        """Publish an event where it belongs: its room, or the bot's own channel."""
        assert self._protocol is not None
        room_id = getattr(event, "room_id", None)
        channel = f"user:{self.user['id']}" if room_id is None else str(room_channel(room_id))
        if channel not in self._tops:
            self._tops[channel] = 0
            self.perform(self._protocol.receive(push(channel, "subscribe", self._standing(channel)), 0.0))
        self._tops[channel] += 1
        told = publication(self._tops[channel], encode(event))
        self.perform(self._protocol.receive(b'{"push":{"channel":%s,"pub":%s}}' % (encode(channel), told), 0.0))
        return channel, Position(EPOCH, self._tops[channel])

    def message(self, sender_id: str, data: Mapping[str, Any]) -> Message:
        """Stored, under the next number of its room."""
        room_id = RoomId(data["room_id"])
        message = Message(
            id=MessageId(new_id()),
            room_id=room_id,
            seq=1 + sum(one.room_id == room_id for one in self.messages),
            sender_id=UserId(sender_id),
            client_msg_id=data.get("client_msg_id"),
            text=data["text"],
            mentions=Mentions(),
            reply_to=data.get("reply_to"),
            created_at=datetime.now(UTC),
            edited_at=None,
            deleted_at=None,
        )
        self.messages.append(message)
        self.changed.set()
        return message

    def _reply(self, command: dict[str, Any]) -> bytes:
        command_id = command.pop("id")
        ((name, request),) = command.items()
        if name == "rpc" and request["method"] not in self._answers:
            told = f"TestBot has no answer to {request['method']}: give it one in `answers`"
            return encode({"id": command_id, "error": {"code": 104, "reason": "method_not_found", "message": told}})
        return encode({"id": command_id, name: self._answer(name, request)})

    def _answer(self, name: str, request: dict[str, Any]) -> object:
        if name == "connect":
            mine = f"user:{self.user['id']}"
            self._tops[mine] = 0
            return {"ping": 0, "data": {"user": self.user}, "subs": {mine: self._standing(mine)}}
        if name == "rpc":
            return {"data": self._answers[request["method"]](request["data"])}
        if name == "history":
            return {"publications": [], "epoch": EPOCH, "offset": self._tops[request["channel"]]}
        return {}

    def _standing(self, channel: str) -> dict[str, object]:
        return {"recoverable": True, "positioned": True, "epoch": EPOCH, "offset": self._tops[channel]}

    def _card(self, data: dict[str, Any]) -> dict[str, Any]:
        name = data["user_id"]
        kind = "bot" if name in self.bots else "human"
        names = {"id": name, "username": name, "display_name": name}
        return {**names, "kind": kind, "role": "member", "created_at": datetime.now(UTC), "disabled": False}

    def _post(self, data: dict[str, Any]) -> object:
        known = [one for one in self.messages if data["client_msg_id"] in {one.client_msg_id}]
        return asdict(known[0]) if known else asdict(self.message(str(self.user["id"]), data))


class TestBot:
    """A bot on a stage. What its handlers raise is raised here. Not for use inside a running event loop."""

    __test__ = False  # not a test of ours, nor of those who import it

    def __init__(self, bot: Bot, *, username: str = "bot", answers: Answers | None = None) -> None:
        self._bot = bot
        self._username = username
        self._answers = answers or {}
        self._failures: list[Exception] = []

    def __enter__(self) -> "TestBot":
        self._runner = asyncio.Runner()
        self._runner.run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._runner.run(self._end())
        finally:
            self._runner.close()

    def say(self, text: str, *, sender: str = "ann", room: str = "general", is_bot: bool = False) -> list[str]:
        """Somebody says something in a room; `is_bot`: another bot. What the bot says until it has handled that."""
        if is_bot:
            self._stage.bots.add(sender)
        message = self._stage.message(sender, {"room_id": room, "text": text})
        return self.tell(MessagePosted(room_id=message.room_id, at=message.created_at, message=message))

    def tell(self, event: Event) -> list[str]:
        """Something happens. What the bot says until it has handled that."""
        before = len(self.posted)
        self._runner.run(self._handled(event))
        if self._failures:
            raise self._failures.pop(0)
        return [message.text for message in self.posted[before:]]

    def wait_for(self, count: int, timeout_s: float = PATIENCE_S) -> list[str]:
        """All that the bot has said, once it is so many: for what it does by itself. TimeoutError."""
        self._runner.run(self._has_posted(count, timeout_s))
        return [message.text for message in self.posted]

    @property
    def posted(self) -> list[Message]:
        """All that the bot has said, in order."""
        return [message for message in self._stage.messages if message.sender_id == self._username]

    async def _start(self) -> None:
        self._stage = Stage(self._username, self._answers)
        client = Client("stage:", "", line=self._stage.line)
        self._bot.failed = lambda name, error: self._failures.append(error)
        self._living = asyncio.ensure_future(self._bot.live(client))
        ready = asyncio.ensure_future(self._bot.ready.wait())
        await asyncio.wait({ready, self._living}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def _end(self) -> None:
        self._bot.stop()
        await self._living

    async def _handled(self, event: Event) -> None:
        async with asyncio.timeout(PATIENCE_S):
            channel, position = self._stage.tell(event_of(parse(encode(event))))
            while self._bot.progress.positions.get(channel) != position:
                self._bot.moved.clear()
                await self._bot.moved.wait()

    async def _has_posted(self, count: int, timeout_s: float) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.posted) < count:
                self._stage.changed.clear()
                await self._stage.changed.wait()
