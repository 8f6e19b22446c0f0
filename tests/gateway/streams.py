"""One open stream of server-sent events, read by a thread, for tests that wait for what it brings."""

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.house import PATIENCE_S, TLS, until

ENDS_S = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`id` is None when the event carried none."""

    type: str
    data: dict[str, Any]
    id: str | None


class Stream:
    """`GET` an URL of /sse. `status` and `headers` are there at once; events collect in `events` as they come."""

    def __init__(self, url: str, **headers: str) -> None:
        self._client = httpx2.Client(timeout=httpx2.Timeout(PATIENCE_S, read=30.0), verify=TLS)
        self._response = self._client.send(
            self._client.build_request("GET", url, headers={key.replace("_", "-"): headers[key] for key in headers}),
            stream=True,
        )
        self.status = self._response.status_code
        self.headers = self._response.headers
        self.lines: list[str] = []
        self.events: list[Event] = []
        self.comments = 0
        self.retries: list[int] = []
        self._taken = 0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        if self._thread.is_alive():
            found: socket.socket = self._response.extensions["network_stream"].get_extra_info("socket")
            with suppress(OSError):  # the server went first
                found.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE_S)
        self._client.close()

    @property
    def has_ended(self) -> bool:
        return not self._thread.is_alive()

    @property
    def last_id(self) -> str:
        """What an EventSource would send as Last-Event-ID."""
        return next((event.id for event in reversed(self.events) if event.id is not None), "")

    @property
    def body(self) -> str:
        """The answer's whole body, for one that is no stream."""
        until(lambda: self.has_ended, ENDS_S, "the end of the answer")
        return "\n".join(self.lines)

    def next(self) -> Event:
        """The next event of any type."""
        until(lambda: len(self.events) > self._taken or self.has_ended, what=f"an event after {self.events[-2:]}")
        assert len(self.events) > self._taken, f"the stream ended after {self.events[-2:]} {self.retries}"
        self._taken += 1
        return self.events[self._taken - 1]

    def opened(self) -> dict[str, Any]:
        """The channels of the first event, which must be stream.open."""
        found = self.next()
        assert found.type == "stream.open", found
        channels: dict[str, Any] = found.data["channels"]
        return channels

    def of_type(self, event_type: str) -> Event:
        """The next event of that type; others before it are dropped."""
        while True:
            found = self.next()
            if found.type == event_type:
                return found

    def take(self, count: int) -> list[Event]:
        return [self.next() for _ in range(count)]

    def rest(self) -> list[Event]:
        """All events until the server ends the stream."""
        until(lambda: self.has_ended, ENDS_S, "the end of the stream")
        found = self.events[self._taken :]
        self._taken = len(self.events)
        return found

    def _read(self) -> None:
        fields: dict[str, str] = {}
        try:
            for line in self._response.iter_lines():
                self.lines.append(line)
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                else:
                    self._dispatch(fields)
                    fields = {}
        except httpx2.HTTPError:
            return  # closed by `close`, or cut

    def _dispatch(self, fields: dict[str, str]) -> None:
        if "retry" in fields:
            self.retries.append(int(fields["retry"]))
        if "data" in fields:
            found = Event(type=fields.get("event", "message"), data=json.loads(fields["data"]), id=fields.get("id"))
            self.events.append(found)
