"""Offsets 1, 2, 3 ... without holes, pages both ways, and a tail that rises but never reaches the head."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.store import event_log
from chat_server.store.event_log import Position
from chat_server.store.transaction import Publication, Told, Transaction
from tests.store.rig import database, engine_at, transaction_on

Begin = Callable[[], AbstractContextManager[Transaction]]
CHANNELS = ("presence:no", "room:a", "room:b", "user:z")


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    with transaction_on(engine_at(database(tmp_path))) as found:
        yield found


def append(transaction: Transaction, channel: str, count: int, at_ms: int = 0) -> list[Publication]:
    return event_log.append(transaction, [Told(channel, b"%d" % number) for number in range(count)], at_ms)


def offsets(found: list[Publication]) -> list[int]:
    return [publication.offset for publication in found]


def test_the_events_of_one_transaction_are_numbered_in_the_order_told_and_channels_apart(begin: Begin) -> None:
    told = [Told("room:b", b"1"), Told("room:a", b"2"), Told("room:b", b"3"), Told("room:a", b"4")]

    with begin() as transaction:
        found = event_log.append(transaction, told, 0)

    assert found == [
        Publication("room:a", 1, b"2"),
        Publication("room:a", 2, b"4"),
        Publication("room:b", 1, b"1"),
        Publication("room:b", 2, b"3"),
    ]


def test_nothing_told_gives_no_offset(begin: Begin) -> None:
    with begin() as transaction:
        assert event_log.append(transaction, [], 0) == []
        assert event_log.heads(transaction, ["room:a"]) == {}


def test_a_channel_that_nobody_published_to_stands_at_zero(begin: Begin) -> None:
    with begin() as transaction:
        assert event_log.position(transaction, "room:a") == Position(head=0, tail=0)
        assert event_log.since(transaction, "room:a", 0, 10) == []
        assert event_log.before(transaction, "room:a", 10, 10) == []


def test_what_is_rolled_back_gives_its_offset_to_the_next(begin: Begin) -> None:
    def append_and_crash() -> None:
        with begin() as transaction:
            append(transaction, "room:a", 3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_crash()

    with begin() as transaction:
        assert offsets(append(transaction, "room:a", 1)) == [1]


def test_heads_answers_for_any_number_of_names_and_leaves_out_those_at_zero(begin: Begin) -> None:
    with begin() as transaction:
        append(transaction, "room:a", 2)
        append(transaction, "user:z", 1)

        assert event_log.heads(transaction, []) == {}
        assert event_log.heads(transaction, ["room:a", "nobody's"]) == {"room:a": 2}
        many = [f"room:{number}" for number in range(500)]
        assert event_log.heads(transaction, ["user:z", *many]) == {"user:z": 1}


def test_trim_never_takes_the_newest_event(begin: Begin) -> None:
    with begin() as transaction:
        append(transaction, "room:a", 5, at_ms=1)

        assert event_log.trim(transaction, 1_000, "", 10) is None

        assert event_log.position(transaction, "room:a") == Position(head=5, tail=4)
        assert offsets(event_log.since(transaction, "room:a", 0, 10)) == [5]
        assert offsets(append(transaction, "room:a", 1)) == [6]


def test_trim_takes_a_bounded_number_of_events_a_call_and_comes_back_for_the_rest(begin: Begin) -> None:
    size = 2 * event_log.TRIM_EVENTS + 10
    with begin() as transaction:
        append(transaction, "room:a", size, at_ms=1)
        append(transaction, "room:b", 2, at_ms=1)
        tails, after = [], ""

        while (found := event_log.trim(transaction, 1_000, after, 10)) is not None:
            after = found
            tails.append(event_log.position(transaction, "room:a").tail)

        assert tails == [event_log.TRIM_EVENTS, 2 * event_log.TRIM_EVENTS]
        assert event_log.position(transaction, "room:a") == Position(head=size, tail=size - 1)
        assert event_log.position(transaction, "room:b") == Position(head=2, tail=1)


def test_trimming_exactly_a_calls_worth_ends(begin: Begin) -> None:
    with begin() as transaction:
        append(transaction, "room:a", event_log.TRIM_EVENTS, at_ms=1)
        append(transaction, "room:a", 1, at_ms=2_000)
        calls, after = 1, event_log.trim(transaction, 1_000, "", 1)

        while after is not None:
            calls, after = calls + 1, event_log.trim(transaction, 1_000, after, 1)
            assert calls < 10, "it never ends"

        assert event_log.position(transaction, "room:a").tail == event_log.TRIM_EVENTS


@dataclass
class Model:
    """What the log must hold: for each channel its events as (offset, at), its head and its tail."""

    events: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)

    def append(self, channel: str, count: int, at: int) -> None:
        head, tail = self.position(channel).head, self.position(channel).tail
        self.events.setdefault(channel, []).extend((head + index, at) for index in range(1, count + 1))
        self.positions[channel] = Position(head + count, tail)

    def trim(self, before: int) -> None:
        for channel, events in self.events.items():
            position = self.positions[channel]
            gone = [offset for offset, at in events if at < before and offset < position.head]
            self.events[channel] = [event for event in events if event[0] not in gone]
            self.positions[channel] = Position(position.head, max([position.tail, *gone]))

    def position(self, channel: str) -> Position:
        return self.positions.get(channel, Position(0, 0))

    def offsets(self, channel: str) -> list[int]:
        return [offset for offset, _ in self.events.get(channel, [])]


appends = st.tuples(st.just("append"), st.sampled_from(CHANNELS[1:]), st.integers(1, 4), st.integers(0, 3))
trims = st.tuples(st.just("trim"), st.just(""), st.integers(1, 3), st.integers(0, 12))


@settings(deadline=None, max_examples=80)
@given(
    steps=st.lists(st.one_of(appends, appends, trims), max_size=20),
    channel=st.sampled_from(CHANNELS),
    offset=st.integers(0, 30),
    limit=st.integers(1, 8),
)
def test_the_log_answers_what_a_model_of_it_would(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, str, int, int]],
    channel: str,
    offset: int,
    limit: int,
) -> None:
    model, now = Model(), 0
    path = database(tmp_path_factory.mktemp("log"))
    with pytest.MonkeyPatch.context() as patch, transaction_on(engine_at(path)) as begin, begin() as transaction:
        patch.setattr(event_log, "TRIM_EVENTS", 2)
        for kind, name, count, moment in steps:
            if kind == "append":
                now += moment
                append(transaction, name, count, at_ms=now)
                model.append(name, count, now)
            else:
                trim_all(transaction, moment, count)
                model.trim(moment)

        known = model.offsets(channel)
        assert event_log.position(transaction, channel) == model.position(channel)
        assert (
            offsets(event_log.since(transaction, channel, offset, limit)) == [at for at in known if at > offset][:limit]
        )
        assert (
            offsets(event_log.before(transaction, channel, offset, limit))
            == [at for at in reversed(known) if at < offset][:limit]
        )
        assert event_log.heads(transaction, CHANNELS) == {name: found.head for name, found in model.positions.items()}
        assert known == list(range(model.position(channel).tail + 1, model.position(channel).head + 1))


def trim_all(transaction: Transaction, before: int, channels_at_most: int) -> None:
    after: str | None = ""
    for _ in range(200):
        after = event_log.trim(transaction, before, after, channels_at_most)
        if after is None:
            return
    raise AssertionError("trimming never ends")
