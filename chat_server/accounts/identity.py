"""What one worker needs to know people by, made by app.py: tokens, passwords, revocations, the set-up code."""

import base64
import hashlib
import hmac
import os
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe

from chat_server.accounts.authenticator import Authenticator
from chat_server.accounts.passwords import Passwords
from chat_server.accounts.revocations import Revocations
from chat_server.accounts.tokens import Tokens
from chat_server.settings import SECRET_BYTES, Settings

SECRET_FILE = "secret"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    tokens: Tokens
    authenticator: Authenticator
    revocations: Revocations
    setup_code: str
    passwords: Passwords = field(default_factory=Passwords)


class CannotKeepSecret(Exception):
    """The secret's file cannot be used. The message says why and how to mend it, in one line."""


def secret_of(settings: Settings) -> str:
    """CHAT_SECRET, or the one that the first start made and keeps in the data directory with mode 0600."""
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    path = settings.data_dir / SECRET_FILE
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        _make(path)
        found = path.read_text().strip()
    except OSError as error:
        raise CannotKeepSecret(f"{path}: {error.strerror}: set CHAT_SECRET or mend the directory's mode") from error
    if len(found.encode()) < SECRET_BYTES:
        raise CannotKeepSecret(f"{path} is too short for a secret: remove it, and everybody logs in again")
    return found


def setup_code_of(secret: str) -> str:
    """What makes the first owner. Derived, so that every worker and every start has the same one."""
    found = hmac.new(secret.encode(), b"chat-server set-up", hashlib.sha256).digest()
    return base64.b32encode(found[:15]).decode().lower()


def _make(path: Path) -> None:
    """Two processes that start at once end up with one secret: a whole file appears, or was there."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, token_urlsafe(48).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
