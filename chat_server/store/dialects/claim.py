"""One server alone on a PostgreSQL database: an advisory lock, held by a session that a thread looks after."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from chat_server.store.dialects import CannotOpen

logger = logging.getLogger(__name__)

LOOK_S = 1.0
END_S = 1.0  # a database that does not answer frees the lock by itself
# Any number that nobody else takes; of each schema, as servers may share a database.
LOCK = "(714811612, hashtext(coalesce(current_schema(), '')))"
# A machine that vanished loses the lock after 11 seconds, not after hours.
SESSION = {"tcp_keepalives_idle": 5, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 3}

Session = Callable[[], "psycopg.Connection[Any]"]


@contextmanager
def claimed(open_session: Session) -> Iterator[None]:
    """Hold the lock. CannotOpen when another server does.

    A lost session is opened again. Another server that took the lock meanwhile is complained of: both go on, as it
    could be one's own lost session, too.
    """
    session = _taken(open_session)
    if session is None:
        raise CannotOpen(
            "another server uses this database: set REDIS_URL for both, or give each a database of its own"
        )
    is_over = threading.Event()
    thread = threading.Thread(
        target=_look_after, args=(session, open_session, is_over), name="store-claim", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join(END_S)


def _taken(open_session: Session) -> "psycopg.Connection[Any] | None":
    session = open_session()
    found = session.execute(f"SELECT pg_try_advisory_lock{LOCK}").fetchone()
    if found is not None and found[0]:
        return session
    session.close()
    return None


def _look_after(session: "psycopg.Connection[Any] | None", open_session: Session, is_over: threading.Event) -> None:
    while not is_over.wait(LOOK_S):
        try:
            if session is not None:
                session.execute("SELECT 1")
                continue
            session = _taken(open_session)
            if session is None:
                logger.error("store.shared_without_redis")
        except psycopg.Error:
            if session is not None:
                session.close()
            session = None
    if session is not None:
        with suppress(psycopg.Error):  # a session that is closed lives on for a moment
            session.execute(f"SELECT pg_advisory_unlock{LOCK}")
        session.close()
