"""Opening a database: which engine an URL means, and migrations under its lock."""

from importlib import resources
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import ArgumentError

from chat_server.store.dialects import CannotOpen, Engine
from chat_server.store.dialects.sqlite import SqliteEngine

__all__ = ["CannotOpen", "is_current", "migrate", "open_engine"]


def open_engine(url: str, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> Engine:
    """The engine for `url`. CannotOpen when it is of no known kind."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise CannotOpen("DATABASE_URL cannot be read: write sqlite:///path/chat.db or postgresql://...") from error
    match parsed.get_backend_name():
        case "sqlite":
            return SqliteEngine(parsed, synchronous)
        case "postgresql":
            try:  # its driver is an extra
                from chat_server.store.dialects.postgresql import PostgresEngine
            except ImportError as error:
                raise CannotOpen(
                    f"DATABASE_URL names PostgreSQL: pip install 'chat-server[postgres]' ({error})"
                ) from error
            return PostgresEngine(parsed)
        case other:
            raise CannotOpen(f"DATABASE_URL names {other}, which is not supported")


def migrate(url: str) -> None:
    """Create the database or bring it to this version. Safe to run from several processes at once.

    CannotOpen when it cannot be written, is damaged, or was made by a newer version.
    """
    with open_engine(url).migrating(create=True) as connection:
        script = ScriptDirectory.from_config(_config(connection))
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
            raise CannotOpen(f"the database is of a newer version ({found}): upgrade chat-server, or restore a back-up")
        if found != script.get_current_head():
            command.upgrade(_config(connection), "head")


def is_current(url: str) -> bool:
    """Whether the database exists and no migration is missing. CannotOpen."""
    with open_engine(url).migrating(create=False) as connection:
        head = ScriptDirectory.from_config(_config(connection)).get_current_head()
        return MigrationContext.configure(connection).get_current_revision() == head


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(resources.files("chat_server.store") / "migrations"))
    config.attributes["connection"] = connection
    return config
