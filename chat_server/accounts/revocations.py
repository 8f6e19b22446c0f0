"""What this worker knows to be no longer good: asked by every request, socket and stream, without a query.

Filled from the table at start, kept level by signals, and by reading the table again when signals may have been missed.
"""

from collections import OrderedDict

from chat_server.accounts.queries import disabled_users, revoked_since
from chat_server.accounts.tokens import ACCESS_LONGEST_S
from chat_server.actor import Actor, Signal
from chat_server.clock import Clock, now_ms
from chat_server.errors import SessionRevoked
from chat_server.ids import UserId
from chat_server.store.store import Store

OVERLAP_MS = 60_000  # rows that committed late are still found: longer than any transaction lasts
KEPT_MS = (ACCESS_LONGEST_S + 60) * 1000  # no token outlives it, so no answer depends on older ones


class Revocations:
    """One worker's memory of ended sessions, keys and disabled users."""

    def __init__(self, clock_ms: Clock = now_ms) -> None:
        self._clock_ms = clock_ms
        self._ended: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._disabled: set[UserId] = set()
        self._seen: OrderedDict[str, int] = OrderedDict()
        self._read_until_ms = 0

    async def load(self, store: Store) -> None:
        self._disabled = set(await store.read(disabled_users))
        self._read_until_ms = self._clock_ms() - KEPT_MS + OVERLAP_MS
        await self.catch_up(store)

    async def catch_up(self, store: Store) -> list[Signal]:
        """Read what the table has and this worker does not know yet; answers it as signals to be acted upon."""
        since = self._read_until_ms - OVERLAP_MS
        self._read_until_ms = self._clock_ms()
        found = []
        for row_id, kind, subject, at in await store.read(lambda transaction: revoked_since(transaction, since)):
            if row_id not in self._seen:
                signal = Signal(kind, subject, row_id)  # type: ignore[arg-type]  # the column holds nothing else
                self.apply(signal)
                self._seen[row_id] = at
                found.append(signal)
        self._forget()
        return found

    def apply(self, signal: Signal) -> None:
        if signal.id:
            self._seen[signal.id] = self._clock_ms()
        if signal.kind in {"session", "key"}:
            self._ended[signal.kind, signal.subject] = self._clock_ms()
        elif signal.kind == "user":
            self._disabled.add(UserId(signal.subject))
        elif signal.kind == "enabled":
            self._disabled.discard(UserId(signal.subject))

    def check(self, actor: Actor) -> None:
        """SessionRevoked when what the actor came with has ended."""
        if (
            actor.user_id in self._disabled
            or ("session", actor.session_id) in self._ended
            or ("key", actor.key_id) in self._ended
        ):
            raise SessionRevoked()

    def _forget(self) -> None:
        oldest = self._clock_ms() - KEPT_MS
        for table in (self._ended, self._seen):
            while table and next(iter(table.values())) < oldest:
                table.popitem(last=False)
