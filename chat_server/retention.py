"""What is deleted after its time: events, messages, notifications, ended logins, old keys of idempotency.

One job an hour, in steps of some milliseconds each, so that no post waits for it: while there is more to do it adds
itself again at once. A channel's newest event is never deleted: the next one is numbered after it.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from chat_server.accounts import logins
from chat_server.accounts.revocations import KEPT_MS
from chat_server.actor import SYSTEM
from chat_server.clock import Clock, now_ms
from chat_server.notifications import commands as notifications
from chat_server.settings import Settings
from chat_server.store import event_log, jobs
from chat_server.store.schema import idempotency, messages, revocations
from chat_server.store.transaction import Transaction
from chat_server.unit import Unit

KIND = "retention"
EVERY_MS = 3600 * 1000
DAY_MS = 24 * 3600 * 1000
IDEMPOTENCY_MS = DAY_MS
CHANNELS_A_STEP = 20
ROWS_A_STEP = 200

_FORGET_KEYS = delete(idempotency).where(idempotency.c.at < bindparam("before"))
_FORGET_REVOCATIONS = delete(revocations).where(revocations.c.at < bindparam("before"))
_OLD_MESSAGES = select(messages.c.id).where(messages.c.created_at < bindparam("before")).limit(bindparam("limit"))


@dataclass(frozen=True, slots=True)
class Retention:
    """The job's function, with its settings."""

    settings: Settings
    clock_ms: Clock = now_ms

    def __call__(self, transaction: Transaction, after: str) -> None:
        """One step. `after` is the channel that the last step came to."""
        now = self.clock_ms()
        event_before = now - self.settings.event_retain_days * DAY_MS
        next_channel = event_log.trim(transaction, event_before, after, CHANNELS_A_STEP)
        unit = Unit(transaction, SYSTEM, now, {})
        more = notifications.forget_old(unit, event_before, ROWS_A_STEP)
        more = self._forget_messages(transaction, now) or more
        logins.forget_old(unit, now - KEPT_MS)
        transaction.run(_FORGET_KEYS, before=now - IDEMPOTENCY_MS)
        transaction.run(_FORGET_REVOCATIONS, before=now - DAY_MS)
        if next_channel is not None or more:
            jobs.again(transaction, KIND, next_channel or "", now)
        else:
            jobs.again(transaction, KIND, "", now + EVERY_MS)

    def _forget_messages(self, transaction: Transaction, now: int) -> bool:
        if not self.settings.message_retain_days:
            return False
        before = now - self.settings.message_retain_days * DAY_MS
        old = [row[0] for row in transaction.all(_OLD_MESSAGES, before=before, limit=ROWS_A_STEP)]
        if old:
            transaction.run(delete(messages).where(messages.c.id.in_(old)))
        return len(old) == ROWS_A_STEP
