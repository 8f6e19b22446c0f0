"""From worker to worker. For durable channels the broker only wakes workers up: the event log is the truth.

Guarantees every implementation keeps, proven by tests/contracts/test_broker.py:

- `publish` never waits and never raises. A message may be lost; then its offset shows a hole, or `gap` is called.
- One channel's messages from one worker arrive in the order they were published.
- After `follow` answered, every later message of that channel is heard, or `gap` is called.
- A worker that died is noticed within its lease: `gap` is called, as it may have died between commit and publication.
- `append` gives offsets 1, 2, 3 ... within an epoch and publishes in that order; the same idempotency key appends once.
  An evicted or forgotten stream begins a new epoch, never a repeated offset.
- Nothing is delivered between entering the context and leaving it but by calls of the listener on the event loop.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

from chat_server.ids import UserId
from chat_server.settings import Rate

Kind = Literal["pub", "join", "leave"]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message. `payload` is JSON: of a durable channel the event, else the publication (or join, leave) itself.

    `offset` 0 and `epoch` "" are a channel without history.
    """

    channel: str
    kind: Kind
    payload: bytes
    offset: int = 0
    epoch: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """How much of a stream without a place in the event log is kept."""

    size: int
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Stream:
    """A part of such a stream: `top` is its last offset, `items` are (offset, publication) in the order asked for."""

    epoch: str
    top: int
    items: tuple[tuple[int, bytes], ...] = ()


class Listener(Protocol):
    """What a worker does with what it hears. Called on its event loop; never awaits, never raises."""

    def heard(self, envelope: Envelope) -> None: ...

    def signalled(self, message: bytes) -> None: ...

    def gap(self) -> None:
        """Messages of any channel may have been missed: compare positions."""

    def departed(self, user_ids: Sequence[UserId]) -> None:
        """Their worker is gone, so they may be offline. Told to one worker of those that are left."""

    def buried(self) -> None:
        """The others took this worker for gone, and told so: its people are to be told of again."""


class Bus(Protocol):
    """Publications and signals."""

    @property
    def is_up(self) -> bool: ...

    def publish(self, envelope: Envelope) -> None:
        """To every other worker that follows the channel."""

    def signal(self, message: bytes) -> None:
        """To every other worker."""

    async def follow(self, channel: str) -> None:
        """Hear the channel from now on. BrokerUnavailable when that is not confirmed in a second."""

    def unfollow(self, channel: str) -> None: ...


class Streams(Protocol):
    """The channels that back ends and allowed clients publish to."""

    async def append(self, channel: str, payload: bytes, keep: Keep | None, idempotency_key: str = "") -> Stream:
        """Publish to every worker that follows the channel, this one too, and keep what `keep` says.

        Answers the position of the publication. BrokerUnavailable.
        """

    async def announce(self, channel: str, kind: Kind, payload: bytes) -> None:
        """A join or leave to every worker that follows the channel, this one too. May be lost."""

    async def history(self, channel: str, since: int, limit: int, *, reverse: bool = False) -> Stream:
        """At most `limit` after `since`, or before it (0: from the top) in reverse. BrokerUnavailable."""

    async def forget(self, channel: str) -> None:
        """Remove the channel's history; its next publication begins a new epoch. BrokerUnavailable."""


class Registry(Protocol):
    """Who is where, over all workers, and how often somebody did something."""

    @property
    def peers(self) -> int:
        """How many other workers there are."""

    async def enter(self, channel: str, client_id: str, info: bytes) -> None:
        """That connection is in the channel until `depart`, or until its worker is gone."""

    async def depart(self, channel: str, client_id: str) -> None: ...

    async def present(self, channel: str) -> Mapping[str, bytes]:
        """Client id -> info of everyone in the channel. BrokerUnavailable."""

    async def arrive(self, user_id: UserId) -> bool:
        """That person is on this worker, until `go` or until the worker is gone. Whether they were on none before.

        BrokerUnavailable; the arrival counts when the broker is back.
        """

    async def go(self, user_id: UserId) -> bool:
        """Whether that person is on no worker any more. BrokerUnavailable."""

    async def online(self, user_ids: Sequence[UserId]) -> set[UserId]:
        """Those of them who are on some worker. BrokerUnavailable."""

    async def take(self, bucket: str, rate: Rate) -> float:
        """Take one from a token bucket shared by all workers: 0, or how many seconds to wait."""

    async def give_back(self, bucket: str, rate: Rate) -> None:
        """Undo a `take`."""


class Broker(Bus, Streams, Registry, Protocol):
    """All three. Entered once by the worker's lifespan."""

    def listen(self, listener: Listener) -> None:
        """Before entering: who hears."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def run(self) -> None:
        """What it does beside, until cancelled. Run by the worker's task group, within the context."""

    async def ready(self, within_s: float) -> bool:
        """Whether it is up, waited for so long. Called once, when `run` runs."""

    async def flushed(self) -> None:
        """Until what was published is out, or given up."""
