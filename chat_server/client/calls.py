"""Commands on their way: sent in order within a window, answered by id, repeated while that is safe.

Laws. At most WINDOW commands are unanswered on a connection (the server reads no further than 16). A temporary error,
or "too fast", puts a command back for as long as the server said, or a jittered while. What a cut connection means for
an unanswered command is its `fate`.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from chat_server.client.backoff import Backoff
from chat_server.client.problems import ClientError, Refused, Unanswered, refused_by
from chat_server.errors import CommandsTooFast, TooLarge
from chat_server.wire import MAX_COMMAND_ID, encode

WINDOW = 16
ANSWER_S = 30.0  # the server's own limits are 2 s for a read; nothing takes so long but a peer that is not there
FRAME_BYTES = 64 * 1024
NEVER = float("inf")

Result = Mapping[str, Any]


class Fate(Enum):
    """When the connection is cut before the answer: REPEAT it on the next, FAIL with Unanswered, or DROP it unsaid."""

    REPEAT = auto()
    FAIL = auto()
    DROP = auto()


@dataclass(slots=True, eq=False)
class Call:
    """One command. `done` is told once: the reply's content, or why there is none."""

    name: str
    request: Mapping[str, Any]
    done: Callable[[Result | ClientError], None]
    fate: Fate = Fate.DROP
    not_before: float = 0.0
    sent_at: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)


class Calls:
    """All commands of one client, over any number of connections."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()
        self._sent: dict[int, Call] = {}
        self._last_id = 0

    def add(self, call: Call) -> None:
        """Queue a command. TooLarge when the server would not take its frame."""
        if len(encode({"id": MAX_COMMAND_ID, call.name: call.request})) > FRAME_BYTES:
            raise TooLarge()
        self._waiting.append(call)

    def cancel(self, call: Call) -> None:
        """Nobody waits for it any more. If it was sent, it may be carried out all the same."""
        if call in self._waiting:
            self._waiting.remove(call)
        call.done = _nobody

    def due(self, now: float) -> list[bytes]:
        """The frames to send now."""
        frames = []
        for call in [call for call in self._waiting if call.not_before <= now]:
            if len(self._sent) >= WINDOW:
                break
            self._waiting.remove(call)
            frames.append(self.sent(call, now))
        return frames

    def sent(self, call: Call, now: float) -> bytes:
        """The frame of a command that is sent past the queue."""
        self._last_id = self._last_id % MAX_COMMAND_ID + 1
        self._sent[self._last_id] = call
        call.sent_at = now
        return encode({"id": self._last_id, call.name: call.request})

    def answered(self, reply: Result, now: float) -> None:
        """A reply came. One that nobody waits for is ignored."""
        call = self._sent.pop(reply.get("id", 0), None)
        if call is None:
            return
        if "error" not in reply:
            call.done(reply.get(call.name, {}))
            return
        error = refused_by(reply["error"])
        if _is_worth_repeating(call, error):
            call.not_before = now + call.backoff.next(error.retry_after_s or 0.0)
            self._waiting.append(call)
        else:
            call.done(error)

    def cut(self) -> None:
        """The connection is gone."""
        sent, self._sent = list(self._sent.values()), {}
        again = [call for call in sent if call.fate is Fate.REPEAT]
        self._waiting = deque(call for call in (*again, *self._waiting) if call.fate is not Fate.DROP)
        for call in sent:
            if call.fate is Fate.FAIL:
                call.done(Unanswered("the connection was cut before the answer"))

    def end(self, error: ClientError) -> None:
        """There will be no more connections."""
        calls = (*self._sent.values(), *self._waiting)
        self._sent, self._waiting = {}, deque()
        for call in calls:
            call.done(error)

    @property
    def resend_at(self) -> float:
        """When the next command that was put back is due."""
        if len(self._sent) >= WINDOW:
            return NEVER
        return min((call.not_before for call in self._waiting), default=NEVER)

    @property
    def overdue_at(self) -> float:
        """When the oldest unanswered command has waited too long for the peer to be alive."""
        return next((call.sent_at + ANSWER_S for call in self._sent.values()), NEVER)


def _is_worth_repeating(call: Call, error: Refused) -> bool:
    """Too fast was not carried out at all; the other temporary errors may have been."""
    if call.name in {"connect", "refresh"}:
        return False
    return error.code == CommandsTooFast.protocol or (error.temporary and call.fate is not Fate.FAIL)


def _nobody(answer: Result | ClientError) -> None:
    pass
