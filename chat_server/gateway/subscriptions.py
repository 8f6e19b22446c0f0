"""Subscriptions of sockets and streams: judged, joined before their history is read, announced, and ended."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from chat_server.actor import Actor
from chat_server.errors import (
    UNSUBSCRIBED_EXPIRED,
    AlreadySubscribed,
    LimitExceeded,
    PermissionDenied,
    TokenExpired,
    TokenHasExpired,
    Unauthorized,
    UnrecoverablePosition,
    UnsubscribeCode,
)
from chat_server.gateway.admission import Admission, admit, admit_at_once
from chat_server.gateway.socket import Socket
from chat_server.ids import namespace_of
from chat_server.realtime.channel import Joining
from chat_server.realtime.manager import Connection
from chat_server.realtime.resume import RECOVER_BYTES, Asked, Joined
from chat_server.realtime.wheel import Wheel
from chat_server.settings import Namespace
from chat_server.wire import encode, push, raw
from chat_server.worker import Worker

CHANNELS_PER_CONNECTION = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A subscription that is asked for. `asked`: recover from there, at most `recover_bytes`; `token`: for namespaces
    that want one.

    `is_forced`: a back end vouches for it, where the channel is not one of the house's own.
    """

    channel: str
    asked: Asked | None = None
    recover_bytes: int = RECOVER_BYTES
    token: str = ""
    reject_unrecovered: bool = False
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A finished join: tell the client `result`, then call `go_live` without awaiting in between."""

    channel: str
    result: dict[str, object]
    go_live: Callable[[], None]
    recovered_bytes: int = 0


class Subscriptions:
    """One worker's way into and out of channels."""

    def __init__(self, worker: Worker, wheel: Wheel) -> None:
        self._worker = worker
        self._wheel = wheel
        self._namespaces = worker.settings.namespaces
        worker.fanout.on_lost = self._lost

    async def judge(self, actor: Actor, channel: str) -> Admission:
        """The actor's way into the channel. PermissionDenied, UnknownChannel, Unavailable."""
        found = admit_at_once(actor, channel, self._namespaces)
        if found is None:
            return await self._worker.read(actor, lambda unit: admit(unit, channel, self._namespaces))
        return found

    async def join(self, connection: Connection, wish: Wish) -> tuple[Admission, Joined, Joining]:
        """Judge and join. AlreadySubscribed, LimitExceeded, and what `judge` raises; then nothing is left behind."""
        channel = wish.channel
        if channel in connection.channels or channel in connection.pending:
            raise AlreadySubscribed()
        if len(connection.channels) >= CHANNELS_PER_CONNECTION:
            raise LimitExceeded()
        connection.pending.add(channel)
        try:
            admission = await self._admission(connection.actor, wish)
            joined, joining = await self._joined(connection, admission, wish.asked)
            if channel not in connection.pending:  # the right to it was taken away, or it closed, while it joined
                self._worker.fanout.leave(connection, channel)
                raise PermissionDenied()
        finally:
            connection.pending.discard(channel)
        return admission, joined, joining

    async def subscribe(self, socket: Socket, wish: Wish) -> Subscribed:
        """A socket's subscription, with its presence. UnrecoverablePosition where that is wished for, not `false`."""
        admission, joined, joining = await self.join(socket, wish)
        if joined.size_bytes > wish.recover_bytes:
            joined = joined.given_up()
        if wish.reject_unrecovered and joined.was_recovering and not joined.recovered:
            self._worker.fanout.leave(socket, wish.channel)
            raise UnrecoverablePosition()
        if admission.rules.presence:
            await self._enter(socket, wish.channel)
        return Subscribed(
            wish.channel,
            result_of(admission, joined, wish.asked),
            lambda: self._go_live(socket, admission, joined, joining),
            joined.size_bytes,
        )

    async def subscribe_by_server(self, socket: Socket, wish: Wish) -> None:
        """Subscribe a socket that did not ask, and push it. What it may not follow, or follows, is left alone."""
        try:
            found = await self.subscribe(socket, wish)
        except (PermissionDenied, AlreadySubscribed, LimitExceeded):
            return
        socket.by_server.add(wish.channel)
        socket.outlet.write(push(wish.channel, "subscribe", found.result))
        found.go_live()

    async def renew(self, socket: Socket, channel: str, token: str) -> float | None:
        """Until when (Unix seconds) the subscription is good now; None for ever. PermissionDenied, TokenHasExpired."""
        if channel not in socket.rules:
            raise PermissionDenied()
        if socket.rules[channel].subscribe != "token":
            return None
        until = await self._until(socket.actor, channel, token)
        self._watch(socket, channel, until)
        return until

    async def unsubscribe(self, socket: Socket, channel: str) -> None:
        """By the client's will. Not being subscribed is fine."""
        if self._worker.fanout.leave(socket, channel):
            await self._tell_left(socket, channel, self._forgotten(socket, channel))

    def end(self, connection: Connection, channel: str, code: UnsubscribeCode) -> None:
        """By the server's will: told, if it was subscribed; a join that is under way fails."""
        connection.pending.discard(channel)
        if self._worker.fanout.leave(connection, channel) and channel in connection.rules:
            self._lost(connection, channel, code)

    async def gone(self, socket: Socket) -> None:
        """The socket is closed: out of everything, also what is being joined."""
        socket.pending.clear()
        self._worker.fanout.remove(socket)
        for channel in tuple(socket.rules):
            await self._tell_left(socket, channel, self._forgotten(socket, channel))
        for channel in tuple(socket.entered):
            await self._depart(socket, channel)

    def _lost(self, connection: Connection, channel: str, code: UnsubscribeCode) -> None:
        """It is out of the channel already: tell it and, as streams are not present anywhere, of sockets the others."""
        connection.lost(channel, code)
        if not isinstance(connection, Socket):
            connection.rules.pop(channel, None)
            return
        rules = self._forgotten(connection, channel)
        if rules is not None and (rules.presence or rules.join_leave):
            self._worker.spawn(self._tell_left(connection, channel, rules))

    def _forgotten(self, socket: Socket, channel: str) -> Namespace | None:
        """At once, as the client may subscribe anew while others are told. Answers the rules that it was under."""
        socket.by_server.discard(channel)
        socket.expiries.pop(channel, None)
        return socket.rules.pop(channel, None)

    async def _enter(self, socket: Socket, channel: str) -> None:
        """PermissionDenied when it was put out of the channel, or has gone, meanwhile."""
        socket.entered.add(channel)
        try:
            await self._worker.broker.enter(channel, socket.client_id, socket.info)
        except BaseException:
            self._worker.fanout.leave(socket, channel)
            raise
        if channel not in socket.channels:
            await self._depart(socket, channel)
            raise PermissionDenied()

    async def _depart(self, socket: Socket, channel: str) -> None:
        socket.entered.discard(channel)
        await self._worker.broker.depart(channel, socket.client_id)

    async def _tell_left(self, socket: Socket, channel: str, rules: Namespace | None) -> None:
        """Out of presence, and announced where that is the rule."""
        if rules is not None and rules.presence:
            await self._depart(socket, channel)
        if rules is not None and rules.join_leave:
            await self._worker.broker.announce(channel, "leave", encode({"info": raw(socket.info)}))

    def _go_live(self, socket: Socket, admission: Admission, joined: Joined, joining: Joining) -> None:
        channel, rules = admission.channel, admission.rules
        if channel not in socket.channels:  # put out of it while other channels were joined
            if rules.presence:
                self._worker.spawn(self._depart(socket, channel))
            return
        socket.rules[channel] = rules
        joining.go_live(joined.top)
        if admission.until is not None:
            self._watch(socket, channel, admission.until)
        if rules.join_leave:
            info = encode({"info": raw(socket.info)})
            self._worker.spawn(self._worker.broker.announce(channel, "join", info))

    async def _admission(self, actor: Actor, wish: Wish) -> Admission:
        rules = self._namespaces.get(namespace_of(wish.channel))
        if rules is not None and wish.is_forced:
            return Admission(channel=wish.channel, rules=rules, is_durable=False)
        if rules is not None and rules.subscribe == "token":
            until = await self._until(actor, wish.channel, wish.token)
            return Admission(channel=wish.channel, rules=rules, is_durable=False, until=until)
        return await self.judge(actor, wish.channel)

    async def _until(self, actor: Actor, channel: str, token: str) -> float:
        if not token:
            raise PermissionDenied()
        try:
            return await self._worker.judge.subscription(token, actor, channel)
        except TokenExpired as error:
            raise TokenHasExpired() from error
        except Unauthorized as error:
            raise PermissionDenied() from error

    def _watch(self, socket: Socket, channel: str, until: float) -> None:
        at = asyncio.get_running_loop().time() + until - time.time()
        self._wheel.watch(_Expiry(self, socket, channel, at))

    async def _joined(
        self, connection: Connection, admission: Admission, asked: Asked | None
    ) -> tuple[Joined, Joining]:
        fanout = self._worker.fanout
        if admission.is_durable:
            return await fanout.join(connection, admission.channel, asked, admission.floor)
        return await fanout.join_stream(
            connection, admission.channel, asked, has_history=admission.has_history, slow=admission.rules.slow
        )


class _Expiry:
    """Ends a subscription when its token does, unless a newer one has taken its place."""

    def __init__(self, subscriptions: Subscriptions, socket: Socket, channel: str, at: float) -> None:
        self._subscriptions = subscriptions
        self._socket = socket
        self._channel = channel
        self.wake_at = at
        socket.expiries[channel] = self

    def wake(self, now: float) -> None:
        self.wake_at = float("inf")
        if self._socket.expiries.get(self._channel) is self:
            del self._socket.expiries[self._channel]
            self._subscriptions.end(self._socket, self._channel, UNSUBSCRIBED_EXPIRED)


def result_of(admission: Admission, joined: Joined, asked: Asked | None) -> dict[str, object]:
    """A subscribe result. A recovered one keeps the client's own offset: it advances by what it processes."""
    result: dict[str, object] = {
        "recoverable": admission.has_history,
        "positioned": admission.has_history,
        "epoch": joined.epoch,
        "offset": asked.offset if joined.recovered and asked is not None else joined.top,
        "recovered": joined.recovered,
        "was_recovering": joined.was_recovering,
    }
    if admission.until is not None:
        result |= {"expires": True, "ttl": max(1, int(admission.until - time.time()))}
    if joined.frames:
        result["publications"] = [raw(frame.publication) for frame in joined.frames]
    return result
