"""What a session asks for, carried out. One desk serves all sockets of a worker."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from chat_server import __version__
from chat_server.actor import Actor
from chat_server.audience import channels_of
from chat_server.commands import COMMANDS
from chat_server.errors import (
    CLOSE_PERMISSION_DENIED,
    CONNECTION_LIMIT,
    INVALID_TOKEN,
    CommandsTooFast,
    LimitExceeded,
    MethodNotFound,
    PermissionDenied,
    SessionRevoked,
    TokenExpired,
    TokenHasExpired,
    Unauthenticated,
    Unauthorized,
    UserNotFound,
)
from chat_server.events import Event
from chat_server.gateway.admission import canonical
from chat_server.gateway.cards import Cards
from chat_server.gateway.channels import Channels
from chat_server.gateway.session import Answer, Ask, Disconnected
from chat_server.gateway.socket import NOBODY, Socket, info_of
from chat_server.gateway.subscriptions import Subscribed, Subscriptions, Wish
from chat_server.ids import room_channel, user_channel
from chat_server.presence.tracker import PresenceTracker
from chat_server.realtime.resume import RECOVER_BYTES, Asked
from chat_server.rooms.queries import room_ids_of
from chat_server.shapes import Scope, User
from chat_server.wire import (
    FLAG_REJECT_UNRECOVERED,
    ChannelRequest,
    ConnectRequest,
    RefreshRequest,
    RpcRequest,
    SendRequest,
    SubRefreshRequest,
    SubscribeOptions,
    SubscribeRequest,
    encode,
    validated,
)
from chat_server.worker import Worker

ROOMS_PER_CONNECTION = 500
RENEW_BEFORE_S = 30.0  # clients renew when `ttl` is over, which must be before the connection ends


class Desk:
    """Carries out the asks of every session of a worker."""

    def __init__(self, worker: Worker, subscriptions: Subscriptions, presence: PresenceTracker) -> None:
        self._worker = worker
        self._subscriptions = subscriptions
        self._presence = presence
        self._cards = Cards(worker)
        channels = Channels(worker, subscriptions)
        self._by_name: dict[str, Callable[[Socket, Any], Awaitable[Answer]]] = {
            "connect": self._connect,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "publish": channels.publish,
            "presence": channels.presence,
            "presence_stats": channels.presence_stats,
            "history": channels.history,
            "rpc": self._rpc,
            "send": self._send,
            "refresh": self._refresh,
            "sub_refresh": self._sub_refresh,
        }

    async def carry_out(self, socket: Socket, ask: Ask) -> Answer:
        """The answer to one ask. Raises ChatError for an error reply, Disconnected to end the connection."""
        if ask.command_id or ask.name != "connect":
            who = socket.user_id or socket.client_id
            wait_s = self._worker.buckets.take(f"commands:{who}", self._worker.settings.rate_commands)
            if wait_s:
                raise CommandsTooFast(retry_after_s=wait_s)
        with self._worker.under_way:
            return await self._by_name[ask.name](socket, ask.request)

    async def _connect(self, socket: Socket, request: ConnectRequest) -> Answer:
        is_first = self._worker.manager.connection(socket.client_id) is None
        actor = await self._actor_for(socket, request.token)
        if is_first:
            socket.actor = actor
        else:
            self._worker.manager.renew(socket, actor)
        if isinstance(request.data, dict) and request.data.get("subscribe") == "rooms":
            socket.wants_rooms = True
        user = await self._registered(socket) if is_first else None
        try:
            subscribed = await self._subscribe_by_server(socket, request.subs)
        except BaseException:
            if is_first:
                await self.gone(socket)
            raise
        return Answer(
            result={
                "client": socket.client_id,
                "version": __version__,
                "ping": _whole(self._worker.settings.ping_s),
                "pong": True,
                **_expiry(socket.actor),
                "subs": {found.channel: found.result for found in subscribed if found.channel in socket.channels},
                **({"data": {"user": user}} if user is not None else {}),
            },
            then=lambda: _all_live(subscribed),
            expires_in_s=_expires_in_s(socket.actor),
        )

    async def _actor_for(self, socket: Socket, token: str) -> Actor:
        """Who connects: by the handshake's credential, the token, or the cookie. Disconnected, or TokenHasExpired."""
        if socket.actor is not NOBODY:
            return socket.actor if not token else self._later(socket.actor, await self._actor_of(token))
        if token:
            return await self._actor_of(token)
        if socket.cookie:
            try:
                return await self._worker.judge.actor_of_cookie(socket.cookie)
            except Unauthorized as error:
                raise Disconnected(INVALID_TOKEN.because(error.code), error) from error
        if any(rules.subscribe == "anyone" for rules in self._worker.settings.namespaces.values()):
            return NOBODY
        raise Disconnected(INVALID_TOKEN.because("unauthorized"), Unauthenticated())

    async def _actor_of(self, token: str) -> Actor:
        try:
            return await self._worker.judge.actor_of(token, tickets=True)
        except TokenExpired as error:
            raise TokenHasExpired() from error
        except Unauthorized as error:
            raise Disconnected(INVALID_TOKEN.because(error.code)) from error

    def _later(self, before: Actor, after: Actor) -> Actor:
        """Of two credentials of one person the one that is good for longer."""
        if before.user_id != after.user_id:
            raise Disconnected(INVALID_TOKEN.because("the token is another user's"))
        if before.expires_at is None or (after.expires_at is not None and after.expires_at <= before.expires_at):
            return before
        return after

    async def _registered(self, socket: Socket) -> User | None:
        """From here on signals reach the socket: the check sees what ended before, the signals tell what ends later."""
        if socket.actor is NOBODY:
            self._worker.manager.add(socket)
            return None
        if not {Scope.CHAT, Scope.STREAM} & socket.actor.scopes:
            raise Disconnected(CLOSE_PERMISSION_DENIED)
        try:
            self._worker.manager.add(socket)
        except LimitExceeded as error:
            raise Disconnected(CONNECTION_LIMIT) from error
        try:
            self._worker.judge.check(socket.actor)
            user = await self._cards.of(socket.user_id)
        except (SessionRevoked, UserNotFound) as error:
            self._worker.fanout.remove(socket)
            raise Disconnected(INVALID_TOKEN.because("session_revoked")) from error
        except BaseException:
            self._worker.fanout.remove(socket)
            raise
        self._presence.came(socket.user_id)
        socket.is_present = True
        socket.info = info_of(user.id, socket.client_id, user.username, user.display_name, user.kind)
        return user

    async def gone(self, socket: Socket) -> None:
        """The socket is closed: out of everything."""
        if socket.is_present:
            socket.is_present = False
            self._presence.went(socket.user_id)
        await self._subscriptions.gone(socket)

    async def _subscribe_by_server(self, socket: Socket, positions: dict[str, SubscribeOptions]) -> list[Subscribed]:
        """The server's own subscriptions; a second connect makes them anew, from the positions it names.

        Together they recover no more than one subscription does, as clients refuse a reply of over 1 MiB.
        """
        for channel in tuple(socket.by_server):
            await self._subscriptions.unsubscribe(socket, channel)
        found: list[Subscribed] = []
        try:
            await self._subscribe_all(socket, positions, found)
        except BaseException:
            for subscribed in found:
                await self._subscriptions.unsubscribe(socket, subscribed.channel)
            raise
        return found

    async def _subscribe_all(
        self, socket: Socket, positions: dict[str, SubscribeOptions], found: list[Subscribed]
    ) -> None:
        left_bytes = RECOVER_BYTES
        for channel in await self._channels_of(socket):
            asked = positions.get(channel) or (
                positions.get("user:me") if channel == user_channel(socket.user_id) else None
            )
            wish = Wish(channel=channel, asked=_asked(asked), recover_bytes=left_bytes)
            try:
                found.append(await self._subscriptions.subscribe(socket, wish))
            except PermissionDenied:
                continue  # left meanwhile, or an API key that does not cover it
            left_bytes -= found[-1].recovered_bytes
            socket.by_server.add(channel)

    async def _channels_of(self, socket: Socket) -> list[str]:
        """What the server subscribes a connection to."""
        if not socket.user_id:
            return []
        mine: list[str] = [user_channel(socket.user_id)]
        if socket.wants_rooms:
            rooms = await self._worker.read(
                socket.actor, lambda unit: room_ids_of(unit, unit.actor.user_id, ROOMS_PER_CONNECTION)
            )
            mine += [room_channel(room_id) for room_id in rooms]
        return mine

    async def _subscribe(self, socket: Socket, request: SubscribeRequest) -> Answer:
        channel = canonical(request.channel, socket.user_id)
        if request.channel == "user:me" and channel in socket.by_server:
            await self._subscriptions.unsubscribe(socket, channel)  # it has it anew, from the position that it names
        wish = Wish(
            channel=channel,
            asked=_asked(request),
            token=request.token,
            reject_unrecovered=bool(request.flag & FLAG_REJECT_UNRECOVERED),
        )
        found = await self._subscriptions.subscribe(socket, wish)
        named = {} if channel == request.channel else {"channel": channel}
        return Answer(result={**found.result, **named}, then=found.go_live)

    async def _unsubscribe(self, socket: Socket, request: ChannelRequest) -> Answer:
        await self._subscriptions.unsubscribe(socket, canonical(request.channel, socket.user_id))
        return Answer(result={})

    async def _rpc(self, socket: Socket, request: RpcRequest) -> Answer:
        command = COMMANDS.get(request.method)
        if command is None:
            raise MethodNotFound()
        socket.actor.require(command.scope)
        body = validated(command.model, {} if request.data is None else request.data)
        run = partial(command.run, body)
        if command.kind == "write":
            result = await self._worker.write(socket.actor, run, body)
        else:
            result = await self._worker.read(socket.actor, run)
        if command.kind == "tell":
            await self._tell(result)
            result = None
        if command.told is not None:
            result = command.told(result)
        return Answer(result={"data": {} if result is None else result})

    async def _tell(self, event: Event) -> None:
        for channel in channels_of(event):
            await self._worker.broker.append(channel, encode(event), None)

    async def _send(self, socket: Socket, request: SendRequest) -> Answer:
        return Answer(result={})  # nobody here listens to it; the protocol expects no reply

    async def _refresh(self, socket: Socket, request: RefreshRequest) -> Answer:
        if not request.token:
            raise Disconnected(INVALID_TOKEN.because("unauthorized"))
        if socket.actor is NOBODY:
            raise PermissionDenied()
        self._worker.manager.renew(socket, self._later(socket.actor, await self._actor_of(request.token)))
        return Answer(
            result={"client": socket.client_id, "version": __version__, **_expiry(socket.actor)},
            expires_in_s=_expires_in_s(socket.actor),
        )

    async def _sub_refresh(self, socket: Socket, request: SubRefreshRequest) -> Answer:
        until = await self._subscriptions.renew(socket, canonical(request.channel, socket.user_id), request.token)
        if until is None:
            return Answer(result={"expires": False, "ttl": 0})
        return Answer(result={"expires": True, "ttl": max(1, int(until - time.time()))})


def _all_live(subscribed: list[Subscribed]) -> None:
    for found in subscribed:
        found.go_live()


def _asked(options: SubscribeOptions | None) -> Asked | None:
    return Asked(options.epoch, options.offset) if options is not None and options.recover else None


def _expires_in_s(actor: Actor) -> float | None:
    return None if actor.expires_at is None else max(0.0, actor.expires_at - time.time())


def _expiry(actor: Actor) -> dict[str, object]:
    left_s = _expires_in_s(actor)
    if left_s is None:
        return {"expires": False, "ttl": 0}
    return {"expires": True, "ttl": max(1, int(left_s - min(RENEW_BEFORE_S, left_s * 0.2)))}


def _whole(seconds: float) -> float:
    return int(seconds) if seconds == int(seconds) else seconds
