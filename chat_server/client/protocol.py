"""The client's side of the realtime protocol, without a socket: what comes in, what must go out, and when to come back.

Whoever has the socket tells `opened`, `receive`, `closed`, and calls `wake` at `wake_at`; each answers effects in
their order. Results do not come as effects: a Call's `done` and an Inbox's `stir` are called. docs/protocol.md is the
contract.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chat_server.client.backoff import Backoff
from chat_server.client.calls import NEVER, Call, Calls, Result
from chat_server.client.delivery import Position
from chat_server.client.feeds import Feeds
from chat_server.client.inbox import Inbox
from chat_server.client.permit import Permit, SubscriptionToken
from chat_server.client.problems import ClientError, Disconnected, Refused
from chat_server.errors import CLOSE_TOO_MANY_REQUESTS, EXPIRED, BadJson, CloseCode, TokenHasExpired
from chat_server.wire import parse

CONNECT_S = 10.0  # from the open socket to the answer of `connect`
SILENCE_S = 10.0  # beyond the ping interval: then the line is dead, though nobody said so
STABLE_S = 5.0  # a connection that lived so long forgives the tries before it
RENEW_AGAIN_S = 5.0
PAUSE_S = 1.0  # at least, after "too many requests"
CUT = 1006  # RFC 6455 7.1.5: no close frame came
PONG = b"{}"
NEW_TOKEN_HELPS = frozenset({"token_expired", "ticket_used"})  # reasons of close 3500


@dataclass(frozen=True, slots=True)
class Send:
    """Write this text frame."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Drop:
    """Close this socket, and tell `closed`."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Get a new token and tell `renewed`."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Get a subscription token and tell `fetched`."""

    permit: Permit


Effect = Send | Drop | Renew | Fetch


class Protocol:
    """One client over any number of connections. `now` is a monotonic clock's seconds, given by whoever calls.

    `is_renewable`: there is a way to a new token. `end` says why there will be no more connections.
    """

    def __init__(self, *, is_renewable: bool, backoff: Backoff | None = None) -> None:
        self.user: Mapping[str, Any] | None = None
        self.end: ClientError | None = None
        self.is_connected = False
        self.needs_token = True
        self._calls = Calls()
        self._feeds = Feeds(self._calls.add, lambda permit: self._effects.append(Fetch(permit)), lambda: self._now)
        self._is_renewable = is_renewable
        self._backoff = backoff or Backoff()
        self._effects: list[Effect] = []
        self._has_rooms = False
        self._comes_back_at_once = False
        self._told: CloseCode | None = None
        self._at_least_s = self._ping_s = self._now = 0.0
        self._connected_at = self._renew_at = self._silent_at = NEVER

    @property
    def wake_at(self) -> float:
        """When `wake` should be called, at the latest; NEVER for not at all."""
        resend_at = self._calls.resend_at if self.is_connected else NEVER
        fetch_at = self._feeds.wake_at if self.is_connected else NEVER
        return min(self._silent_at, self._renew_at, self._calls.overdue_at, resend_at, fetch_at)

    def opened(self, token: str, now: float) -> list[Effect]:
        """The socket is open."""
        self._now = now
        self._silent_at = now + CONNECT_S
        self._has_rooms = self._feeds.wants_rooms
        self.needs_token = self._comes_back_at_once = False
        self._told, self._at_least_s = None, 0.0
        request: dict[str, Any] = {"token": token, "subs": self._feeds.subs()}
        if self._has_rooms:
            request["data"] = {"subscribe": "rooms"}
        return [Send(self._calls.sent(Call("connect", request, self._connected), now))]

    def receive(self, frame: bytes, now: float) -> list[Effect]:
        """A text frame came: any number of replies and pushes, one a line."""
        self._now = now
        if self.is_connected and self._ping_s:
            self._silent_at = now + self._ping_s + SILENCE_S
        try:
            for line in filter(bytes.strip, frame.split(b"\n")):
                self._take(parse(line))
        except BadJson:
            self._effects.append(Drop())
        return self._flush()

    def closed(self, code: int, reason: str, now: float) -> float:
        """The socket is gone. So many seconds until the next one, unless `end` says that there is none."""
        self._now = now
        close = self._told if self._told is not None and code == CUT else CloseCode(code, reason)
        if self.is_connected and now - self._connected_at >= STABLE_S:
            self._backoff.reset()
        self.is_connected = False
        self._silent_at = self._renew_at = NEVER
        self._calls.cut()
        self._feeds.cut()
        if self._is_renewable and (close.code == EXPIRED.code or close.reason in NEW_TOKEN_HELPS):
            self.needs_token = True
        elif not close.reconnect:
            self.finish(Disconnected(close.code, close.reason))
        if self._comes_back_at_once:
            return 0.0
        pause_s = PAUSE_S if close.code == CLOSE_TOO_MANY_REQUESTS.code else 0.0
        return self._backoff.next(max(self._at_least_s, pause_s))

    def failed(self, retry_after_s: float = 0.0) -> float:
        """There is no way to the server, or to a token, now. So many seconds until the next try."""
        return self._backoff.next(retry_after_s)

    def finish(self, error: ClientError) -> None:
        """There will be no more connections: everyone who waits is told why."""
        if self.end is None:
            self.end = error
            self._calls.end(error)
            self._feeds.end(error)

    def wake(self, now: float) -> list[Effect]:
        """Time has passed."""
        self._now = now
        if now >= min(self._silent_at, self._calls.overdue_at):
            self._silent_at = NEVER
            self._calls.cut()
            return [Drop()]
        if now >= self._renew_at:
            self._renew_at = NEVER
            self._effects.append(Renew())
        if self.is_connected:
            self._feeds.wake()
        return self._flush()

    def renewed(self, token: str | None, now: float) -> list[Effect]:
        """The answer to Renew; None: there is no new token now."""
        self._now = now
        if token is None:
            self._renew_at = now + RENEW_AGAIN_S
        elif self.is_connected:
            self._calls.add(Call("refresh", {"token": token}, self._refreshed))
        return self._flush()

    def fetched(self, permit: Permit, found: str | Refused | None, now: float) -> list[Effect]:
        """The answer to Fetch: a token; why there will be none; None: there is none now."""
        self._now = now
        self._feeds.fetched(permit, found)
        return self._flush()

    def ask(self, call: Call, now: float) -> list[Effect]:
        """Carry out a command now, or when there is a connection. TooLarge; what `end` says."""
        if self.end is not None:
            raise self.end
        self._now = now
        self._calls.add(call)
        return self._flush()

    def cancel(self, call: Call) -> None:
        """Nobody waits for its answer any more."""
        self._calls.cancel(call)

    def follow(
        self, channel: str, inbox: Inbox, since: Position | None, now: float, token: SubscriptionToken | None = None
    ) -> list[Effect]:
        """Fill the inbox with what is published in the channel, from `since` or from now on. AlreadySubscribed."""
        if self.end is not None:
            raise self.end
        self._now = now
        self._feeds.follow(channel, inbox, since, token)
        return self._flush()

    def follow_rooms(self, inbox: Inbox, since: Mapping[str, Position]) -> list[Effect]:
        """The same for all rooms of the user, now and later: asked for by connecting anew. AlreadySubscribed."""
        if self.end is not None:
            raise self.end
        self._feeds.follow_rooms(inbox, since)
        if not self.is_connected or self._has_rooms:
            return []
        self._comes_back_at_once = True
        return [Drop()]

    def unfollow(self, inbox: Inbox, now: float) -> list[Effect]:
        self._now = now
        self._feeds.unfollow(inbox)
        return self._flush()

    def taken(self, inbox: Inbox, now: float) -> list[Effect]:
        """Something was taken out of the inbox."""
        self._now = now
        self._feeds.taken(inbox)
        return self._flush()

    def starts(self, inbox: Inbox) -> dict[str, Position]:
        """Where each channel of the inbox began."""
        return self._feeds.starts(inbox)

    def _take(self, value: Any) -> None:
        if value == {}:
            self._effects.append(Send(PONG))
        elif not isinstance(value, dict):
            self._effects.append(Drop())
        elif "push" in value:
            push = value["push"]
            for kind in push.keys() - {"channel"}:
                self._pushed(str(push.get("channel", "")), kind, push[kind])
        else:
            self._calls.answered(value, self._now)

    def _pushed(self, channel: str, kind: str, content: Mapping[str, Any]) -> None:
        if kind == "disconnect":
            self._told = CloseCode(int(content["code"]), str(content.get("reason", "")))
        elif kind == "refresh":
            self._expires(content)
        else:
            self._feeds.pushed(channel, kind, content)

    def _connected(self, answer: Result | ClientError) -> None:
        if isinstance(answer, ClientError):
            self._turned_away(answer)
            return
        self.is_connected, self._connected_at = True, self._now
        self.user = (answer.get("data") or {}).get("user")
        self._ping_s = float(answer.get("ping", 0))
        self._silent_at = self._now + self._ping_s + SILENCE_S if self._ping_s else NEVER
        self._expires(answer)
        self._feeds.connected("" if self.user is None else str(self.user["id"]), answer.get("subs", {}))

    def _turned_away(self, error: ClientError) -> None:
        """`connect` was answered with an error: with a new token or after a while it may be better, or never."""
        self._effects.append(Drop())
        if isinstance(error, Refused) and error.code == TokenHasExpired.protocol and self._is_renewable:
            self.needs_token = True
        elif isinstance(error, Refused) and error.temporary:
            self._at_least_s = error.retry_after_s or 0.0
        else:
            self.finish(error)

    def _refreshed(self, answer: Result | ClientError) -> None:
        if isinstance(answer, ClientError):
            self._renew_at = self._now + RENEW_AGAIN_S
        else:
            self._expires(answer)

    def _expires(self, told: Mapping[str, Any]) -> None:
        """`ttl` is when to renew; the connection ends a while after."""
        expires = self._is_renewable and told.get("expires")
        self._renew_at = self._now + float(told.get("ttl", 0)) if expires else NEVER

    def _flush(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        if self.is_connected:
            effects += [Send(frame) for frame in self._calls.due(self._now)]
        return effects
