"""Tokens of an app that has its own users: its back end signs, this server believes them.

The unverified `iss` only selects the verifier: one shared secret (HS256) or one key set (RS256, ES256, EdDSA), never
both. Somebody is (iss, sub); they are made on first sight, and a name never links them to a local account.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from chat_server.accounts.jwks import KeySet
from chat_server.accounts.tokens import ALGORITHM, check_times, shape_of, verify_signature
from chat_server.clock import Clock, now_ms
from chat_server.errors import ChatError, TokenInvalid
from chat_server.settings import Settings

NAME_CHARS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignClaims:
    """What a foreign token says. `channel` is that of a subscription token, "" for a connection's."""

    issuer: str
    subject: str
    name: str
    channel: str
    expires_at: int


class ForeignTokens:
    """Verifies one issuer's tokens."""

    def __init__(self, settings: Settings, clock_ms: Clock = now_ms, keys: KeySet | None = None) -> None:
        self.issuer = settings.foreign_issuer
        self._audience = settings.foreign_audience
        self._secret = "" if settings.foreign_secret is None else settings.foreign_secret.get_secret_value()
        self._keys = keys or (KeySet(settings.jwks_url) if settings.jwks_url else None)
        self._clock_ms = clock_ms

    @property
    def is_on(self) -> bool:
        return bool(self._secret or self._keys)

    def is_for(self, token: str) -> bool:
        """Whether the token says that it is of this issuer; nothing is verified yet."""
        if not self.is_on:
            return False
        try:
            return bool(shape_of(token)[1].get("iss") == self.issuer)
        except Exception:  # noqa: BLE001  a parser fed by strangers
            return False

    async def read(self, token: str) -> ForeignClaims:
        """The claims of a token of this issuer. TokenExpired, TokenInvalid; Unavailable while it has no keys."""
        if not self.is_on:
            raise TokenInvalid()  # an empty secret must verify nothing
        try:
            header, claims = shape_of(token)
            await self._verify(token, header)
            return self._checked(claims)
        except ChatError:
            raise
        except Exception as error:  # a library's parser fed by strangers: whatever it raises means "not valid"
            raise TokenInvalid() from error

    async def _verify(self, token: str, header: dict[str, Any]) -> None:
        if "crit" in header:
            raise TokenInvalid()
        key: Any = self._secret
        algorithm = ALGORITHM
        if self._keys is not None:
            key, algorithm = await self._keys.key_for(header.get("kid"))
        if header.get("alg") != algorithm:
            raise TokenInvalid()
        verify_signature(token, key, algorithm)

    def _checked(self, claims: dict[str, Any]) -> ForeignClaims:
        if "exp" not in claims:
            raise TokenInvalid()
        check_times({"iat": 0, **claims}, self._clock_ms() / 1000)
        audience = claims.get("aud")
        if claims["iss"] != self.issuer or (audience != self._audience and self._audience not in _listed(audience)):
            raise TokenInvalid()
        subject, name, channel = claims["sub"], claims.get("name", ""), claims.get("channel", "")
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not isinstance(channel, str):
            raise TokenInvalid()
        if not subject.isprintable():  # neither control characters nor lone surrogates: no engine stores both
            raise TokenInvalid()
        return ForeignClaims(
            issuer=self.issuer,
            subject=subject,
            name=_shown(name if isinstance(name, str) else ""),
            channel=channel,
            expires_at=claims["exp"],
        )


def username_of(issuer: str, subject: str) -> str:
    """A name that no local account is likely to have, and that stays the same."""
    return "x-" + hashlib.sha256(f"{issuer}\n{subject}".encode()).hexdigest()[:24]


def _listed(audience: object) -> list[object]:
    return audience if isinstance(audience, list) else []


def _shown(name: str) -> str:
    return "".join(char for char in name if char.isprintable()).strip()[:NAME_CHARS]
