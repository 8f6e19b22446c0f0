"""What a follower gets: an event of the house, typed; and where in its channel it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from chat_server.events import Event
from chat_server.ids import is_event_channel
from chat_server.wire import event_of


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a channel: everything up to `offset` of this `epoch` was had."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent:
    """An event that this version of the client does not know. `data` is all of its JSON."""

    type: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was published into a configured channel such as `live:prices`. `info` says who did, if a client did."""

    channel: str
    data: Any
    info: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Follower:
    """One connection in a channel that tells who is there. All but `client_id` is empty for one without a login."""

    client_id: str
    user_id: str
    username: str
    display_name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A connection began to follow the channel."""

    channel: str
    follower: Follower


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A connection follows it no longer: its person may still be there with another one."""

    channel: str
    follower: Follower


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A gap that cannot be filled: load the state anew. What follows begins behind `position`.

    It is told when the server cannot know any more what was missed (restored from a back-up, older than its log), and
    for channels without history after every reconnect and whenever the follower was too slow for them.
    """

    channel: str
    after: Position | None
    position: Position | None


Heard = Event | UnknownEvent | Published | Joined | Left | Missed


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One publication as it came, a coming or going, or (`missed`) the lack of some.

    `position` is None in channels without history, and for comings and goings.
    """

    channel: str
    kind: Literal["pub", "join", "leave"] = "pub"
    position: Position | None = None
    data: Any = None
    info: dict[str, Any] | None = None
    missed: Missed | None = None

    @property
    def event(self) -> Heard:
        if self.missed is not None:
            return self.missed
        if self.kind != "pub":
            follower = _follower(self.info or {})
            kind = Joined if self.kind == "join" else Left
            return kind(channel=self.channel, follower=follower)
        if not is_event_channel(self.channel):
            return Published(channel=self.channel, data=self.data, info=self.info)
        try:
            return event_of(self.data)
        except ValidationError:
            data = self.data if isinstance(self.data, dict) else {"data": self.data}
            return UnknownEvent(type=str(data.get("type", "")), data=data)


def _follower(info: Mapping[str, Any]) -> Follower:
    card = info.get("conn_info") or {}
    names = {name: str(card.get(name, "")) for name in ("username", "display_name", "kind")}
    return Follower(client_id=str(info.get("client", "")), user_id=str(info.get("user", "")), **names)
