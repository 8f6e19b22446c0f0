"""What `chat-server doctor` looks at: the effective settings, and whether this machine can run them well."""

import asyncio
import os
import resource
import stat
import time
from dataclasses import dataclass, field

from pydantic import SecretStr

from chat_server.accounts.identity import SECRET_FILE, CannotKeepSecret, secret_of
from chat_server.admin import in_store, shown_url, sqlite_path
from chat_server.broker.redis.advice import findings
from chat_server.gateway.ring import Ring
from chat_server.logs import masked
from chat_server.settings import Registration, Settings
from chat_server.store.engine import CannotOpen, is_current

FILES_WANTED = 10_000
PUBLIC_ADVICE = {
    "max_connections_per_user": 50,
    "max_connections_per_address": 200,
    "rate_commands": "50/s",
    "rate_http": "50/s",
}


@dataclass(slots=True)
class Report:
    """Lines for a person. `is_ill`: something is wrong that should be mended before this goes into production."""

    lines: list[str] = field(default_factory=list)
    is_ill: bool = False

    def good(self, text: str) -> None:
        self.lines.append(f"  ok    {text}")

    def advice(self, text: str) -> None:
        self.lines.append(f"  note  {text}")

    def bad(self, text: str) -> None:
        self.lines.append(f"  BAD   {' '.join(text.split())}")  # an engine's words may fill several lines
        self.is_ill = True


def examine(settings: Settings) -> Report:
    report = Report()
    _show_settings(report, settings)
    report.lines.append("Checks")
    _check_secret(report, settings)
    _check_database(report, settings)
    _check_broker(report, settings)
    _check_clock(report)
    _check_files(report)
    _check_ring(report, settings)
    _check_exposure(report, settings)
    return report


def _show_settings(report: Report, settings: Settings) -> None:
    report.lines.append("Settings")
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name in {"database_url", "redis_url"}:
            value = masked(str(value))
        elif isinstance(value, SecretStr):
            value = "(set)"
        changed = "" if name not in settings.model_fields_set else "  (set)"
        report.lines.append(f"  {name} = {value!s}{changed}")


def _check_secret(report: Report, settings: Settings) -> None:
    path = settings.data_dir / SECRET_FILE
    if settings.secret is not None:
        report.good("CHAT_SECRET is set")
        return
    if not path.exists():
        report.advice(f"{path} will be made at the first start")
        return
    try:
        secret_of(settings)
    except CannotKeepSecret as error:
        report.bad(str(error))
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        report.bad(f"{path} can be read by others ({mode:o}): chmod 600 {path}")
    else:
        report.good(f"{path} is readable by its owner only")


def _check_database(report: Report, settings: Settings) -> None:
    if not settings.database_url and not sqlite_path(settings).exists():
        report.advice(f"{sqlite_path(settings)} will be made at the first start")
        return
    try:
        current = is_current(settings.store_url)
        in_store(settings, lambda unit: None)
    except CannotOpen as error:
        report.bad(str(error))
        return
    report.good(f"{shown_url(settings)} can be written" + ("" if current else "; it was brought up to date"))
    if settings.sqlite_synchronous == "NORMAL":
        report.advice("CHAT_SQLITE_SYNCHRONOUS=NORMAL: a power cut may lose the last acknowledged messages")
    if not settings.database_url:
        free = os.statvfs(sqlite_path(settings).parent)
        if free.f_bavail * free.f_frsize < 1 << 30:
            report.bad("less than 1 GiB is free where the database is: make room")


def _check_broker(report: Report, settings: Settings) -> None:
    if not settings.redis_url:
        report.good("no REDIS_URL: one worker, with the broker in its memory")
        return
    try:
        found = asyncio.run(findings(settings.redis_url))
    except ValueError as error:  # BadRedisUrl, or what is no URL at all
        report.bad(f"REDIS_URL: {masked(str(error))}")
        return
    for each in found:
        (report.bad if each.is_ill else report.advice)(each.text)
    if not found:
        report.good("Redis answers, and is set up well")


def _check_clock(report: Report) -> None:
    if time.time() < 1_767_225_600:  # 2026-01-01: no machine with a set clock is before it
        report.bad("the clock is years behind: set it, or every token is refused elsewhere")
    else:
        report.good("the clock is set")


def _check_files(report: Report) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if 0 <= hard < FILES_WANTED:
        report.bad(f"only {hard} files may be open, and a connection is one: raise the limit (LimitNOFILE, ulimit -Hn)")
    else:
        report.good(f"{hard} files may be open")


def _check_ring(report: Report, settings: Settings) -> None:
    if not settings.io_uring:
        report.good("CHAT_IO_URING is off: a publication is written to each of its readers by a call of its own")
        return
    try:
        Ring().close()
    except OSError as error:
        report.advice(
            f"no io_uring ({error.strerror}): fine, but wide channels cost a fifth more; it takes Linux 6.0 or newer, "
            "and containers forbid it unless their seccomp profile allows it"
        )
    else:
        report.good("io_uring writes a publication to many readers at once")


def _check_exposure(report: Report, settings: Settings) -> None:
    """What is fine on a laptop and not on the internet."""
    if settings.host in {"127.0.0.1", "::1", "localhost"}:
        report.good("listens on this machine only")
        return
    report.advice(f"listens on {settings.host}: for the public internet consider")
    for name, value in PUBLIC_ADVICE.items():
        report.lines.append(f"          CHAT_{name.upper()}={value}")
    if settings.tls_cert is None:
        report.advice("no TLS here: put a proxy with TLS in front, and name it in CHAT_TRUSTED_PROXIES")
    if settings.registration is Registration.OPEN:
        report.advice("CHAT_REGISTRATION=open: anybody who reaches it can register")
    if not settings.trusted_hosts:
        report.advice("CHAT_TRUSTED_HOSTS is empty: name the hosts that it serves")
