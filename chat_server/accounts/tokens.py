"""JSON Web Tokens: the only module that knows python-jose, and that does not trust its defaults.

python-jose 3.5.0 accepts a missing `exp` or `aud`, unknown `crit`, an empty key, and raises RecursionError on a nested
header. So: size and shape first, a fixed algorithm, our own checks of every claim, and any exception is a TokenInvalid.
"""

import base64
import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jose import jws, jwt

from chat_server.clock import Clock, now_ms
from chat_server.errors import ChatError, TokenExpired, TokenInvalid
from chat_server.ids import SessionId, UserId, new_id

ALGORITHM = "HS256"
ISSUER = AUDIENCE = "chat-server"
MAX_BYTES = 4096
ACCESS_LONGEST_S = 15 * 60
AHEAD_S = 30  # how far another machine's clock may be ahead of ours
KEPT_TOKENS = 10_000  # access tokens found good: in a reconnect storm they all come again
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

TokenType = Literal["access", "refresh", "cookie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says. Times are Unix seconds. `generation` counts a session's refresh tokens."""

    user_id: UserId
    session_id: SessionId
    scopes: frozenset[str]
    issued_at: int
    expires_at: int
    generation: int


class Tokens:
    """Issues and verifies this server's tokens with the current secret; the previous one is still accepted."""

    def __init__(self, secret: str, previous: str | None = None, clock_ms: Clock = now_ms) -> None:
        self._kid = _kid(secret)
        self._keys = {_kid(key): key.encode() for key in (secret, previous) if key}
        self._clock_ms = clock_ms
        self._found_good: OrderedDict[str, Claims] = OrderedDict()

    def access(self, user_id: UserId, session_id: SessionId, scopes: Iterable[str], ttl_s: int) -> str:
        now = self._clock_ms() // 1000
        claims = {"jti": new_id(), "iat": now, "exp": now + ttl_s, "scope": " ".join(sorted(scopes))}
        return self._sign("access", user_id, session_id, claims)

    def refresh(self, user_id: UserId, session_id: SessionId, generation: int, issued_s: int, expires_s: int) -> str:
        """The same arguments give the same token, so that two tabs that refresh at once get one successor."""
        claims = {"jti": f"{session_id}.{generation}", "iat": issued_s, "exp": expires_s, "gen": generation}
        return self._sign("refresh", user_id, session_id, claims)

    def cookie(self, user_id: UserId, session_id: SessionId, expires_s: int) -> str:
        claims = {"jti": new_id(), "iat": self._clock_ms() // 1000, "exp": expires_s}
        return self._sign("cookie", user_id, session_id, claims)

    def read(self, token: str, typ: TokenType) -> Claims:
        """The claims of a token of that type. TokenExpired, or TokenInvalid for whatever else is wrong with it."""
        known = self._found_good.get(token)
        if known is not None and typ == "access" and known.expires_at > self._clock_ms() / 1000:
            self._found_good.move_to_end(token)
            return known
        try:
            claims = self._read(token, typ)
            if typ == "access":
                self._keep(token, claims)
            return claims
        except ChatError:
            raise
        except Exception as error:  # a library's parser fed by strangers: whatever it raises means "not valid"
            raise TokenInvalid() from error

    def _keep(self, token: str, claims: Claims) -> None:
        """Whether it was revoked meanwhile is asked elsewhere, each time."""
        self._found_good[token] = claims
        if len(self._found_good) > KEPT_TOKENS:
            self._found_good.popitem(last=False)

    def _sign(self, typ: TokenType, user_id: UserId, session_id: SessionId, claims: dict[str, object]) -> str:
        common = {"iss": ISSUER, "aud": AUDIENCE, "typ": typ, "sub": user_id, "sid": session_id}
        token: str = jwt.encode({**common, **claims}, self._keys[self._kid], ALGORITHM, headers={"kid": self._kid})
        return token

    def _read(self, token: str, typ: TokenType) -> Claims:
        header, claims = shape_of(token)
        if header.get("alg") != ALGORITHM or "crit" in header:
            raise TokenInvalid()
        jwt.decode(token, self._keys_for(header), [ALGORITHM], options=_SIGNATURE_ONLY)
        check_times(claims, self._clock_ms() / 1000)
        if claims["iss"] != ISSUER or claims["aud"] != AUDIENCE or claims["typ"] != typ:
            raise TokenInvalid()
        if typ == "access" and (
            claims["exp"] - claims["iat"] > ACCESS_LONGEST_S or not isinstance(claims["scope"], str)
        ):
            raise TokenInvalid()
        for name in ("sub", "sid", "jti"):
            if not isinstance(claims[name], str) or not claims[name]:
                raise TokenInvalid()
        return Claims(
            user_id=UserId(claims["sub"]),
            session_id=SessionId(claims["sid"]),
            scopes=frozenset(claims.get("scope", "").split()),
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            generation=int(claims.get("gen", 0)),
        )

    def _keys_for(self, header: dict[str, Any]) -> list[bytes]:
        if "kid" not in header:
            return list(self._keys.values())
        if header["kid"] not in self._keys:
            raise TokenInvalid()
        return [self._keys[header["kid"]]]


def verify_signature(token: str, key: "str | Mapping[str, Any]", algorithm: str) -> None:
    """TokenInvalid unless `token` was signed by that key (a shared secret, or a public JWK) with that algorithm."""
    try:
        if algorithm == "EdDSA":
            signed, _, signature = token.rpartition(".")
            assert not isinstance(key, str)
            Ed25519PublicKey.from_public_bytes(_decoded(key["x"])).verify(_decoded(signature), signed.encode())
        else:
            jws.verify(token, key if isinstance(key, str) else dict(key), [algorithm])
    except Exception as error:  # whatever a library raises on strangers' input means "not valid"
        raise TokenInvalid() from error


_SIGNATURE_ONLY = {
    f"verify_{claim}": False for claim in ("aud", "iat", "exp", "nbf", "iss", "sub", "jti", "at_hash")
} | {"verify_signature": True}


def shape_of(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The unverified header and claims. TokenInvalid unless it looks like a token in every byte."""
    if len(token) > MAX_BYTES or not _SHAPE.fullmatch(token):
        raise TokenInvalid()
    header, claims, signature = token.split(".")
    _decoded(signature)
    return _object(_decoded(header)), _object(_decoded(claims))


def check_times(claims: dict[str, Any], now_s: float) -> None:
    """TokenExpired past `exp`; TokenInvalid without whole-number times or with times that lie ahead."""
    for name in ("exp", "iat", "nbf"):
        if type(claims.get(name, 0)) is not int:
            raise TokenInvalid()
    if claims["iat"] > now_s + AHEAD_S or claims.get("nbf", 0) > now_s + AHEAD_S:
        raise TokenInvalid()
    if claims["exp"] <= now_s:
        raise TokenExpired()


def looks_like_token(credential: str) -> bool:
    return credential.count(".") == 2


def _decoded(part: str) -> bytes:
    """Unpadded base64url in its one canonical form, so that a token cannot be changed and stay valid."""
    found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(found).rstrip(b"=") != part.encode():
        raise TokenInvalid()
    return found


def _object(text: bytes) -> dict[str, Any]:
    found = json.loads(text, object_pairs_hook=_without_doubles)
    if not isinstance(found, dict):
        raise TokenInvalid()
    return found


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise TokenInvalid()
    return found


def _kid(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:8]
