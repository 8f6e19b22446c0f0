"""Whoever acts, with what their credential allows; and the signals that end or change what somebody may do."""

from dataclasses import dataclass
from typing import Literal

from chat_server.errors import ChannelNotAllowed, ScopeMissing
from chat_server.ids import KeyId, RoomId, SessionId, UserId
from chat_server.shapes import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Whoever a command is carried out for. `channels` None is no restriction; `expires_at` is in Unix seconds."""

    user_id: UserId
    scopes: frozenset[Scope]
    session_id: SessionId | None = None
    key_id: KeyId | None = None
    channels: frozenset[str] | None = None
    expires_at: float | None = None

    def require(self, scope: Scope) -> None:
        """ScopeMissing unless the credential grants `scope`. `admin` includes publishing notifications."""
        if scope not in self.scopes and not (scope is Scope.NOTIFY and Scope.ADMIN in self.scopes):
            raise ScopeMissing(scope=scope)

    def require_channel(self, channel: str) -> None:
        """ChannelNotAllowed when the credential is an API key that does not cover `channel`."""
        if self.channels is not None and channel not in self.channels:
            raise ChannelNotAllowed(channel=channel)

    def names_covered(self, namespace: str) -> list[str] | None:
        """What an API key covers of `room:` or another namespace, without the prefix; None is no restriction."""
        if self.channels is None:
            return None
        prefix = f"{namespace}:"
        return [channel.removeprefix(prefix) for channel in self.channels if channel.startswith(prefix)]


# The house itself: jobs, the command line on the server's own machine.
SYSTEM = Actor(user_id=UserId(""), scopes=frozenset(Scope))


@dataclass(frozen=True, slots=True)
class Signal:
    """What every worker must act upon at once, beside the events.

    `session`, `user`, `key`: that credential is no longer good. `left`, `joined`: `subject` is "<room_id>/<user_id>".
    `role`: that user's role changed. `enabled`: that user may log in again. `topic`: who may read it changed.
    `id` is that of its row, by which a worker knows what it has acted upon already.
    """

    kind: Literal["session", "user", "key", "left", "joined", "role", "enabled", "topic"]
    subject: str
    id: str = ""

    @classmethod
    def membership(cls, kind: Literal["left", "joined"], room_id: RoomId, user_id: UserId) -> "Signal":
        return cls(kind, f"{room_id}/{user_id}")
