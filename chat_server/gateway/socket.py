"""One client of the realtime protocol on this worker: who it is, what it follows, and the outlet it is written to."""

from typing import Protocol

from chat_server.actor import Actor
from chat_server.errors import INSUFFICIENT_STATE, SLOW, CloseCode, UnsubscribeCode
from chat_server.ids import ClientId, UserId, new_id
from chat_server.realtime.channel import Sink
from chat_server.settings import Namespace
from chat_server.wire import encode, push


class Outlet(Protocol):
    """Whatever carries frames to the client. No call awaits or raises; after `close` nothing is written."""

    def write(self, data: bytes) -> None:
        """One text frame of JSON."""

    @property
    def sink(self) -> Sink: ...

    def close(self, code: CloseCode) -> None: ...

    def leave(self, code: CloseCode) -> None:
        """Close once what came until now is answered."""

    def expire_in(self, seconds: float | None) -> None:
        """The connection ends by then, or (None) not by time."""


# Who a socket is before its connect, and stays where a namespace admits anyone.
NOBODY = Actor(user_id=UserId(""), scopes=frozenset())


class Socket:
    """A connection of the manager. `rules` has each finished subscription; `by_server` those that the server made.

    `entered` has the channels that others see it in, or will in a moment.
    """

    __slots__ = (
        "actor",
        "by_server",
        "channels",
        "client_id",
        "cookie",
        "entered",
        "expiries",
        "info",
        "is_present",
        "outlet",
        "pending",
        "rules",
        "wants_rooms",
    )

    def __init__(self, outlet: Outlet, *, actor: Actor | None, cookie: str, wants_rooms: bool) -> None:
        self.client_id = ClientId(new_id())
        self.actor: Actor = actor or NOBODY
        self.cookie = cookie
        self.wants_rooms = wants_rooms
        self.info = b"{}"
        self.is_present = False
        self.channels: set[str] = set()
        self.pending: set[str] = set()
        self.by_server: set[str] = set()
        self.entered: set[str] = set()
        self.rules: dict[str, Namespace] = {}
        self.expiries: dict[str, object] = {}
        self.outlet = outlet

    @property
    def user_id(self) -> UserId:
        return self.actor.user_id

    @property
    def is_stranger(self) -> bool:
        """Nobody yet, or for good where a namespace admits anyone."""
        return self.actor is NOBODY

    @property
    def sink(self) -> Sink:
        return self.outlet.sink

    def overrun(self) -> None:
        self.outlet.close(SLOW)

    def lost(self, channel: str, code: UnsubscribeCode) -> None:
        if code.resubscribe and channel in self.by_server:
            self.close(INSUFFICIENT_STATE)  # the client cannot subscribe again to what it did not subscribe to
            return
        self.outlet.write(push(channel, "unsubscribe", {"code": code.code, "reason": code.reason}))

    def close(self, code: CloseCode) -> None:
        self.outlet.close(code)

    def leave(self, code: CloseCode) -> None:
        self.outlet.leave(code)

    def expire_in(self, seconds: float | None) -> None:
        self.outlet.expire_in(seconds)
        self.outlet.write(push("", "refresh", {"expires": seconds is not None, "ttl": int(seconds or 0)}))


def info_of(user_id: UserId, client_id: ClientId, username: str, display_name: str, kind: str) -> bytes:
    """How others see a connection: in presence, in joins, and on its own publications."""
    conn_info = {"username": username, "display_name": display_name, "kind": kind}
    return encode({"user": user_id, "client": client_id, "conn_info": conn_info})
