"""The realtime protocol without a socket: frames and answers in, effects out. It awaits nothing and knows no transport.

Laws. Commands are carried out and answered one at a time, in the order they came; at most WAITING_COMMANDS wait, then
`wants_input` is false. A connection is established once, by its first `connect` or, with a good credential of the
handshake, by its first other command or a second of silence (implied: no frame of its own, no `{}` pings).
docs/protocol.md is the contract.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from pydantic import BaseModel

from chat_server.errors import (
    CLOSE_BAD_REQUEST,
    EXPIRED,
    NO_PONG,
    SERVER_ERROR,
    STALE,
    AnswerTooLarge,
    BadJson,
    BadRequest,
    ChatError,
    CloseCode,
    Crashed,
    Invalid,
)
from chat_server.wire import Command, ConnectRequest, error_reply, id_in, id_of, parse, reply, validated

WAITING_COMMANDS = 16
REFUSALS = 16  # bad commands in a row; they cost as much as good ones and are not counted by the rate of commands
REPLY_BYTES = 1_000_000  # client libraries refuse a frame over 1 MiB, and would connect and ask again for ever
IMPLIED_AFTER_S = 1.0
PING = b"{}"
NEVER = float("inf")

_IMPLIED = ConnectRequest()


@dataclass(frozen=True, slots=True)
class Send:
    """Write this text frame."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with this code; nothing follows."""

    code: CloseCode


@dataclass(frozen=True, slots=True)
class Ask:
    """Carry this out and call `answered` with the outcome. `command_id` 0: nobody waits for a reply."""

    name: str
    request: BaseModel
    command_id: int


@dataclass(frozen=True, slots=True)
class Then:
    """Call this right after the sends before it, without awaiting in between."""

    run: Callable[[], None]


Effect = Send | Close | Ask | Then


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcome of an Ask: the reply's content, and what must follow it at once.

    `expires_in_s`: when the credential of a connect or refresh ends.
    """

    result: object
    then: Callable[[], None] | None = None
    expires_in_s: float | None = None


class Disconnected(Exception):
    """The outcome of an Ask that ends the connection, after an error reply if there is one."""

    def __init__(self, code: CloseCode, error: ChatError | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.error = error


class State(Enum):
    """OPEN: nobody yet. CONNECTING: the connect is being carried out. CONNECTED. CLOSED: nothing more happens."""

    OPEN = auto()
    CONNECTING = auto()
    CONNECTED = auto()
    CLOSED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    ping_s: float = 25.0
    pong_s: float = 8.0
    auth_timeout_s: float = 10.0


class Session:
    """One connection's protocol. `now` is a monotonic clock's seconds, given by whoever calls.

    `is_known`: the handshake brought a good credential. `name` begins the request ids of its error replies.
    """

    __slots__ = (
        "_busy",
        "_deadline",
        "_expires",
        "_is_explicit",
        "_is_known",
        "_leaving",
        "_lines",
        "_name",
        "_next_ping",
        "_pong_due",
        "_refusals",
        "_timing",
        "state",
    )

    def __init__(self, name: str, *, is_known: bool, timing: Timing, now: float) -> None:
        self._name = name
        self._is_known = is_known
        self._timing = timing
        self.state = State.OPEN
        self._lines: deque[str | bytes] = deque()
        self._busy: Ask | None = None
        self._leaving: CloseCode | None = None
        self._is_explicit = False
        self._refusals = 0
        self._deadline = now + (IMPLIED_AFTER_S if is_known else timing.auth_timeout_s)
        self._next_ping = self._pong_due = self._expires = NEVER

    @property
    def wants_input(self) -> bool:
        return len(self._lines) < WAITING_COMMANDS

    @property
    def wake_at(self) -> float:
        """When `wake` should be called, at the latest; NEVER for not at all."""
        return min(self._deadline, self._next_ping, self._pong_due, self._expires)

    @property
    def sends_pings(self) -> bool:
        """Whether `{}` keeps the connection alive; an implied one is kept so by what carries it."""
        return self._next_ping != NEVER

    def receive(self, frame: str | bytes, now: float) -> list[Effect]:
        """A text frame came: any number of commands, one a line."""
        if self.state is State.CLOSED or self._leaving is not None:
            return []
        self._pong_due = NEVER  # any frame is a sign of life
        lines = frame.split("\n") if isinstance(frame, str) else frame.split(b"\n")
        self._lines.extend(line for line in lines if line.strip())
        return self._go_on()

    def answered(self, outcome: Answer | Exception, now: float) -> list[Effect]:
        """What the last Ask came to."""
        ask, self._busy = self._busy, None
        if self.state is State.CLOSED or ask is None:
            return []
        if isinstance(outcome, Disconnected):
            effects: list[Effect] = []
            if outcome.error is not None and ask.command_id:
                effects.append(self._error(ask.command_id, outcome.error))
            return [*effects, self._close(outcome.code)]
        if isinstance(outcome, Exception):
            return self._failed(ask, outcome, now)
        return [*self._succeeded(ask, outcome, now), *self._go_on()]

    def wake(self, now: float) -> list[Effect]:
        """Time has passed."""
        if self.state is State.CLOSED:
            return []
        if now >= self._expires:
            return [self._close(EXPIRED)]
        if now >= self._pong_due:
            return [self._close(NO_PONG)]
        if now >= self._deadline:
            return self._deadline_came()
        if now >= self._next_ping:
            self._next_ping = now + self._timing.ping_s
            self._pong_due = min(self._pong_due, now + self._timing.pong_s)  # the oldest unanswered ping counts
            return [Send(PING)]
        return []

    def expire_at(self, at: float | None) -> None:
        """Somebody decided anew when the credential ends."""
        if self.state is not State.CLOSED:
            self._expires = NEVER if at is None else at

    def leave(self, code: CloseCode) -> list[Effect]:
        """Close as soon as what came until now is answered; nothing more is taken."""
        if self.state is State.CLOSED or self._leaving is not None:
            return []
        self._leaving = code
        return self._go_on()

    def closed(self) -> None:
        """The socket is gone."""
        self.state = State.CLOSED
        self._lines.clear()
        self._deadline = self._next_ping = self._pong_due = self._expires = NEVER

    def _go_on(self) -> list[Effect]:
        effects: list[Effect] = []
        while self._busy is None and self._lines and self.state is not State.CLOSED:
            effects += self._take(self._lines[0])
        if self._leaving is not None and self._busy is None and self.state is not State.CLOSED:
            effects.append(self._close(self._leaving))
        return effects

    def _take(self, line: str | bytes) -> list[Effect]:
        """The next line, which stays in front while an implied connect is carried out first."""
        try:
            value = parse(line)
            if value == {}:
                self._lines.popleft()
                return []  # a pong
            command = validated(Command, value)
        except BadJson as error:
            return [self._refused(id_in(self._lines.popleft()), error)]
        except Invalid:
            self._lines.popleft()
            return [self._refused(id_of(value), BadRequest())]
        name = self._name_of(command)
        if self.state is State.OPEN and name != "connect":
            if not self._is_known:
                return [self._close(CLOSE_BAD_REQUEST.because("connect first"))]
            return [self._connect(_IMPLIED, 0)]
        self._lines.popleft()
        if not name or (command.id == 0 and name != "send"):
            return [self._refused(command.id, BadRequest())]
        return [self._start(command, name)]

    def _start(self, command: Command, name: str) -> Effect:
        if name == "connect":
            assert command.connect is not None
            if self._is_explicit:
                return self._close(CLOSE_BAD_REQUEST.because("connected already"))
            self._is_explicit = True
            return self._connect(command.connect, command.id)
        self._refusals = 0
        self._busy = Ask(name, getattr(command, name), command.id)
        return self._busy

    def _connect(self, request: ConnectRequest, command_id: int) -> Ask:
        if self.state is State.OPEN:
            self.state = State.CONNECTING
        self._deadline = NEVER
        self._busy = Ask("connect", request, command_id)
        return self._busy

    def _succeeded(self, ask: Ask, answer: Answer, now: float) -> list[Effect]:
        if ask.name in {"connect", "refresh"}:
            self._expires = NEVER if answer.expires_in_s is None else now + answer.expires_in_s
        if ask.name == "connect":
            self.state = State.CONNECTED
            if ask.command_id:
                self._next_ping = now + random.uniform(0, self._timing.ping_s)  # noqa: S311  so that not all ping at once
        effects: list[Effect] = []
        if ask.command_id:
            told = Send(reply(ask.command_id, ask.name, answer.result))
            is_too_large = len(told.data) > REPLY_BYTES
            effects.append(self._error(ask.command_id, AnswerTooLarge()) if is_too_large else told)
        if answer.then is not None:
            effects.append(Then(answer.then))
        return effects

    def _failed(self, ask: Ask, error: Exception, now: float) -> list[Effect]:
        if ask.name == "connect":
            if not ask.command_id:
                return [self._close(SERVER_ERROR)]
            self._is_explicit = False
            if self.state is State.CONNECTING:
                self.state = State.OPEN
                self._deadline = now + self._timing.auth_timeout_s
        effects: list[Effect] = []
        if ask.command_id:
            effects.append(self._error(ask.command_id, error if isinstance(error, ChatError) else Crashed()))
        return [*effects, *self._go_on()]

    def _deadline_came(self) -> list[Effect]:
        if self._is_known and self.state is State.OPEN:
            return [self._connect(_IMPLIED, 0)]
        return [self._close(STALE)]

    def _name_of(self, command: Command) -> str:
        names = command.names
        return names[0] if len(names) == 1 else ""

    def _refused(self, command_id: int, error: ChatError) -> Effect:
        """An error reply if the command had a usable id, else the close code for bad requests."""
        self._refusals += 1
        if command_id and self._refusals <= REFUSALS:
            return self._error(command_id, error)
        return self._close(CLOSE_BAD_REQUEST.because(str(error)))

    def _error(self, command_id: int, error: ChatError) -> Send:
        return Send(error_reply(command_id, error, f"{self._name}.{command_id}"))

    def _close(self, code: CloseCode) -> Close:
        self.closed()
        return Close(code)
