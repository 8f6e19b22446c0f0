"""What a signal does to this worker's connections: access that ended, memberships that changed. At once, and polled."""

import logging

from chat_server.accounts.revocations import Revocations
from chat_server.actor import Signal
from chat_server.errors import FORCE_RECONNECT, INVALID_TOKEN, UNSUBSCRIBED_BY_SERVER, ChatError, CloseCode
from chat_server.gateway.socket import Socket
from chat_server.gateway.subscriptions import Subscriptions, Wish
from chat_server.ids import RoomId, UserId, presence_channel, room_channel, topic_channel
from chat_server.realtime.manager import Connection
from chat_server.worker import Worker

logger = logging.getLogger(__name__)

REVOKED = INVALID_TOKEN.because("session_revoked")


class Control:
    """Applies signals on one worker."""

    def __init__(self, worker: Worker, subscriptions: Subscriptions, revocations: Revocations) -> None:
        self._worker = worker
        self._subscriptions = subscriptions
        self._revocations = revocations

    def apply(self, signal: Signal) -> None:
        """First the memory that new requests ask, then the connections that are open."""
        self._revocations.apply(signal)
        self._act(signal)

    async def catch_up(self) -> None:
        """Apply what the table has and no signal told. Unavailable.

        Such a signal is late: whoever left may have come back since, so that is judged and not believed.
        """
        for signal in await self._revocations.catch_up(self._worker.store):
            if signal.kind == "left":
                self._judge_member(*_membership(signal))
            else:
                self._act(signal)

    def _act(self, signal: Signal) -> None:
        manager = self._worker.manager
        match signal.kind:
            case "session" | "key":
                _close(manager.connections_with(signal.kind, signal.subject), REVOKED)
            case "user":
                _close(manager.connections_of(UserId(signal.subject)), REVOKED)
            case "role":
                _close(manager.connections_of(UserId(signal.subject)), FORCE_RECONNECT)
            case "left":
                self._put_out(*_membership(signal))
            case "joined":
                self._let_in(*_membership(signal))
            case "topic":
                self._judge_again(topic_channel(signal.subject))
            case "enabled":
                pass

    def _put_out(self, room_id: RoomId, user_id: UserId) -> None:
        for connection in self._worker.manager.connections_of(user_id):
            for channel in (room_channel(room_id), presence_channel(room_id)):
                self._subscriptions.end(connection, channel, UNSUBSCRIBED_BY_SERVER)

    def _let_in(self, room_id: RoomId, user_id: UserId) -> None:
        wish = Wish(channel=room_channel(room_id))
        for connection in self._worker.manager.connections_of(user_id):
            if isinstance(connection, Socket) and connection.wants_rooms:
                self._worker.spawn(self._subscriptions.subscribe_by_server(connection, wish))

    def _judge_member(self, room_id: RoomId, user_id: UserId) -> None:
        if found := self._worker.manager.connections_of(user_id):
            for channel in (room_channel(room_id), presence_channel(room_id)):
                self._worker.spawn(self._end_unless_admitted({user_id: found}, channel))

    def _judge_again(self, name: str) -> None:
        channel = self._worker.manager.channels.get(name)
        found: dict[UserId, list[Connection]] = {}
        for subscriber in (*channel.live, *channel.joining) if channel is not None else ():
            connection = self._worker.manager.connection(subscriber.client_id)
            if connection is not None:
                found.setdefault(connection.user_id, []).append(connection)
        if found:
            self._worker.spawn(self._end_unless_admitted(found, name))

    async def _end_unless_admitted(self, found: dict[UserId, list[Connection]], name: str) -> None:
        """Who a person is decides, whatever credential each connection has: that covered the channel before."""
        for connections in found.values():
            try:
                await self._subscriptions.judge(connections[0].actor, name)
            except ChatError:
                for connection in connections:
                    self._subscriptions.end(connection, name, UNSUBSCRIBED_BY_SERVER)


def _close(connections: list[Connection], code: CloseCode) -> None:
    for connection in connections:
        connection.close(code)


def _membership(signal: Signal) -> tuple[RoomId, UserId]:
    room_id, _, user_id = signal.subject.partition("/")
    return RoomId(room_id), UserId(user_id)
