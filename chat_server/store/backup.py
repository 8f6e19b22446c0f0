"""Copying a SQLite database while it is used, and putting a copy back."""

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from chat_server.store.dialects import CannotOpen
from chat_server.store.dialects.sqlite_file import check_integrity, renew_epoch, uri_of


def back_up(source: Path, target: Path) -> None:
    """A consistent copy of a database that may be in use, whole or not there at all. CannotOpen."""
    if not source.exists():
        raise CannotOpen(f"there is no database at {source}")
    draft = target.with_name(f".{target.name}.part")
    try:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        with (
            closing(sqlite3.connect(uri_of(source, "ro"), uri=True)) as reading,
            closing(sqlite3.connect(draft)) as writing,
        ):
            reading.backup(writing)  # in one step: one in pieces starts again with every commit of another process
            writing.execute("PRAGMA journal_mode = DELETE")
        check_integrity(draft)
        draft.replace(target)
    except OSError as error:
        raise CannotOpen(f"{target}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise CannotOpen(f"{source}: {error}") from error
    finally:
        draft.unlink(missing_ok=True)


def restore(source: Path, target: Path) -> Path | None:
    """Put a back-up in the database's place; answers where the one that was there is kept.

    The epoch becomes a new one: offsets that were given out after the back-up will be given out again, so no client may
    go on from a position it has. The server must not be running: the caller holds its lock. CannotOpen.
    """
    if not source.is_file():
        raise CannotOpen(f"there is no back-up at {source}")
    draft = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, draft)
        draft.chmod(0o600)
        check_integrity(draft)
        with closing(sqlite3.connect(draft)) as connection, connection:
            renew_epoch(connection)
        kept = _set_aside(target)
        draft.replace(target)
    except OSError as error:
        raise CannotOpen(f"{target}: {error.strerror}") from error
    except sqlite3.Error as error:
        raise CannotOpen(f"{source}: {error}: is it a back-up of this server?") from error
    finally:
        draft.unlink(missing_ok=True)
    return kept


def _set_aside(path: Path) -> Path | None:
    if not path.exists():
        return None
    kept = path.with_name(path.name + ".before-restore")
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:  # a damaged one stays as it is
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.replace(kept)
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    log, kept_log = path.with_name(f"{path.name}-wal"), kept.with_name(f"{kept.name}-wal")
    kept_log.unlink(missing_ok=True)
    if log.exists():
        log.replace(kept_log)  # empty now, unless the database is damaged
    return kept
