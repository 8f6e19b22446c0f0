"""A plain terminal: what is said scrolls up, what is being typed stays below. A pipe works too.

What others wrote is shown without control characters, so that nobody can write into somebody's terminal.
"""

import asyncio
import os
import sys
import threading
import unicodedata
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

with suppress(ImportError):  # not everywhere; then lines are edited by the terminal itself
    import readline
import termios

WAITING_LINES = 100  # of a pipe that is faster than the server
CLEAR = "\r\033[K"
UP = "\033[A"
PROMPT = "> "


class Screen:
    """Standard input and output."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
        self._status = ""
        self._room_for_lines = threading.Semaphore(WAITING_LINES)

    @property
    def typed(self) -> str:
        """What has been typed and not sent yet."""
        return readline.get_line_buffer() if self.is_terminal and "readline" in sys.modules else ""

    def show(self, text: str) -> None:
        """One more thing, above what is being typed."""
        if not self.is_terminal:
            self._write(f"{text}\n")
        else:
            self._write(f"{CLEAR}{text}\n{self._line}")

    def status(self, text: str) -> None:
        """Something that passes, before what is being typed. Not on a pipe."""
        if self.is_terminal and text != self._status:
            self._status = text
            self._write(f"{CLEAR}{self._line}")

    async def lines(self) -> AsyncIterator[str]:
        """What is typed, line by line, until its end."""
        loop = asyncio.get_running_loop()
        read: asyncio.Queue[str | None] = asyncio.Queue()  # bounded by _room_for_lines

        def forward() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody listens any more
                try:
                    for line in self._typed_lines() if self.is_terminal else _piped_lines():
                        self._room_for_lines.acquire()
                        loop.call_soon_threadsafe(read.put_nowait, line)
                finally:
                    loop.call_soon_threadsafe(read.put_nowait, None)

        threading.Thread(target=forward, name="keyboard", daemon=True).start()
        while (line := await read.get()) is not None:
            self._room_for_lines.release()
            if line.strip():
                yield line.strip()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """The terminal is left as it was found, though the keyboard is still being read."""
        if not self.is_terminal:
            yield
            return
        found = termios.tcgetattr(sys.stdin)
        try:
            yield
        finally:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, found)
            self._write(CLEAR)

    @property
    def _line(self) -> str:
        return f"{self._status}{PROMPT}{self.typed}"

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def _typed_lines(self) -> Iterator[str]:
        while True:
            try:
                line = input(PROMPT)
            except EOFError:
                return
            self._write(f"{UP}{CLEAR}")  # it comes back as a message
            yield line


def _piped_lines() -> Iterator[str]:
    """By the descriptor: a daemon thread that holds sys.stdin's lock would break the interpreter's end."""
    rest = b""
    while chunk := os.read(sys.stdin.fileno(), 65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
    if rest:
        yield rest.decode(errors="replace")


def harmless(text: str) -> str:
    """Without control characters; lines after the first are set in."""
    seen = "".join(
        character if character == "\n" or unicodedata.category(character) != "Cc" else "\ufffd" for character in text
    )
    return seen.replace("\n", "\n      ")
