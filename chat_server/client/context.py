"""What a bot's handler is given: the event, and ways to answer it."""

import hashlib
from typing import Generic, TypeVar

from chat_server.client.client import Client
from chat_server.client.delivery import Delivery
from chat_server.events import MessageDeleted, MessageEdited, MessagePosted
from chat_server.shapes import Message

E = TypeVar("E", covariant=True)


class Context(Generic[E]):
    """`args` is what stands behind a command. `client` is the whole client, for everything else."""

    def __init__(self, event: E, client: Client, delivery: Delivery, handler: str, args: str = "") -> None:
        self.event = event
        self.client = client
        self.args = args
        self._delivery = delivery
        self._handler = handler
        self._said = 0

    @property
    def room_id(self) -> str:
        """LookupError for an event of no room."""
        room_id = getattr(self.event, "room_id", None)
        if room_id is None:
            raise LookupError(f"{type(self.event).__name__} is of no room")
        return str(room_id)

    @property
    def message(self) -> Message:
        """LookupError for an event that is not about a message."""
        if isinstance(self.event, MessagePosted | MessageEdited | MessageDeleted):
            return self.event.message
        raise LookupError(f"{type(self.event).__name__} has no message")

    @property
    def text(self) -> str:
        return self.message.text

    async def reply(self, text: str) -> Message:
        """Answer the message. However often the event is handled, the n-th answer of a handler is posted once."""
        return await self.client.post(self.room_id, text, reply_to=self.message.id, client_msg_id=self._next_id())

    async def say(self, text: str) -> Message:
        """Say something in the room, once like `reply`."""
        return await self.client.post(self.room_id, text, client_msg_id=self._next_id())

    def _next_id(self) -> str:
        """The same for the same event, handler and place in it: a repeat is the server's to recognise."""
        self._said += 1
        at = self._delivery.position
        where = "" if at is None else f"{at.epoch}:{at.offset}"
        named = f"{self._delivery.channel} {where} {self._handler} {self._said}"
        return f"bot-{hashlib.sha256(named.encode()).hexdigest()[:40]}"
