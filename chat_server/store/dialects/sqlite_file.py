"""The SQLite file as a file: its name for the driver, the locks beside it, whether it is sound."""

import fcntl
import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from chat_server.store.dialects import CannotOpen


def uri_of(path: Path, mode: Literal["rw", "ro"]) -> str:
    """SQLite's name for a file that is there, whatever characters are in it (sqlite.org/uri.html)."""
    quoted = str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{quoted}?mode={mode}"


def lock_file(path: Path, database: Path) -> int:
    """A descriptor to lock. The file belongs to the database's owner even when root made it, by a command say."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        owner = database.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
    return descriptor


class Turns:
    """Who may write now: one thread of one process. Each such thread has one of these, for the locks are its own.

    SQLite's own busy handler lets some wait for ever. Who waits here holds the queue: whoever gives up a turn cannot
    take the next one before them.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._descriptors: list[int] = []

    def open(self) -> None:
        for name in ("queue.lock", "writer.lock"):
            self._descriptors.append(lock_file(self._database.with_name(name), self._database))

    def close(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    @contextmanager
    def turn(self) -> Iterator[None]:
        queue, writer = self._descriptors
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(writer, fcntl.LOCK_EX)
        fcntl.flock(queue, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(writer, fcntl.LOCK_UN)


def check_integrity(path: Path) -> None:
    """CannotOpen unless the file is sound. An empty one is: migrations fill it."""
    with closing(sqlite3.connect(uri_of(path, "rw"), uri=True, timeout=60)) as connection:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    if found != "ok":
        raise CannotOpen(f"{path} is damaged ({' '.join(found.split())}): chat-server restore a back-up")


def renew_epoch(connection: sqlite3.Connection) -> None:
    """No position that a client has holds any more. CannotOpen when that is no database of this server."""
    changed = connection.execute("UPDATE meta SET value = ? WHERE key = 'epoch'", (secrets.token_hex(4),))
    if changed.rowcount != 1:
        raise CannotOpen("it is no database of this server")
