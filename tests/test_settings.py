"""Settings: what they are out of the box, how they are written, and that a bad one is said clearly."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic_settings import SettingsError

from chat_server.ids import EVENT_NAMESPACES
from chat_server.settings import Namespace, Rate, Registration, Settings, adopt, get_settings

SECRET = "s" * 32


def with_env(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings(_env_file=None)


def refusal(**given: Any) -> str:
    """What is wrong with them, as the first line that a person reads."""
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, **given)
    return str(refused.value.errors()[0]["msg"])


def test_out_of_the_box(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "DATABASE_URL", "REDIS_URL", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    found = Settings(_env_file=None)

    assert (found.host, found.port, found.workers, found.data_dir) == ("127.0.0.1", 8000, 1, Path("data"))
    assert (found.registration, found.database_url, found.redis_url) == (Registration.INVITE, "", "")
    assert found.namespaces == {"live": Namespace(subscribe="users", publish="server", history_size=0)}
    assert (found.rate_commands, found.rate_http) == (Rate(2000), Rate(2000))
    assert (found.rate_login, found.rate_login_address) == (Rate(10, 60.0), Rate(100, 60.0))
    assert (found.max_connections_per_user, found.max_connections_per_address) == (10_000, 20_000)
    assert (found.max_unauthenticated, found.drain_s, found.slow_bytes) == (1000, 10.0, 1024 * 1024)
    assert (found.frame_bytes, found.event_retain_days, found.message_retain_days) == (64 * 1024, 30, 0)
    assert (found.stream_replay, found.presence_max_members) == (10_000, 1000)
    assert (found.secret, found.api_key, found.allowed_origins) == (None, None, ())


@pytest.mark.parametrize(
    ("name", "value", "field", "wanted"),
    [
        ("PORT", "9000", "port", 9000),
        ("CHAT_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("CHAT_DATA_DIR", "/var/lib/chat", "data_dir", Path("/var/lib/chat")),
        ("DATABASE_URL", "sqlite:////tmp/x.db", "database_url", "sqlite:////tmp/x.db"),
        ("REDIS_URL", "redis://h", "redis_url", "redis://h"),
        ("WEB_CONCURRENCY", "4", "workers", 4),
        ("CHAT_REGISTRATION", "closed", "registration", Registration.CLOSED),
        ("CHAT_ALLOWED_ORIGINS", "https://a.example, http://localhost:5173 ,", "allowed_origins", None),
        ("CHAT_RATE_LOGIN", "5/min", "rate_login", Rate(5, 60.0)),
        ("CHAT_RATE_HTTP", "0", "rate_http", Rate(0)),
        ("CHAT_DRAIN_S", "2.5", "drain_s", 2.5),
        ("CHAT_SLOW_BYTES", "65536", "slow_bytes", 65536),
        ("CHAT_TRUSTED_PROXIES", "10.0.0.1,10.0.0.2", "trusted_proxies", ("10.0.0.1", "10.0.0.2")),
        ("CHAT_HTTPS_REDIRECT", "true", "https_redirect", True),
        ("CHAT_MAX_CONNECTIONS_PER_USER", "0", "max_connections_per_user", 0),
    ],
)
def test_the_environment_sets(monkeypatch: pytest.MonkeyPatch, name: str, value: str, field: str, wanted: Any) -> None:
    found = with_env(monkeypatch, **{name: value})

    if field == "allowed_origins":
        wanted = ("https://a.example", "http://localhost:5173")
    assert getattr(found, field) == wanted


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    found = with_env(monkeypatch, PORT="", CHAT_SECRET="", CHAT_NAMESPACES="", REDIS_URL="")

    assert (found.port, found.secret, found.redis_url) == (8000, None, "")


def test_an_unknown_variable_does_not_stop_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_env(monkeypatch, CHAT_OF_ANOTHER_VERSION="x").port == 8000


def test_a_file_sets_what_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=9001\nCHAT_HOST=::1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORT", "9002")

    found = Settings()

    assert (found.port, found.host) == (9002, "::1")


def test_the_settings_are_read_once_and_never_change() -> None:
    get_settings.cache_clear()
    try:
        found = get_settings()
        assert get_settings() is found
        with pytest.raises(ValidationError):
            found.port = 1
    finally:
        get_settings.cache_clear()


def test_a_process_may_adopt_settings_and_reads_its_own_when_they_are_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    try:
        adopt(Settings(_env_file=None, port=9003))
        adopted = get_settings()
        assert get_settings() is adopted
        get_settings.cache_clear()

        assert (adopted.port, get_settings().port) == (9003, 9001)
    finally:
        get_settings.cache_clear()


# What is refused, and a word that the refusal must have.
BAD: list[tuple[dict[str, Any], str]] = [
    ({"port": 65536}, "65535"),
    ({"port": -1}, "greater"),
    ({"port": "http"}, "integer"),
    ({"workers": 0}, "greater"),
    ({"workers": "many"}, "integer"),
    ({"secret": "x" * 31}, "32 bytes"),
    ({"secret": "short"}, "32 bytes"),
    ({"secret_previous": "short"}, "32 bytes"),
    ({"secret": "-----BEGIN PUBLIC KEY-----\n" + "x" * 32}, "key"),
    ({"secret": "ssh-rsa " + "x" * 32}, "key"),
    ({"registration": "public"}, "open"),
    ({"database_url": "mysql://host/db"}, "sqlite:///"),
    ({"database_url": "chat.db"}, "sqlite:///"),
    ({"sqlite_synchronous": "OFF"}, "FULL"),
    ({"allowed_origins": "*"}, "never *"),
    ({"allowed_origins": "app.example.org"}, "https://app.example.org"),
    ({"allowed_origins": "https://app.example.org/"}, "origin"),
    ({"allowed_origins": "https://app.example.org/path"}, "origin"),
    ({"allowed_origins": "ws://app.example.org"}, "origin"),
    ({"allowed_origins": "null"}, "origin"),
    ({"rate_login": "often"}, "10/min"),
    ({"rate_login": "10/fortnight"}, "10/min"),
    ({"rate_http": "-1/s"}, "10/min"),
    ({"rate_http": "1.5/s"}, "10/min"),
    ({"access_ttl_s": 901}, "900"),
    ({"access_ttl_s": 0}, "greater"),
    ({"ticket_ttl_s": 0}, "greater"),
    ({"slow_bytes": 1}, "4096"),
    ({"drain_s": -1}, "greater"),
    ({"drain_s": "nan"}, ""),
    ({"tls_cert": "cert.pem"}, "CHAT_TLS_KEY"),
    ({"tls_key": "key.pem"}, "CHAT_TLS_CERT"),
    ({"log_level": "loud"}, "debug"),
    ({"log_format": "xml"}, "json"),
    ({"namespaces": {"live": {"slow": "latest", "history_size": 10}}}, "history_size 0"),
    ({"namespaces": {"live": {"slow": "drop_oldest", "history_size": 1}}}, "history_size 0"),
    ({"namespaces": {"live": {"slow": "never"}}}, "close"),
    ({"namespaces": {"live": {"subscribe": "all"}}}, "anyone"),
    ({"namespaces": {"live": {"publish": "anyone"}}}, "users"),
    ({"namespaces": {"live": {"histroy_size": 10}}}, "xtra"),
    ({"namespaces": {"live": {"history_size": -1}}}, "greater"),
    ({"namespaces": {"live": {"history_ttl_s": 0}}}, "greater"),
    ({"namespaces": {"live": None}}, ""),
    ({"namespaces": {"a:b": {}}}, "letters"),
    ({"namespaces": {"": {}}}, "letters"),
    ({"namespaces": {"ü": {}}}, "letters"),
    ({"namespaces": {"a b": {}}}, "letters"),
    ({"namespaces": ["live"]}, "dict"),
    *[({"namespaces": {name: {}}}, "built-in") for name in sorted(EVENT_NAMESPACES)],
]


@pytest.mark.parametrize(("given", "word"), BAD, ids=[json.dumps(row[0])[:60] for row in BAD])
def test_a_bad_setting_is_refused_clearly(given: dict[str, Any], word: str) -> None:
    message = refusal(**given)

    assert word in message
    assert "\n" not in message


@pytest.mark.parametrize("secret", ["short-canary", "x" * 31])
def test_a_refused_secret_is_not_repeated(secret: str) -> None:
    assert secret not in refusal(secret=secret)


def test_a_secret_counts_in_bytes_not_in_characters() -> None:
    assert Settings(_env_file=None, secret="ü" * 16).secret is not None
    assert "32 bytes" in refusal(secret="ü" * 15)


def test_secrets_are_not_shown() -> None:
    found = Settings(
        _env_file=None, secret="canary-" + SECRET, secret_previous="canary-" + SECRET, api_key="canary-key"
    )

    assert "canary" not in repr(found) + str(found) + str(found.model_dump())


def test_namespaces_are_written_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {"chat": {"publish": "users", "history_size": 50, "presence": True}, "my-feed_2": {"subscribe": "anyone"}}

    found = with_env(monkeypatch, CHAT_NAMESPACES=json.dumps(rules))

    assert set(found.namespaces) == set(rules)
    assert found.namespaces["chat"].history_size == 50
    assert found.namespaces["my-feed_2"].subscribe == "anyone"


@pytest.mark.parametrize("text", ["{", "live", "{'live': {}}", "{live: {}}"])
def test_namespaces_that_are_no_json_are_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    with pytest.raises(SettingsError):
        with_env(monkeypatch, CHAT_NAMESPACES=text)


@given(count=st.integers(0, 10**6), unit=st.sampled_from(["s", "min", "h", "d"]))
def test_a_rate_reads_what_it_writes(count: int, unit: str) -> None:
    rate = Rate.parse(f"{count}/{unit}")

    assert rate.count == count
    assert bool(rate) is (count > 0)
    if rate:
        assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    ("text", "per_s"), [("5", 1.0), ("5/s", 1.0), (" 5/min ", 60.0), ("5/hour", 3600.0), ("5/day", 86400.0)]
)
def test_a_rate_has_units(text: str, per_s: float) -> None:
    assert Rate.parse(text) == Rate(5, per_s)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "sqlite:///data/chat.db"),
        ({"data_dir": "/var/lib/chat"}, "sqlite:////var/lib/chat/chat.db"),
        ({"database_url": "sqlite:////srv/x.db"}, "sqlite:////srv/x.db"),
        ({"database_url": "postgresql://u:p@h/db"}, "postgresql+psycopg://u:p@h/db"),
        ({"database_url": "postgres://u:p@h/db"}, "postgresql+psycopg://u:p@h/db"),
        ({"database_url": "postgresql+psycopg://u:p@h/db"}, "postgresql+psycopg://u:p@h/db"),
    ],
)
def test_the_database_is_a_file_unless_it_is_named(given: dict[str, Any], wanted: str) -> None:
    assert Settings(_env_file=None, **given).store_url == wanted
