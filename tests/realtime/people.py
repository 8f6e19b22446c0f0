"""People who follow channels without a socket: connections that keep what they are given."""

from collections.abc import Mapping
from typing import Self

from chat_server.actor import Actor
from chat_server.broker import Envelope
from chat_server.errors import CloseCode, UnsubscribeCode
from chat_server.ids import ClientId, KeyId, SessionId, UserId, new_id
from chat_server.realtime.batch import Batch
from chat_server.realtime.frames import Frame
from chat_server.settings import Namespace
from chat_server.shapes import Scope


def actor(user_id: str, session_id: str | None = None, key_id: str | None = None) -> Actor:
    return Actor(
        user_id=UserId(user_id),
        scopes=frozenset({Scope.CHAT}),
        session_id=None if session_id is None else SessionId(session_id),
        key_id=None if key_id is None else KeyId(key_id),
    )


class Reader:
    """A connection of the manager that keeps what it hears, in order."""

    def __init__(self, name: str = "ann", session_id: str | None = None, key_id: str | None = None) -> None:
        self.client_id = ClientId(new_id())
        self.actor = actor(name, session_id, key_id)
        self.channels: set[str] = set()
        self.pending: set[str] = set()
        self.rules: Mapping[str, Namespace] = {}
        self.frames: list[Frame] = []
        self.overruns = 0
        self.losses: list[tuple[str, UnsubscribeCode]] = []
        self.closes: list[CloseCode] = []

    def __repr__(self) -> str:
        return f"<{self.user_id} {self.client_id[-4:]}>"

    @property
    def user_id(self) -> UserId:
        return self.actor.user_id

    @property
    def sink(self) -> Self:
        return self

    def deliver(self, batch: Batch) -> None:
        self.frames += batch.frames

    def overrun(self) -> None:
        self.overruns += 1

    def lost(self, channel: str, code: UnsubscribeCode) -> None:
        self.losses.append((channel, code))

    def close(self, code: CloseCode) -> None:
        self.closes.append(code)

    def offsets(self, channel: str | None = None) -> list[int]:
        """What it heard, by offset."""
        return [frame.offset for frame in self.frames if channel in {None, frame.envelope.channel}]


def frame(offset: int, channel: str = "room:a", payload: bytes = b"{}") -> Frame:
    return Frame(Envelope(channel, "pub", payload, offset))
