"""What can go wrong for a program that uses the client.

ClientError
|-- Refused         the server answered no: `code`, `reason` (stable, docs/protocol.md), `retry_after_s`, `fields`
|-- Unsubscribed    a channel ended for this client: `code`, `reason`
|-- Unanswered      the line was cut, or time ran out, before an answer: it may have been done, or not
|-- Unreachable     the server could not be reached in time
|-- Disconnected    the server closed the connection for good: `code`, `reason`
|-- Closed          the client was closed by its own program

All but Refused and Unsubscribed are ConnectionErrors too.
"""

from collections.abc import Mapping
from typing import Any


class ClientError(Exception):
    """The root of the tree above."""


class Refused(ClientError):
    """The server's answer is an error. `reason` is the stable code, such as `room_not_found`."""

    def __init__(self, code: int, reason: str, message: str, **rest: Any) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.temporary: bool = bool(rest.get("temporary", False))
        self.request_id: str = str(rest.get("request_id", ""))
        self.retry_after_s: float | None = rest.get("retry_after_s")
        self.fields: tuple[Mapping[str, str], ...] = tuple(rest.get("fields", ()))

    def __str__(self) -> str:
        said = f"{self.code} {self.reason}: {self.args[0]}" if self.reason else f"{self.code}: {self.args[0]}"
        return said + "".join(f" ({field['field']}: {field['message']})" for field in self.fields)


class Unsubscribed(ClientError):
    """The right to follow a channel ended, or the server unsubscribed this client."""

    def __init__(self, channel: str, code: int, reason: str) -> None:
        super().__init__(f"{channel}: {code} {reason}")
        self.channel, self.code, self.reason = channel, code, reason


class Unanswered(ClientError, ConnectionError):
    """No answer came, and repeating it could do it twice: look at what is there before you try again."""


class Unreachable(ClientError, ConnectionError):
    """The server could not be reached in time."""


class Disconnected(ClientError, ConnectionError):
    """The server closed the connection with a code that says not to come back, or refused the handshake."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Closed(ClientError, ConnectionError):
    """The client is closed."""

    def __init__(self) -> None:
        super().__init__("the client is closed")


def refused_by(error: Mapping[str, Any]) -> Refused:
    """The `error` object of a reply."""
    return Refused(
        int(error.get("code", 0)),
        str(error.get("reason", "")),
        str(error.get("message", "")),
        temporary=error.get("temporary", False),
        request_id=error.get("request_id", ""),
        retry_after_s=error.get("retry_after"),
        fields=error.get("errors", ()),
    )
