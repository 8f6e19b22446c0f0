"""Another party's public keys, fetched from its JWKS URL, kept, and fetched again when a key is not among them."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2

from chat_server.errors import BadJson, TokenInvalid, Unavailable
from chat_server.wire import parse

logger = logging.getLogger(__name__)

FRESH_S = 600.0
AGAIN_S = 10.0  # an unknown `kid` asks at most so often: strangers can send any
FETCH_S = 3.0
MAX_BYTES = 256 * 1024
# The algorithm follows from the key, never from the token.
_ALGORITHM_OF = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}

Fetch = Callable[[str], Awaitable[bytes]]


async def fetched(url: str) -> bytes:
    """The document at `url`. Unavailable unless it comes whole, soon, and is of a reasonable size."""
    try:
        async with (
            httpx2.AsyncClient(timeout=FETCH_S, follow_redirects=False) as client,
            client.stream("GET", url) as answer,
        ):
            answer.raise_for_status()
            body = b""
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Unavailable()
            return body
    except httpx2.HTTPError as error:
        raise Unavailable(retry_after_s=AGAIN_S) from error


class KeySet:
    """The keys by `kid`. The last good ones stay in use while the URL does not answer."""

    def __init__(self, url: str, fetch: Fetch = fetched, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._fetch = fetch
        self._clock_s = clock_s
        self._keys: dict[str, tuple[Mapping[str, Any], str]] = {}
        self._fetched_at = float("-inf")
        self._turn = asyncio.Lock()

    async def key_for(self, kid: object) -> tuple[Mapping[str, Any], str]:
        """The key and its algorithm. TokenInvalid when it is not there; Unavailable while there are none at all."""
        known = self._keys.get(str(kid))
        if self._is_due(known) and (known is None or not self._turn.locked()):
            async with self._turn:  # who comes while the keys are fetched, and has none, waits for them
                if self._is_due(self._keys.get(str(kid))):
                    await self._refresh()
            known = self._keys.get(str(kid))
        if known is None:
            if not self._keys:
                raise Unavailable(retry_after_s=AGAIN_S)
            raise TokenInvalid()
        return known

    def _is_due(self, known: object) -> bool:
        age_s = self._clock_s() - self._fetched_at
        return age_s > FRESH_S or (known is None and age_s > AGAIN_S)

    async def _refresh(self) -> None:
        try:
            self._keys = _usable(await self._fetch(self._url)) or self._keys
        except (Unavailable, BadJson, KeyError, TypeError) as error:
            logger.warning("jwks.unavailable", extra={"error": type(error).__name__})
        finally:
            self._fetched_at = self._clock_s()


def _usable(document: bytes) -> dict[str, tuple[Mapping[str, Any], str]]:
    found: dict[str, tuple[Mapping[str, Any], str]] = {}
    for key in parse(document)["keys"]:
        algorithm = _ALGORITHM_OF.get((key.get("kty"), key.get("crv")))
        is_for_this = key.get("alg", algorithm) == algorithm and key.get("use", "sig") == "sig" and "kid" in key
        if algorithm is not None and is_for_this:
            found[str(key["kid"])] = (key, algorithm)
    return found
