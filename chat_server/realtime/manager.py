"""ConnectionManager: this worker's connections, by client, user, session and key, and its channels.

Every method is a plain function on the event loop: nothing awaits between reading and writing these maps. `deliver`
never awaits, encodes per connection, logs or raises.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Literal, Protocol

from chat_server.actor import Actor
from chat_server.errors import CloseCode, LimitExceeded, UnsubscribeCode
from chat_server.ids import ClientId, UserId
from chat_server.metrics import CHANNELS, DELIVERIES, PUBLICATIONS
from chat_server.realtime.channel import SLICE_DELIVERIES, Backlog, Joining, LocalChannel, Subscriber
from chat_server.realtime.frames import Frame
from chat_server.realtime.tail import TailMemory
from chat_server.settings import Namespace, Slow

logger = logging.getLogger(__name__)


class Connection(Subscriber, Protocol):
    """A socket or stream. `channels` names its subscriptions, finished or not; only the manager changes it.

    `pending` names those that are being judged: whoever takes the right to one away removes it there too. `rules` has
    those that are finished, with their namespaces' rules.
    """

    actor: Actor
    channels: set[str]
    pending: set[str]
    rules: dict[str, Namespace]

    def lost(self, channel: str, code: UnsubscribeCode) -> None:
        """The subscription ended by the server's will: tell the client."""

    def close(self, code: CloseCode) -> None: ...

    def leave(self, code: CloseCode) -> None:
        """Close once what is under way is answered."""

    def expire_in(self, seconds: float | None) -> None:
        """A back end decided anew when it ends: by then, or (None) not by time."""


Credential = tuple[Literal["session", "key"], str]


class ConnectionManager:
    """Holds the connections of one worker. A limit of 0 is none."""

    def __init__(self, *, max_per_user: int = 0, max_per_address: int = 0, hold_bytes: int = 1024 * 1024) -> None:
        self._max_per_user = max_per_user
        self._max_per_address = max_per_address
        self._hold_bytes = hold_bytes
        self._by_client: dict[ClientId, Connection] = {}
        self._by_user: dict[UserId, dict[Connection, None]] = {}
        self._by_credential: dict[Credential, dict[Connection, None]] = {}
        self._by_address: dict[str, int] = {}
        self._channels: dict[str, LocalChannel] = {}
        self._due: deque[LocalChannel] = deque()  # those with a backlog
        self._is_coming = False
        self.tails = TailMemory()

    def __len__(self) -> int:
        return len(self._by_client)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._by_client.values()))

    @property
    def channels(self) -> Mapping[str, LocalChannel]:
        return self._channels

    @property
    def users(self) -> int:
        return len(self._by_user)

    def admit_address(self, address: str) -> None:
        """Count one more open socket of an address; `release_address` at its end. LimitExceeded over the limit."""
        count = self._by_address.get(address, 0)
        if self._max_per_address and count >= self._max_per_address:
            raise LimitExceeded()
        self._by_address[address] = count + 1

    def release_address(self, address: str) -> None:
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]

    def add(self, connection: Connection) -> None:
        """From when it is known who it is. LimitExceeded when that user has too many; strangers are no one user."""
        mine = self._by_user.get(connection.user_id, {})
        if self._max_per_user and connection.user_id and len(mine) >= self._max_per_user:
            raise LimitExceeded()
        self._by_user[connection.user_id] = mine
        mine[connection] = None
        self._by_client[connection.client_id] = connection
        for credential in _credentials_of(connection.actor):
            self._by_credential.setdefault(credential, {})[connection] = None

    def remove(self, connection: Connection) -> None:
        """Out of everything. An unknown connection is no error."""
        if self._by_client.pop(connection.client_id, None) is None:
            return
        mine = self._by_user[connection.user_id]
        del mine[connection]
        if not mine:
            del self._by_user[connection.user_id]
        self._forget_credentials(connection)
        for name in tuple(connection.channels):
            self.leave(connection, name)

    def renew(self, connection: Connection, actor: Actor) -> None:
        """The connection goes on under another credential of the same user; one that is gone stays gone."""
        if connection.client_id not in self._by_client:
            return
        self._forget_credentials(connection)
        connection.actor = actor
        for credential in _credentials_of(actor):
            self._by_credential.setdefault(credential, {})[connection] = None

    def connection(self, client_id: str) -> Connection | None:
        return self._by_client.get(ClientId(client_id))

    def connections_of(self, user_id: UserId) -> list[Connection]:
        return list(self._by_user.get(user_id, ()))

    def connections_with(self, kind: Literal["session", "key"], subject: str) -> list[Connection]:
        """Those that a login or an API key opened."""
        return list(self._by_credential.get((kind, subject), ()))

    def join(self, connection: Connection, name: str, *, is_durable: bool, slow: Slow = "close") -> Joining:
        """Collect what is published in the channel for the connection from now on. It must not be in it yet."""
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = LocalChannel(name, is_durable=is_durable, slow=slow)
            CHANNELS.set(len(self._channels))
        connection.channels.add(name)
        return channel.join(connection, self._hold_bytes)

    def leave(self, connection: Connection, name: str) -> bool:
        """Whether it was in the channel. The last one to leave takes the channel along."""
        channel = self._channels.get(name)
        connection.channels.discard(name)
        if channel is None or not channel.leave(connection):
            return False
        if not len(channel):
            del self._channels[name]
            self.tails.drop(name)
            CHANNELS.set(len(self._channels))
        return True

    def deliver(self, channel: LocalChannel, frames: list[Frame]) -> None:
        """The channel's next publications, in order, to everyone in it: from the loop's next turn on, if nobody calls
        `deliver_due` before.
        """
        for frame in frames:
            if frame.offset:
                self.tails.add(channel.name, frame)
        PUBLICATIONS.inc(len(frames))
        if channel.backlog is None:
            self._due.append(channel)
            self._come()
        channel.put(frames)
        while channel.backlog is not None and channel.backlog.is_full:
            DELIVERIES.inc(self._deliver_slice(channel, channel.backlog))

    def deliver_due(self) -> None:
        """A slice to each channel with a backlog, until so many are delivered; the rest in the loop's next turns."""
        count, due = 0, self._due
        for _ in range(len(due)):
            if count >= SLICE_DELIVERIES:
                break
            channel = due.popleft()
            if channel.backlog is not None:
                count += self._deliver_slice(channel, channel.backlog)
            if channel.backlog is not None:
                due.append(channel)
        DELIVERIES.inc(count)
        if due:
            self._come()

    def _come(self) -> None:
        if not self._is_coming:
            self._is_coming = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._is_coming = False
        self.deliver_due()

    def _deliver_slice(self, channel: LocalChannel, backlog: Backlog) -> int:
        """What cannot be encoded is left out, with what waited beside it: readers see the hole and recover."""
        try:
            return backlog.deliver_slice()
        except Exception:
            logger.exception("channel.undeliverable", extra={"channel": channel.name})
            channel.backlog = None
            return 0

    def _forget_credentials(self, connection: Connection) -> None:
        for credential in _credentials_of(connection.actor):
            mine = self._by_credential[credential]
            del mine[connection]
            if not mine:
                del self._by_credential[credential]


def _credentials_of(actor: Actor) -> Iterator[Credential]:
    if actor.session_id is not None:
        yield ("session", actor.session_id)
    if actor.key_id is not None:
        yield ("key", actor.key_id)
