"""Checking a password, and how many wrong ones an account and an address may try."""

from dataclasses import dataclass, field

from chat_server.accounts.identity import Identity
from chat_server.accounts.queries import Login, login_of
from chat_server.errors import BadCredentials, TooManyRequests
from chat_server.settings import Rate, Settings
from chat_server.worker import Worker

NAME_CHARS = 64  # no name is longer, but what a stranger sends as one may be


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Somebody says who they are. `username` is as it is stored: stripped and lower-case."""

    username: str
    password: str = field(repr=False)
    address: str


async def check_password(worker: Worker, identity: Identity, settings: Settings, attempt: Attempt) -> Login:
    """Whoever logs in. BadCredentials after the same time for everybody; TooManyRequests after too many failures.

    Only failures count, and those of an address that is refused already do not count against the account.
    """
    buckets = (
        (f"login-address:{attempt.address}", settings.rate_login_address),
        (f"login:{attempt.username[:NAME_CHARS]}", settings.rate_login),
    )
    # Asked for within the turn, so that of many at once not all are tried before the first one counts (adr/0012).
    async with identity.passwords.turn:
        for bucket, rate in buckets:
            await _require_some(worker, bucket, rate)
        login = await worker.store.read(lambda transaction: login_of(transaction, attempt.username))
        matches = await identity.passwords.matches(attempt.password, None if login is None else login.password_hash)
        if login is not None and matches and login.disabled_at is None:
            return login
        for bucket, rate in buckets:
            await worker.broker.take(bucket, rate)
    raise BadCredentials()


async def _require_some(worker: Worker, bucket: str, rate: Rate) -> None:
    """TooManyRequests when the bucket is empty; nothing is taken from it."""
    wait_s = await worker.broker.take(bucket, rate)
    if wait_s:
        raise TooManyRequests(retry_after_s=wait_s)
    await worker.broker.give_back(bucket, rate)
