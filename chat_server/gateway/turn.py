"""What one turn of the event loop has to write, handed to the kernel together at its end.

Laws. A writer has at most one send under way, so what it writes otherwise comes after that. A socket that did not take
all of it gets the rest from its transport, which knows how to wait.
"""

import asyncio
from typing import Protocol

from chat_server.gateway.ring import Ring, entry_for, sends_of


class Writer(Protocol):
    """Something that collects what it has to write. None of these calls awaits or raises.

    `entry` names its socket to the ring, and is empty once that is closed. `is_clear`: nothing waits before what is
    delivered next. `out` is what waits.
    """

    entry: bytes
    is_clear: bool
    out: list[bytes]

    def load(self) -> None:
        """Pass on what waits: to `Turn.send`, or to the transport."""

    def write_rest(self, rest: bytes) -> None:
        """The socket did not take the end of what was sent: the transport is to write it."""


class Turn:
    """One worker's. A writer adds itself when it has something, and passes it on once in the next turn."""

    __slots__ = ("_data", "_is_due", "_loop", "_ring", "_sends", "_waiting", "_writers")

    def __init__(self, ring: Ring | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._ring = ring
        self._waiting: list[Writer] = []
        self._sends: list[tuple[bytes, list[Writer]]] = []
        self._data: bytes | None = None  # the last of them, and to whom it goes
        self._writers: list[Writer] = []
        self._is_due = False

    def entry_for(self, transport: asyncio.BaseTransport) -> bytes:
        """What names a transport's socket to `send`; empty where only the transport can write: TLS, or no ring."""
        socket = transport.get_extra_info("socket")
        if self._ring is None or socket is None or transport.get_extra_info("sslcontext") is not None:
            return b""
        return entry_for(socket.fileno())

    def add(self, writer: Writer) -> None:
        self._waiting.append(writer)
        self._come()

    def send(self, writer: Writer, data: bytes) -> None:
        """Write `data` with whatever else this turn sends. The writer, which has an entry, is not clear until then."""
        if data is not self._data:
            self._data, self._writers = data, []
            self._sends.append((data, self._writers))
            self._come()
        self._writers.append(writer)

    def submit(self) -> None:
        """Write what was sent until now."""
        sends, ring = self._sends, self._ring
        if not sends or ring is None:
            return
        self._sends, self._data, self._writers = [], None, []
        failed = ring.submit(bytearray().join([sends_of([one.entry for one in them], data) for data, them in sends]))
        for _, writers in sends:
            for writer in writers:
                writer.is_clear = not writer.out and writer.entry != b""
        if failed:
            _write_rests(sends, failed)

    def _come(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._end)

    def _end(self) -> None:
        try:
            self.submit()
            waiting, self._waiting = self._waiting, []
            for writer in waiting:
                writer.load()
            self.submit()
        finally:
            self._is_due = False
            if self._waiting or self._sends:  # of whom one of those closed
                self._come()


def _write_rests(sends: list[tuple[bytes, list[Writer]]], failed: dict[int, int]) -> None:
    taken = {entry_for(descriptor): size for descriptor, size in failed.items()}
    for data, writers in sends:
        for writer in writers:
            if writer.entry in taken:
                writer.write_rest(data[taken[writer.entry] :])
