"""A chat in a terminal: the last messages, then what is said, and a line to say something."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from chat_server.client import Client, ClientError, Following, Missed, Position, Refused
from chat_server.client.link import Token
from chat_server.errors import ChatError
from chat_server.events import (
    MemberJoined,
    MemberLeft,
    MessageDeleted,
    MessageEdited,
    MessagePosted,
    RoomArchived,
    TypingStarted,
    TypingStopped,
)
from chat_server.ids import RoomId, presence_channel, room_channel
from chat_server.shapes import Message, Room
from chat_server.terminal import in_one_line
from chat_server.terminal.screen import Screen, harmless

PAGE = 20
TICK_S = 1.0
TYPING_S = 5.0  # how often others want to be told
HELP = "Say something, or: /who  /older  /quit"


def chat(url: str, token: Token, wanted: str, screen: Screen | None = None) -> None:
    """Until the input ends or /quit. `wanted`: a room's name or id, or @username. ConnectionError, ValueError."""
    with in_one_line():
        asyncio.run(_chat(url, token, wanted, screen or Screen()))


async def _chat(url: str, token: Token, wanted: str, screen: Screen) -> None:
    async with Client(url, token) as client:
        room = await find_room(client, wanted)
        with screen.kept():
            await Conversation(client, room, screen).run()


async def find_room(client: Client, wanted: str) -> Room:
    """One of one's own rooms, else a public one, which is joined. ValueError."""
    if wanted.startswith("@"):
        people = (await client.rpc("users.list", {"query": wanted[1:]}))["items"]
        for person in people:
            if person["username"] == wanted[1:].lower():
                return Room.model_validate(await client.rpc("direct.open", {"user_id": person["id"]}))
        raise ValueError(f"{wanted}: there is no such person")
    for room in await client.rooms():
        if wanted in {room.id, room.name}:
            return room
    for room in await client.rooms("public"):
        if wanted in {room.id, room.name}:
            await client.rpc("rooms.join", {"room_id": room.id})
            return room
    raise ValueError(f"{wanted}: there is no such room for you")


class Conversation:
    """One room on one screen."""

    def __init__(self, client: Client, room: Room, screen: Screen) -> None:
        self._client = client
        self._room = room
        self._screen = screen
        self._names: dict[str, str] = {}
        self._typing: dict[str, float] = {}
        self._oldest = self._newest = self._read = 0

    async def run(self) -> None:
        """Joined to what is live before the history is read, so nothing falls in between."""
        client, room_id = self._client, RoomId(self._room.id)
        heard, presence = client.follow(room_channel(room_id)), client.follow(presence_channel(room_id))
        await self._learn_names()
        self._screen.show(f"-- {harmless(self._room.name) or 'direct'}. {HELP}")
        await self._show_older()
        problem: ClientError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                beside: list[Coroutine[Any, Any, None]] = [self._hear(heard), self._hear(presence), self._tick()]
                tasks = [group.create_task(work) for work in beside]
                await self._say()
                for task in tasks:
                    task.cancel()
        except* ClientError as group_of_errors:
            (problem, *_) = _flat(group_of_errors)
        if problem is not None:
            raise problem
        await self._mark_read()

    async def _say(self) -> None:
        async for line in self._screen.lines():
            try:
                if line == "/quit":
                    return
                if line == "/who":
                    people = await self._client.presence(self._room.id)
                    self._screen.show("-- here: " + ", ".join(sorted(harmless(one.display_name) for one in people)))
                elif line == "/older":
                    await self._show_older()
                else:
                    await self._client.post(self._room.id, line)
            except (Refused, ChatError) as error:
                self._screen.show(f"-- not done: {error}")

    async def _hear(self, following: Following) -> None:
        async for event in following:
            self._take(event)

    def _take(self, event: object) -> None:
        match event:
            case MessagePosted(message=message):
                self._typing.pop(message.sender_id, None)
                self._show_typing()
                if message.seq > self._newest:
                    self._newest = message.seq
                    self._show(message)
            case MessageEdited(message=message):
                self._show(message, " (edited)")
            case MessageDeleted(message=message):
                self._screen.show(f"-- a message of {self._name(message.sender_id)} was deleted")
            case MemberJoined(member=member) | MemberLeft(member=member):
                self._names[member.user_id] = member.display_name
                self._screen.show(f"-- {self._name(member.user_id)} {'joined' if 'joined' in event.type else 'left'}")
            case TypingStarted(typing=typing):
                self._typing[typing.user_id] = asyncio.get_running_loop().time() + typing.expires_in
                self._show_typing()
            case TypingStopped(typing=typing):
                self._typing.pop(typing.user_id, None)
                self._show_typing()
            case RoomArchived():
                self._screen.show("-- the room was archived")
            case Missed(position=Position()):
                self._screen.show("-- something was missed here: /older shows it")

    async def _show_older(self) -> None:
        before = {} if not self._oldest else {"before": self._oldest}
        page = await self._client.messages(self._room.id, limit=PAGE, **before)
        for message in page.items:
            self._show(message)
        if page.items:
            self._oldest, self._newest = page.items[0].seq, max(self._newest, page.items[-1].seq)
        elif before:
            self._screen.show("-- this is where the room begins")

    async def _tick(self) -> None:
        """Tell that one is typing, forget who no longer is, and remember what was read."""
        told, told_at = "", -TYPING_S
        while True:
            await asyncio.sleep(TICK_S)
            now, typed = asyncio.get_running_loop().time(), self._screen.typed
            if typed != told and not typed.startswith("/") and typed and now - told_at >= TYPING_S:
                told, told_at = typed, now
                await self._client.typing(self._room.id)
            self._show_typing()
            await self._mark_read()

    async def _mark_read(self) -> None:
        if self._newest > self._read:
            self._read = self._newest
            await self._client.read(self._room.id, self._newest)

    async def _learn_names(self) -> None:
        query: dict[str, Any] = {"room_id": self._room.id, "limit": 200}
        while True:
            page = await self._client.rpc("rooms.members", query)
            self._names |= {one["user_id"]: one["display_name"] for one in page["items"]}
            if page["next"] is None:
                return
            query["after"] = page["next"]

    def _show(self, message: Message, more: str = "") -> None:
        at = message.created_at.astimezone().strftime("%H:%M")
        text = harmless(message.text) if message.deleted_at is None else "(deleted)"
        self._screen.show(f"{at} {self._name(message.sender_id)}: {text}{more}")

    def _show_typing(self) -> None:
        now = asyncio.get_running_loop().time()
        self._typing = {user_id: until for user_id, until in self._typing.items() if until > now}
        names = [self._name(user_id) for user_id in self._typing if user_id != self._client.me.id]
        self._screen.status(f"({', '.join(names)} typing) " if names else "")

    def _name(self, user_id: str) -> str:
        return harmless(self._names.get(user_id, user_id))


def _flat(group: BaseExceptionGroup[ClientError]) -> list[ClientError]:
    found: list[ClientError] = []
    for error in group.exceptions:
        found += _flat(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
