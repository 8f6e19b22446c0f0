"""All tables. Times are milliseconds since 1970 in UTC; JSON is text; both engines hold the same.

Rows that a client can page through are ordered by a number counted under a row lock (`seq`, `offset`), never by time.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy import Text as AnyText
from sqlalchemy.dialects.postgresql import TEXT

# Compared and ordered by code points on both engines, whatever the locale of a database is: cursors run over names.
Text = AnyText().with_variant(TEXT(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("email", Text),
    Column("kind", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),
    Column("issuer", Text),
    Column("subject", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("disabled_at", BigInteger),
    Column("last_seen_at", BigInteger),
    Column("last_delivery_seq", BigInteger, nullable=False),
    UniqueConstraint("issuer", "subject"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("scopes", Text, nullable=False),
    Column("user_agent", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    # The generation of the newest refresh token that was presented, and when its successor was issued.
    Column("refresh_used", Integer, nullable=False),
    Column("refresh_issued_at", BigInteger, nullable=False),
)

tickets = Table(
    "tickets",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("session_id", Text),
    Column("key_id", Text),
    Column("scopes", Text, nullable=False),
    Column("channels", Text),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("good_until", BigInteger),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("channels", Text),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
)

invites = Table(
    "invites",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("room_id", Text, ForeignKey("rooms.id")),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("max_uses", Integer, nullable=False),
    Column("uses", Integer, nullable=False),
)

# What every worker must forget: read at start, told through the broker, polled when the broker is away.
revocations = Table(
    "revocations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)

rooms = Table(
    "rooms",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("direct_key", Text, unique=True),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("archived_at", BigInteger),
    # Counts messages, for unread; the events of the room are counted by its channel's head.
    Column("last_message_seq", BigInteger, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("room_id", Text, ForeignKey("rooms.id"), nullable=False),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("role", Text, nullable=False),
    Column("joined_at", BigInteger, nullable=False),
    # The channel's offset when the member came in: a position from before it is not recovered.
    Column("joined_after", BigInteger, nullable=False),
    Column("last_read_seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("room_id", "user_id"),
    Index(None, "user_id", "room_id"),
)

messages = Table(
    "messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("room_id", Text, ForeignKey("rooms.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("sender_id", Text, ForeignKey("users.id"), nullable=False),
    Column("client_msg_id", Text),
    Column("text", Text, nullable=False),
    Column("mentions", Text, nullable=False),
    Column("reply_to", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("edited_at", BigInteger),
    Column("deleted_at", BigInteger),
    UniqueConstraint("room_id", "seq"),
    UniqueConstraint("sender_id", "client_msg_id"),
)

# The truth for durable channels: `head` is the last offset given out, `tail` the last one trimmed away.
channels = Table(
    "channels",
    metadata,
    Column("name", Text, primary_key=True),
    Column("head", BigInteger, nullable=False),
    Column("tail", BigInteger, nullable=False),
)

event_log = Table(
    "event_log",
    metadata,
    Column("channel", Text, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    PrimaryKeyConstraint("channel", "offset"),
)

topics = Table(
    "topics",
    metadata,
    Column("name", Text, primary_key=True),
    Column("access", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

topic_readers = Table(
    "topic_readers",
    metadata,
    Column("topic", Text, ForeignKey("topics.name"), nullable=False),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    PrimaryKeyConstraint("topic", "user_id"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("topic", Text),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("tags", Text, nullable=False),
    Column("click", Text),
    Column("room_id", Text),
    Column("message_id", Text, index=True),
    Column("sender_id", Text),
    Column("created_at", BigInteger, nullable=False, index=True),
    Column("expires_at", BigInteger),
)

# One person's copy of a notification; `seq` orders that person's inbox.
deliveries = Table(
    "deliveries",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("notification_id", Text, ForeignKey("notifications.id"), nullable=False),
    Column("read_at", BigInteger),
    PrimaryKeyConstraint("user_id", "seq"),
    UniqueConstraint("notification_id", "user_id"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("actor_id", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
    PrimaryKeyConstraint("actor_id", "endpoint", "key"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("run_at", BigInteger, nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("failed", Boolean, nullable=False),
    Column("last_error", Text, nullable=False),
)
