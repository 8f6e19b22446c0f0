"""One command at work: who acts, the transaction, and the events that are told when it commits.

`tell` only collects: offsets are given just before COMMIT, deliveries follow after it. Reactions to an event (a mention
raises a notification) run in the same transaction. What ends somebody's access is a signal to every worker, and a row,
so that a worker that missed the signal reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from chat_server.actor import Actor, Signal
from chat_server.audience import channels_of
from chat_server.clock import moment
from chat_server.events import Event
from chat_server.ids import Channel, new_id
from chat_server.store import event_log, jobs
from chat_server.store.schema import revocations
from chat_server.store.transaction import Told, Transaction
from chat_server.wire import encode

Reaction = Callable[[Any, "Unit"], None]
Reactions = Mapping[type, Sequence[Reaction]]

_REVOKE = insert(revocations)


class Unit:
    """A command's view of the store. Made for one command on the store's thread, never kept."""

    __slots__ = ("_reactions", "_transaction", "actor", "all", "at_ms", "many", "one", "run")

    def __init__(self, transaction: Transaction, actor: Actor, at_ms: int, reactions: Reactions) -> None:
        self.actor = actor
        self.at_ms = at_ms
        self._transaction = transaction
        self._reactions = reactions
        self.run = transaction.run
        self.one = transaction.one
        self.all = transaction.all
        self.many = transaction.many

    @property
    def now(self) -> datetime:
        return moment(self.at_ms)

    @property
    def transaction(self) -> Transaction:
        return self._transaction

    def tell(self, event: Event) -> None:
        """Publish `event` to its audience when this command commits, and run what reacts to it now."""
        payload = encode(event)
        for channel in channels_of(event):
            self._transaction.told.append(Told(channel, payload))
        self.happened(event)

    def happened(self, occurrence: object) -> None:
        """Run what other capabilities do about it, in this transaction; nobody outside is told."""
        for reaction in self._reactions.get(type(occurrence), ()):
            reaction(occurrence, self)

    def signal(self, signal: Signal) -> None:
        """Tell every worker when this command commits; one that does not hear of it reads the row."""
        told = replace(signal, id=new_id())
        self._transaction.signals.append(told)
        self.run(_REVOKE, id=told.id, kind=told.kind, subject=told.subject, at=self.at_ms)

    def later(self, kind: str, payload: str, in_s: float = 0.0) -> None:
        """A job that runs after this command committed, and only then."""
        jobs.add(self._transaction, kind, payload, self.at_ms + int(in_s * 1000))

    def head_of(self, channel: Channel) -> int:
        """The offset that the channel's last event has, or will have when this command commits."""
        return event_log.position(self._transaction, channel).head + self._transaction.told_to(channel)
