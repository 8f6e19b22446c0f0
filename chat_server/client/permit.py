"""The right to follow a channel of a namespace whose rule is `token`: kept until it is over, renewed before."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from typing import Any

from chat_server.client.backoff import Backoff
from chat_server.client.calls import NEVER

RENEW_BEFORE_S = 30.0
RENEW_PART = 0.2  # of a shorter time so much is left when it is renewed

SubscriptionToken = str | Callable[[str], str | Awaitable[str]]


class Use(Enum):
    """What the server knows of the permit on this connection: nothing, the question, or that it is good."""

    NONE = auto()
    ASKED = auto()
    LIVE = auto()


class Permit:
    """`token` is empty while there is none that could be good; `wake_at` is when another one is needed."""

    def __init__(self, channel: str, source: SubscriptionToken) -> None:
        self.channel = channel
        self.source = source
        self.token = source if isinstance(source, str) else ""
        self.use = Use.NONE
        self.wake_at = NEVER
        self.is_fetched = False  # one is on its way
        self._backoff = Backoff()

    @property
    def is_renewable(self) -> bool:
        return callable(self.source)

    def granted(self, result: Mapping[str, Any], now: float) -> None:
        """The server took the token: what its answer says of the time."""
        self.use = Use.LIVE
        self._backoff.reset()
        left_s = float(result.get("ttl", 0))
        expires = self.is_renewable and result.get("expires")
        self.wake_at = now + left_s - min(RENEW_BEFORE_S, left_s * RENEW_PART) if expires else NEVER

    def spent(self) -> None:
        """The token is over."""
        self.use = Use.NONE
        if self.is_renewable:
            self.token = ""

    def cut(self) -> None:
        self.use, self.wake_at = Use.NONE, NEVER

    def later(self, now: float) -> None:
        """There is none now."""
        self.wake_at = now + self._backoff.next()
