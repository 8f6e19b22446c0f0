"""Offsets after a power cut: with synchronous=NORMAL the newest commits may be lost, and their offsets given out again.

So the database remembers, durably, in which boot of the machine it is in use, until the last one who uses it leaves. A
start that finds another boot follows an unclean stop of the machine: it makes a new epoch, as `restore` does.
"""

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from chat_server.store.dialects.sqlite_file import lock_file, renew_epoch, uri_of

logger = logging.getLogger(__name__)

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
KEY = "in_use_since_boot"
BUSY_TIMEOUT_S = 5.0


class PowerCutGuard:
    """One process's. Both methods are called in the process's turn to write, with no other connection of its own open.

    `is_at_risk`: this process commits without waiting for the disk.
    """

    def __init__(self, path: Path, *, is_at_risk: bool) -> None:
        self._path = path
        self._is_at_risk = is_at_risk
        self._fd = -1

    def enter(self) -> None:
        """Make a new epoch when offsets may have been lost, and note that they may be lost from now on."""
        boot = boot_id()
        with self._durable() as connection:
            row = connection.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
            if row is not None and row[0] != boot:
                renew_epoch(connection)
                logger.warning("store.new_epoch", extra={"reason": "the machine stopped while synchronous=NORMAL"})
                connection.execute("DELETE FROM meta WHERE key = ?", (KEY,))
            if self._is_at_risk:
                connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (KEY, boot))
        if self._is_at_risk:
            self._fd = lock_file(self._path.with_name("boot.lock"), self._path)
            fcntl.flock(self._fd, fcntl.LOCK_SH)

    def leave(self) -> None:
        """The last one brings everything to the disk, and then takes the note back."""
        if self._fd < 0:
            return
        with suppress(BlockingIOError, sqlite3.Error):
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self._durable() as connection:
                connection.execute("DELETE FROM meta WHERE key = ?", (KEY,))
        os.close(self._fd)
        self._fd = -1

    @contextmanager
    def _durable(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(uri_of(self._path, "rw"), uri=True, timeout=BUSY_TIMEOUT_S)) as connection:
            connection.execute("PRAGMA synchronous = FULL")  # its fsync carries all earlier commits along
            with connection:
                yield connection


def boot_id() -> str:
    """Of this run of the machine. Where the system does not say, it is another one each time: better one epoch more."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return uuid4().hex
