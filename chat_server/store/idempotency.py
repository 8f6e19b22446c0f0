"""Answers kept under an Idempotency-Key, written in the transaction of the command that gave them."""

from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select

from chat_server.errors import IdempotencyKeyReused
from chat_server.store.schema import idempotency
from chat_server.store.transaction import Transaction

_FIND = select(idempotency.c.fingerprint, idempotency.c.answer).where(
    idempotency.c.actor_id == bindparam("actor_id"),
    idempotency.c.endpoint == bindparam("endpoint"),
    idempotency.c.key == bindparam("key"),
)
_KEEP = insert(idempotency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One request that must not happen twice: who, where, under which key, and a hash of its body."""

    actor_id: str
    endpoint: str
    key: str
    fingerprint: str


def kept_answer(transaction: Transaction, once: Once) -> bytes | None:
    """The answer given before, or None. IdempotencyKeyReused when that was to another body."""
    row = transaction.one(_FIND, actor_id=once.actor_id, endpoint=once.endpoint, key=once.key)
    if row is None:
        return None
    if row[0] != once.fingerprint:
        raise IdempotencyKeyReused()
    return bytes(row[1])


def keep_answer(transaction: Transaction, once: Once, answer: bytes, at_ms: int) -> None:
    transaction.run(
        _KEEP,
        actor_id=once.actor_id,
        endpoint=once.endpoint,
        key=once.key,
        fingerprint=once.fingerprint,
        answer=answer,
        at=at_ms,
    )
