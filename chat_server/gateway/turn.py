"""What one turn of the event loop has to write, handed to the transports at its end."""

import asyncio
from typing import Protocol


class Writer(Protocol):
    """Something that collects what it has to write. `flush` never awaits or raises."""

    def flush(self) -> None: ...


class Turn:
    """One worker's. A writer adds itself when it has something, and is flushed once in the next turn."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: list[Writer] = []

    def add(self, writer: Writer) -> None:
        if not self._waiting:
            self._loop.call_soon(self._end)
        self._waiting.append(writer)

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, []
        for writer in waiting:
            writer.flush()
