"""Passwords: argon2id in a thread, two at a time, and the same work for a user who does not exist."""

import asyncio
from functools import partial

from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from pwdlib.hashers.argon2 import Argon2Hasher

PARALLEL = 2  # each holds 19 MiB and a core for some 30 ms

# OWASP's recommendation for argon2id: m=19 MiB, t=2, p=1.
HASHER = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1),))


class Passwords:
    """Hashes and verifies without holding up the event loop. Whoever does either holds `turn`."""

    def __init__(self) -> None:
        self.turn = asyncio.Semaphore(PARALLEL)
        self._dummy = ""

    async def hashed(self, password: str) -> str:
        """Takes the turn itself."""
        async with self.turn:
            return await asyncio.to_thread(HASHER.hash, password)

    async def matches(self, password: str, stored: str | None) -> bool:
        """False for a user without a password too, after the same time. The caller holds the turn."""
        if not self._dummy:
            self._dummy = await asyncio.to_thread(HASHER.hash, "nobody has this password")
        found = await asyncio.to_thread(partial(_verified, password, stored or self._dummy))
        return found and stored is not None


def hash_now(password: str) -> str:
    """For the command line, which has no event loop to hold up."""
    return HASHER.hash(password)


def _verified(password: str, stored: str) -> bool:
    try:
        return HASHER.verify(password, stored)
    except UnknownHashError:
        return False
