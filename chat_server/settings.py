"""The one place that reads the environment: a frozen `Settings`, with its units in its names.

Every field can be set as `CHAT_<NAME>` (a few by the name that hosts use: PORT, DATABASE_URL, REDIS_URL,
WEB_CONCURRENCY), from the environment or a `.env` file. docs/operations.md lists them; a test keeps the list whole.
"""

import os
import sys
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_core import CoreSchema, core_schema
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chat_server.ids import EVENT_NAMESPACES

LEAST_WAITING_BYTES = 4096
SECRET_BYTES = 32  # a key as long as HS256's digest (RFC 7518 3.2)

# What becomes of a reader that cannot keep up: closed, or it misses the oldest, or all but the latest.
Slow = Literal["close", "drop_oldest", "latest"]


class Registration(StrEnum):
    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


class Rate:
    """`10/min`: so many within so long, as a token bucket of that size. `0` (or empty) is no limit."""

    __slots__ = ("count", "per_s")
    _UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hour": 3600.0, "d": 86400.0, "day": 86400.0}

    def __init__(self, count: int, per_s: float = 1.0) -> None:
        self.count, self.per_s = count, per_s

    @classmethod
    def parse(cls, value: "Rate | str | int") -> "Rate":
        if isinstance(value, Rate):
            return value
        count, _, unit = str(value).strip().partition("/")
        if not count.isdecimal() or (unit or "s") not in cls._UNITS:
            raise ValueError("write it as 10/min (units: s, min, h, d), or 0 for no limit")
        return cls(int(count), cls._UNITS[unit or "s"])

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in self._UNITS.items() if seconds == self.per_s)
        return f"{self.count}/{unit}" if self.count else "0"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rate) and (self.count, self.per_s) == (other.count, other.per_s)

    def __hash__(self) -> int:
        return hash((self.count, self.per_s))

    def __bool__(self) -> bool:
        return self.count > 0


class Namespace(BaseModel):
    """The rules of the channels whose name starts with `<namespace>:`, where they are not the product's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    subscribe: Literal["anyone", "users", "token", "server"] = "users"
    publish: Literal["users", "subscribers", "server"] = "server"
    history_size: int = Field(default=0, ge=0, le=100_000)
    history_ttl_s: int = Field(default=300, ge=1, le=366 * 86400)
    presence: bool = False
    join_leave: bool = False
    slow: Slow = "close"

    @model_validator(mode="after")
    def _a_gap_needs_a_reader_who_does_not_mind(self) -> Self:
        if self.slow != "close" and self.history_size:
            raise ValueError(f"slow={self.slow} leaves gaps, so it goes with history_size 0 only")
        return self


class Settings(BaseSettings):
    """What an operator can set. Nothing else reads the environment."""

    model_config = SettingsConfigDict(
        env_prefix="CHAT_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535, validation_alias=AliasChoices("CHAT_PORT", "PORT"))
    workers: int = Field(default=1, ge=1, le=256, validation_alias=AliasChoices("CHAT_WORKERS", "WEB_CONCURRENCY"))
    data_dir: Path = Path("data")
    database_url: str = Field(default="", validation_alias=AliasChoices("CHAT_DATABASE_URL", "DATABASE_URL"))
    redis_url: str = Field(default="", validation_alias=AliasChoices("CHAT_REDIS_URL", "REDIS_URL"))
    redis_prefix: str = Field(default="chat", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    sqlite_synchronous: Literal["FULL", "NORMAL"] = "FULL"

    secret: SecretStr | None = None
    secret_previous: SecretStr | None = None
    api_key: SecretStr | None = None
    foreign_secret: SecretStr | None = None
    jwks_url: str = ""
    foreign_issuer: str = ""
    foreign_audience: str = ""
    registration: Registration = Registration.INVITE
    allowed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    public_url: str = ""

    access_ttl_s: int = Field(default=15 * 60, ge=1, le=15 * 60)
    session_ttl_days: int = Field(default=30, ge=1, le=365)
    ticket_ttl_s: int = Field(default=60, ge=1, le=300)

    namespaces: dict[str, Namespace] = Field(default_factory=lambda: {"live": Namespace()})

    event_retain_days: int = Field(default=30, ge=1, le=3650)
    message_retain_days: int = Field(default=0, ge=0, le=36500)
    stream_replay: int = Field(default=10_000, ge=0, le=1_000_000)
    presence_max_members: int = Field(default=1000, ge=1)

    slow_bytes: int = Field(default=1024 * 1024, ge=0, le=1024**3)
    frame_bytes: int = Field(default=64 * 1024, ge=1024, le=16 * 1024 * 1024)
    websocket_deflate: bool = False  # costs CPU for every message, and saves bytes where those cost more
    io_uring: bool = True  # where the kernel has it: a channel's publications leave in one system call (docs/adr/0019)
    body_bytes: int = Field(default=256 * 1024, ge=1024, le=64 * 1024 * 1024)
    ping_s: float = Field(default=25.0, gt=0, le=3600)  # home routers drop idle TCP after 30-60 s
    pong_s: float = Field(default=8.0, gt=0, le=3600)
    auth_timeout_s: float = Field(default=10.0, gt=0, le=600)
    stream_ping_s: int = Field(default=15, ge=1, le=3600)
    drain_s: float = Field(default=10.0, ge=0, le=600)

    max_connections_per_user: int = Field(default=10_000, ge=0)
    max_connections_per_address: int = Field(default=20_000, ge=0)
    max_unauthenticated: int = Field(default=1000, ge=0)
    rate_commands: Rate = Rate(2000)
    rate_http: Rate = Rate(2000)
    rate_login: Rate = Rate(10, 60.0)
    rate_login_address: Rate = Rate(100, 60.0)

    trusted_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ("127.0.0.1", "::1")
    https_redirect: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "text", "json"] = "auto"

    @field_validator("allowed_origins", "trusted_hosts", "trusted_proxies", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _origins_are_exact(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, found, host = origin.partition("://")
            if origin == "*" or not found or scheme not in {"http", "https"} or not host or "/" in host:
                raise ValueError(
                    f"{origin!r} is not an origin: write https://app.example.org, never * (cookies go along)"
                )
        return value

    @field_validator("secret", "secret_previous", "foreign_secret")
    @classmethod
    def _secrets_are_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < SECRET_BYTES:
            raise ValueError(f"it needs {SECRET_BYTES} bytes or more: openssl rand -base64 48 makes one")
        if value is not None and value.get_secret_value().lstrip().startswith(("-----BEGIN", "ssh-")):
            raise ValueError("it is a shared secret, not a key file: openssl rand -base64 48 makes one")
        return value

    @field_validator("slow_bytes")
    @classmethod
    def _some_bytes_may_wait(cls, value: int) -> int:
        if 0 < value < LEAST_WAITING_BYTES:
            raise ValueError(f"it is {LEAST_WAITING_BYTES} or more, or 0 for no bound")
        return value

    @field_validator("namespaces")
    @classmethod
    def _names_are_free(cls, value: dict[str, Namespace]) -> dict[str, Namespace]:
        for name in value:
            if name in EVENT_NAMESPACES or not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
                raise ValueError(f"{name!r} cannot be configured: use letters, digits, - and _, not a built-in name")
        return value

    @field_validator("database_url")
    @classmethod
    def _database_is_known(cls, value: str) -> str:
        scheme = value.partition(":")[0].partition("+")[0]
        if value and scheme not in {"sqlite", "postgresql", "postgres"}:
            raise ValueError("use sqlite:///path/chat.db or postgresql://user:password@host/database")
        return value

    @model_validator(mode="after")
    def _tls_needs_both(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("TLS needs both CHAT_TLS_CERT and CHAT_TLS_KEY")
        return self

    @model_validator(mode="after")
    def _foreign_tokens_name_their_maker(self) -> Self:
        if self.foreign_secret is not None and self.jwks_url:
            raise ValueError("set CHAT_FOREIGN_SECRET or CHAT_JWKS_URL, not both: a token has one kind of signature")
        if (self.foreign_secret is not None or self.jwks_url) and not (self.foreign_issuer and self.foreign_audience):
            raise ValueError("foreign tokens need CHAT_FOREIGN_ISSUER and CHAT_FOREIGN_AUDIENCE")
        if self.jwks_url and not self.jwks_url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            raise ValueError("CHAT_JWKS_URL must be https: whoever can change the answer can be anybody")
        return self

    @property
    def most_waiting_bytes(self) -> int:
        """What may wait for one reader."""
        return self.slow_bytes or sys.maxsize

    @property
    def store_url(self) -> str:
        """DATABASE_URL, or the SQLite file in the data directory."""
        if not self.database_url:
            return f"sqlite:///{quote(str(self.data_dir / 'chat.db'))}"
        for scheme in ("postgresql://", "postgres://"):
            if self.database_url.startswith(scheme):
                return "postgresql+psycopg://" + self.database_url.removeprefix(scheme)
        return self.database_url


def share_metrics(directory: str) -> None:
    """Before any worker starts: let the processes' metrics add up, in files of that directory."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory


def shared_metrics_directory() -> str:
    """Where the processes' metrics add up; "" for one process."""
    return os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")


_adopted: list[Settings] = []


def adopt(settings: Settings) -> None:
    """These are the process's: what a command line says besides the environment, or what a worker was started with."""
    get_settings.cache_clear()
    _adopted[:] = [settings]
    get_settings()


@lru_cache
def get_settings() -> Settings:
    """The process's settings, read once. A FastAPI dependency, which tests override."""
    return _adopted.pop() if _adopted else Settings()
