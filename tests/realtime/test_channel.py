"""One channel on one worker: whatever arrives in whatever order, a subscriber hears offsets in order, each once."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from chat_server.realtime.channel import WAITING_FRAMES, Joining, LocalChannel
from chat_server.realtime.frames import Frame
from tests.realtime.people import Reader, frame

HOLD_BYTES = 1024 * 1024


def deliver(channel: LocalChannel, frames: list[Frame]) -> None:
    if frames:
        channel.put(frames)
    while channel.backlog is not None:
        channel.backlog.deliver_slice()


def known(position: int) -> LocalChannel:
    """A channel that stands at `position`."""
    channel = LocalChannel("room:a", is_durable=True)
    channel.begin_at(position, "e1")
    return channel


def live(channel: LocalChannel, after: int) -> Reader:
    reader = Reader()
    channel.join(reader, HOLD_BYTES).go_live(after)
    return reader


def hear(channel: LocalChannel, *offsets: int) -> None:
    for offset in offsets:
        deliver(channel, channel.accept(frame(offset)))


def test_publications_that_come_in_order_are_heard_at_once() -> None:
    channel = known(4)
    ann = live(channel, 4)

    hear(channel, 5, 6)

    assert ann.offsets() == [5, 6]
    assert channel.position == 6


def test_an_early_publication_waits_for_the_one_before_it() -> None:
    channel = known(4)
    ann = live(channel, 4)

    hear(channel, 7, 6)

    assert ann.offsets() == []
    assert channel.has_hole
    hear(channel, 5)
    assert ann.offsets() == [5, 6, 7]
    assert not channel.has_hole


def test_a_repeat_is_heard_once() -> None:
    channel = known(4)
    ann = live(channel, 4)

    hear(channel, 5, 5, 3, 7, 7, 6, 7, 5)

    assert ann.offsets() == [5, 6, 7]


def test_a_publication_without_offset_is_heard_at_once_whatever_waits() -> None:
    channel = known(4)
    ann = live(channel, 4)

    hear(channel, 6, 0, 0)

    assert ann.offsets() == [0, 0]


def test_what_comes_before_it_is_known_where_the_channel_stands_waits_for_that() -> None:
    channel = LocalChannel("room:a", is_durable=True)
    ann = Reader()
    joining = channel.join(ann, HOLD_BYTES)
    hear(channel, 5, 4, 6, 8)

    deliver(channel, channel.begin_at(4, "e1"))
    joining.go_live(4)

    assert ann.offsets() == [5, 6]
    assert channel.began_at == 4
    assert channel.has_hole


def test_what_is_published_while_a_subscriber_joins_follows_its_history_without_overlap() -> None:
    channel = known(4)
    ann = Reader()
    joining = channel.join(ann, HOLD_BYTES)
    hear(channel, 5, 6, 7)
    assert ann.offsets() == []

    joining.go_live(6)

    assert ann.offsets() == [7]
    assert channel.live == (ann,)


def test_a_subscriber_whose_history_is_ahead_of_the_channel_hears_on_from_its_history() -> None:
    channel = known(4)
    bob = live(channel, 4)
    ann = Reader()

    channel.join(ann, HOLD_BYTES).go_live(7)
    hear(channel, 5, 6, 7, 8)

    assert ann.offsets() == [8]
    assert bob.offsets() == [5, 6, 7, 8]


def test_a_subscriber_that_was_put_out_while_it_joined_hears_nothing() -> None:
    channel = known(4)
    ann = Reader()
    joining = channel.join(ann, HOLD_BYTES)
    hear(channel, 5)

    assert channel.leave(ann) is True
    joining.go_live(4)
    hear(channel, 6)

    assert ann.frames == []
    assert len(channel) == 0


def test_a_subscriber_that_came_again_is_not_served_by_its_first_join() -> None:
    channel = known(4)
    ann = Reader()
    first = channel.join(ann, HOLD_BYTES)
    channel.leave(ann)
    second = channel.join(ann, HOLD_BYTES)

    first.go_live(4)
    assert not channel.is_joining(first)
    assert channel.is_joining(second)
    second.go_live(4)
    hear(channel, 5)

    assert ann.offsets() == [5]


def test_leaving_says_whether_one_was_there() -> None:
    channel = known(4)
    ann, bob = live(channel, 4), Reader()
    channel.join(bob, HOLD_BYTES)

    assert [channel.leave(reader) for reader in (ann, bob, ann, bob)] == [True, True, False, False]


def test_a_join_that_takes_too_long_overruns_and_holds_no_more_than_its_bound() -> None:
    channel = known(0)
    ann = Reader()
    channel.join(ann, 1_000)

    for offset in range(1, 30):
        deliver(channel, channel.accept(frame(offset, payload=b"x" * 100)))

    assert ann.overruns > 0
    assert ann.frames == []


def test_no_more_early_publications_wait_than_the_bound() -> None:
    channel = known(0)
    ann = live(channel, 0)
    hear(channel, *range(2, WAITING_FRAMES + 100))

    hear(channel, 1)

    assert len(ann.offsets()) <= WAITING_FRAMES + 1
    assert ann.offsets() == list(range(1, len(ann.offsets()) + 1))


@pytest.mark.parametrize("is_known", [True, False])
def test_early_publications_that_no_longer_fit_are_not_forgotten_but_leave_a_hole_to_be_seen(is_known: bool) -> None:
    """Whoever looks for a hole must find one, or the log is not read and the last ones are never heard."""
    channel = known(0) if is_known else LocalChannel("room:a", is_durable=True)
    ann = Reader()
    joining = channel.join(ann, HOLD_BYTES)
    hear(channel, *range(2 if is_known else 1, WAITING_FRAMES + 50))

    if is_known:
        hear(channel, 1)
    else:
        deliver(channel, channel.begin_at(0, "e1"))
    joining.go_live(0)

    assert channel.position >= WAITING_FRAMES + 49 or channel.has_hole


class AnyOrder(RuleBasedStateMachine):
    """A log, a worker that hears of it late, twice or not at all, and people who come and go."""

    readers: Bundle[Reader] = Bundle("readers")

    @initialize()
    def begin(self) -> None:
        self.head = 0
        self.ephemeral = 0
        self.in_flight: list[int] = []
        self.channel: LocalChannel | None = None
        self.joins: dict[Reader, tuple[Joining, int | None]] = {}
        self.answered: dict[Reader, int] = {}
        self.whispers: dict[Reader, int] = {}

    @rule()
    def publish(self) -> None:
        self.head += 1
        self.in_flight.append(self.head)

    @rule(choice=st.integers(0, 50), stays=st.booleans())
    def arrive(self, choice: int, stays: bool) -> None:
        if self.in_flight:
            offset = self.in_flight[choice % len(self.in_flight)]
            if not stays:
                self.in_flight.remove(offset)
            self.hear(offset)

    @rule(choice=st.integers(0, 50))
    def lose(self, choice: int) -> None:
        if self.in_flight:
            self.in_flight.pop(choice % len(self.in_flight))

    @rule()
    def whisper(self) -> None:
        """Something ephemeral: everyone inside hears it once."""
        if self.channel is not None:
            for reader in (*self.joins, *self.answered):
                self.whispers[reader] = self.whispers.get(reader, 0) + 1
            self.hear(0)

    @rule()
    def repair(self) -> None:
        """The log is read from where the channel stands."""
        if self.channel is not None and self.channel.is_known:
            for offset in range(self.channel.position + 1, self.head + 1):
                self.hear(offset)

    @rule(target=readers)
    def join(self) -> Reader:
        if self.channel is None:
            self.channel = LocalChannel("room:a", is_durable=True)
        reader = Reader()
        self.joins[reader] = self.channel.join(reader, HOLD_BYTES), None
        return reader

    @rule(reader=readers)
    def look(self, reader: Reader) -> None:
        """The snapshot of a join is taken; it is answered later."""
        if reader in self.joins:
            self.joins[reader] = self.joins[reader][0], self.head

    @rule(reader=readers, from_memory=st.booleans())
    def answer(self, reader: Reader, from_memory: bool) -> None:
        if reader not in self.joins or self.channel is None:
            return
        joining, top = self.joins[reader]
        if from_memory and self.channel.is_known:
            top = self.channel.position
        if top is None or top < self.channel.began_at:
            top = self.head
        if not self.channel.is_known:
            deliver(self.channel, self.channel.begin_at(top, "e1"))
        joining.go_live(top)
        self.answered[reader] = top
        del self.joins[reader]

    @rule(reader=consumes(readers))
    def leave(self, reader: Reader) -> None:
        assert self.channel is not None
        was_in = reader in self.joins or reader in self.answered
        assert self.channel.leave(reader) is was_in
        self.joins.pop(reader, None)
        self.answered.pop(reader, None)
        if not len(self.channel):
            self.channel = None
            self.whispers.clear()

    @invariant()
    def everyone_hears_in_order_from_the_position_they_were_answered(self) -> None:
        for reader, top in self.answered.items():
            heard = [offset for offset in reader.offsets() if offset]
            assert heard == list(range(top + 1, top + 1 + len(heard)))
            assert self.channel is not None
            if self.channel.position > top:
                assert top + len(heard) == self.channel.position
            assert reader.offsets().count(0) == self.whispers.get(reader, 0)
        for reader in self.joins:
            assert reader.frames == []

    @invariant()
    def everyone_inside_is_either_joining_or_live(self) -> None:
        if self.channel is not None:
            inside = {*self.joins, *self.answered}
            assert {*self.channel.live, *self.channel.joining} == inside
            assert len(self.channel) == len(inside)
            assert all(reader in self.channel for reader in inside)

    def teardown(self) -> None:
        self.repair()
        for reader, top in self.answered.items():
            assert [offset for offset in reader.offsets() if offset] == list(range(top + 1, self.head + 1))

    def hear(self, offset: int) -> None:
        if self.channel is not None:
            deliver(self.channel, self.channel.accept(frame(offset)))


AnyOrder.TestCase.settings = settings(deadline=None, max_examples=150, stateful_step_count=40)
TestAnyOrder = AnyOrder.TestCase
