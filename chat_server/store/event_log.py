"""The event log: every durable channel's publications, numbered 1, 2, 3 ... without holes in commit order.

The heads of all touched channels advance just before COMMIT, in sorted order and by an UPDATE that holds the row until
then. So offsets follow commit order, a hole a reader sees is already committed, and two transactions cannot deadlock.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import Executable, bindparam, delete, insert, select, text, update

from chat_server.store.schema import channels, event_log, meta
from chat_server.store.transaction import Publication, Row, Told, Transaction

EPOCH = "epoch"
TRIM_EVENTS = 500
CHANNELS_A_STATEMENT = 64

_APPEND = insert(event_log)
_HEAD = select(channels.c.head, channels.c.tail).where(channels.c.name == bindparam("name"))
_SINCE = (
    select(event_log.c.offset, event_log.c.payload)
    .where(event_log.c.channel == bindparam("name"), event_log.c.offset > bindparam("since"))
    .order_by(event_log.c.offset)
    .limit(bindparam("limit"))
)
_BEFORE = (
    select(event_log.c.offset, event_log.c.payload)
    .where(event_log.c.channel == bindparam("name"), event_log.c.offset < bindparam("before"))
    .order_by(event_log.c.offset.desc())
    .limit(bindparam("limit"))
)
_EPOCH = select(meta.c.value).where(meta.c.key == EPOCH)
_RENEW_EPOCH = update(meta).where(meta.c.key == EPOCH).values(value=bindparam("fresh"))
_CHANNELS = (
    select(channels.c.name, channels.c.head)
    .where(channels.c.name > bindparam("after"))
    .order_by(channels.c.name)
    .limit(bindparam("limit"))
)
_OLDEST = (
    select(event_log.c.offset, event_log.c.at)
    .where(event_log.c.channel == bindparam("name"))
    .order_by(event_log.c.offset)
    .limit(bindparam("limit"))
)
_TRIM = delete(event_log).where(event_log.c.channel == bindparam("name"), event_log.c.offset <= bindparam("upto"))
_RAISE_TAIL = update(channels).where(channels.c.name == bindparam("channel")).values(tail=bindparam("upto"))


@dataclass(frozen=True, slots=True)
class Position:
    """Where a channel stands: `head` is its last offset, `tail` the last one that is gone from the log."""

    head: int
    tail: int


def append(transaction: Transaction, told: Sequence[Told], at_ms: int) -> list[Publication]:
    """Give every told event its offset, write it to the log, and answer the publications in the order of offsets."""
    by_channel: dict[str, list[bytes]] = {}
    for event in told:
        by_channel.setdefault(event.channel, []).append(event.payload)
    found: list[Publication] = []
    names = sorted(by_channel)
    for start in range(0, len(names), CHANNELS_A_STATEMENT):
        for name, head in _advanced(transaction, by_channel, names[start : start + CHANNELS_A_STATEMENT]):
            first = head - len(by_channel[name]) + 1
            found += [Publication(name, first + index, payload) for index, payload in enumerate(by_channel[name])]
    if found:
        transaction.many(
            _APPEND, [{"channel": p.channel, "offset": p.offset, "at": at_ms, "payload": p.payload} for p in found]
        )
    return found


def _advanced(transaction: Transaction, by_channel: Mapping[str, list[bytes]], names: list[str]) -> list[Row]:
    """The channels' new heads, in the order of `names`."""
    values: dict[str, object] = {}
    for index, name in enumerate(names):
        values[f"name{index}"] = name
        values[f"count{index}"] = len(by_channel[name])
    return sorted(transaction.all(_advance(len(names)), **values))


@lru_cache(maxsize=CHANNELS_A_STATEMENT)
def _advance(channels_at_once: int) -> Executable:
    """Advance several heads by a count each: one statement takes a batch half the time of one for each channel."""
    rows = ", ".join(f"(:name{index}, :count{index}, 0)" for index in range(channels_at_once))
    return text(
        f"INSERT INTO channels (name, head, tail) VALUES {rows}"  # noqa: S608  numbers of our own
        " ON CONFLICT (name) DO UPDATE SET head = channels.head + excluded.head RETURNING name, head"
    )


def epoch(transaction: Transaction) -> str:
    """The store's epoch. Another one means that offsets may have been handed out again: no old position holds."""
    row = transaction.one(_EPOCH)
    assert row is not None, "the migration writes it"
    return str(row[0])


def renew_epoch(transaction: Transaction) -> None:
    """No position that a client has holds any more. Workers read the epoch when they start."""
    transaction.run(_RENEW_EPOCH, fresh=secrets.token_hex(4))


def position(transaction: Transaction, channel: str) -> Position:
    """A channel nobody has published to stands at 0."""
    row = transaction.one(_HEAD, name=channel)
    return Position(0, 0) if row is None else Position(row[0], row[1])


def heads(transaction: Transaction, names: Sequence[str]) -> dict[str, int]:
    """The heads of the named channels, those at 0 left out."""
    rows = transaction.all(select(channels.c.name, channels.c.head).where(channels.c.name.in_(list(names))))
    return dict(rows)


def since(transaction: Transaction, channel: str, offset: int, limit: int) -> list[Publication]:
    """The publications after `offset`, ascending, at most `limit`."""
    rows = transaction.all(_SINCE, name=channel, since=offset, limit=limit)
    return [Publication(channel, found, bytes(payload)) for found, payload in rows]


def before(transaction: Transaction, channel: str, offset: int, limit: int) -> list[Publication]:
    """The publications before `offset`, descending, at most `limit`."""
    rows = transaction.all(_BEFORE, name=channel, before=offset, limit=limit)
    return [Publication(channel, found, bytes(payload)) for found, payload in rows]


def trim(transaction: Transaction, before_ms: int, after: str, channels_at_most: int) -> str | None:
    """Delete what is older than `before_ms`, never a channel's newest event, from some of the channels after `after`.

    Answers the last channel looked at when there is more to do (call again with it), else None. A channel gives up at
    most TRIM_EVENTS a call, so that a post waits for no more than a few milliseconds.
    """
    rows = transaction.all(_CHANNELS, after=after, limit=channels_at_most)
    previous = after
    for name, head in rows:
        oldest = transaction.all(_OLDEST, name=name, limit=TRIM_EVENTS)
        upto = max((offset for offset, at in oldest if at < before_ms and offset < head), default=0)
        if upto:
            transaction.run(_TRIM, name=name, upto=upto)
            transaction.run(_RAISE_TAIL, channel=name, upto=upto)
        if len(oldest) == TRIM_EVENTS and upto == oldest[-1][0]:
            return previous
        previous = name
    return previous if len(rows) == channels_at_most else None
