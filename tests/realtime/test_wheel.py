"""One timer for all: nobody is woken early, everybody is woken, and who left sleeps on."""

import asyncio
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.realtime.wheel import TICK_S, Wheel
from tests.store.rig import awaited, until

NEVER = float("inf")


class Hand:
    """A clock in seconds."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Sleeper:
    """Notes when it is woken, then sleeps until what `again` says; for ever without one."""

    def __init__(self, wake_at: float, on_wake: Callable[["Sleeper"], None] = lambda _: None) -> None:
        self.wake_at = wake_at
        self.woken: list[float] = []
        self._on_wake = on_wake

    def wake(self, now: float) -> None:
        assert now >= self.wake_at, "woken early"
        self.woken.append(now)
        self.wake_at = NEVER
        self._on_wake(self)


def turned(wheel: Wheel, hand: Hand, until_s: float) -> None:
    while hand.now < until_s:
        hand.now += TICK_S
        wheel.turn()


def test_a_sleeper_is_woken_once_and_shortly_after_its_time() -> None:
    hand = Hand()
    wheel, ann = Wheel(hand), Sleeper(hand.now + 5)
    wheel.watch(ann)

    turned(wheel, hand, 104.9)
    assert ann.woken == []
    turned(wheel, hand, 110)

    assert len(ann.woken) == 1
    assert 105 <= ann.woken[0] <= 105 + 3 * TICK_S


def test_a_sleeper_whose_time_became_later_sleeps_on() -> None:
    hand = Hand()
    wheel, ann = Wheel(hand), Sleeper(hand.now + 1)
    wheel.watch(ann)
    ann.wake_at = hand.now + 5

    turned(wheel, hand, 104)
    assert ann.woken == []
    turned(wheel, hand, 106)

    assert len(ann.woken) == 1


def test_a_sleeper_whose_time_became_earlier_is_woken_earlier_and_not_again() -> None:
    hand = Hand()
    wheel, ann = Wheel(hand), Sleeper(hand.now + 50)
    wheel.watch(ann)
    ann.wake_at = hand.now + 1
    wheel.watch(ann)

    turned(wheel, hand, 200)

    assert len(ann.woken) == 1
    assert ann.woken[0] < 102


def test_who_is_due_already_is_woken_at_the_next_turn() -> None:
    hand = Hand()
    wheel, ann = Wheel(hand), Sleeper(hand.now - 50)
    wheel.watch(ann)

    turned(wheel, hand, 100.3)

    assert len(ann.woken) == 1


def test_who_never_wakes_is_not_woken_and_may_get_a_time_later() -> None:
    hand = Hand()
    wheel, ann = Wheel(hand), Sleeper(NEVER)
    wheel.watch(ann)
    turned(wheel, hand, 101)
    assert ann.woken == []

    ann.wake_at = 102.0
    wheel.watch(ann)
    turned(wheel, hand, 103)

    assert len(ann.woken) == 1


def test_a_sleeper_that_is_forgotten_is_not_woken_and_need_not_be_known() -> None:
    hand = Hand()
    wheel, ann, bob = Wheel(hand), Sleeper(101.0), Sleeper(101.0)
    wheel.watch(ann)
    wheel.watch(bob)

    wheel.forget(ann)
    wheel.forget(ann)
    turned(wheel, hand, 102)

    assert ann.woken == []
    assert len(bob.woken) == 1


def test_one_that_is_forgotten_by_another_in_the_same_turn_is_not_woken() -> None:
    hand = Hand()
    wheel = Wheel(hand)
    bob = Sleeper(101.0)
    ann = Sleeper(101.0, lambda _: wheel.forget(bob))
    wheel.watch(ann)
    wheel.watch(bob)

    turned(wheel, hand, 103)

    assert len(ann.woken) == 1
    assert bob.woken == []


def test_a_sleeper_that_is_forgotten_while_it_is_woken_stays_forgotten() -> None:
    """A connection that is closed by its own deadline, say."""
    hand = Hand()
    wheel = Wheel(hand)

    def leave(sleeper: Sleeper) -> None:
        sleeper.wake_at = hand.now + 1
        wheel.forget(sleeper)

    ann = Sleeper(101.0, leave)
    wheel.watch(ann)

    turned(wheel, hand, 110)

    assert len(ann.woken) == 1


def test_a_sleeper_that_is_forgotten_and_watched_again_during_a_turn_is_woken_once() -> None:
    hand = Hand()
    wheel = Wheel(hand)
    bob = Sleeper(101.0)

    def replace(_: Sleeper) -> None:
        wheel.forget(bob)
        bob.wake_at = 105.0
        wheel.watch(bob)

    ann = Sleeper(101.0, replace)
    wheel.watch(ann)
    wheel.watch(bob)

    turned(wheel, hand, 120)

    assert len(bob.woken) == 1
    assert bob.woken[0] >= 105


def test_a_wheel_that_was_held_up_wakes_everybody_at_its_next_turn_once() -> None:
    hand = Hand()
    wheel = Wheel(hand)
    sleepers = [Sleeper(100.0 + number) for number in range(60)]
    for sleeper in sleepers:
        wheel.watch(sleeper)

    hand.now += 100
    wheel.turn()
    wheel.turn()

    assert [len(sleeper.woken) for sleeper in sleepers] == [1] * 60


def test_one_that_sleeps_again_and_again_is_woken_each_time() -> None:
    hand = Hand()

    def again(sleeper: Sleeper) -> None:
        sleeper.wake_at = hand.now + 1

    wheel, ann = Wheel(hand), Sleeper(101.0, again)
    wheel.watch(ann)

    turned(wheel, hand, 110.5)

    gaps = [later - earlier for earlier, later in zip(ann.woken, ann.woken[1:], strict=False)]
    assert len(ann.woken) >= 7
    assert all(1 <= gap <= 1 + 3 * TICK_S for gap in gaps)


@awaited
async def test_a_running_wheel_turns_by_itself() -> None:
    loop = asyncio.get_running_loop()
    wheel, ann = Wheel(loop.time), Sleeper(loop.time() + 0.05)
    wheel.watch(ann)
    running = asyncio.create_task(wheel.run())

    await until(lambda: ann.woken, "the wheel to turn", patience_s=5)

    running.cancel()


events = st.lists(
    st.tuples(
        st.sampled_from(["watch", "watch", "put off", "forget", "turn", "turn"]),
        st.integers(0, 4),
        st.floats(0, 3, allow_nan=False),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(events=events)
def test_nobody_is_woken_early_and_each_due_sleeper_once(events: list[tuple[str, int, float]]) -> None:
    """`Sleeper.wake` itself refuses to be woken early."""
    hand = Hand()
    wheel = Wheel(hand)
    sleepers = [Sleeper(NEVER) for _ in range(5)]
    expected = [0] * 5
    watched: set[int] = set()
    for kind, index, seconds in events:
        sleeper = sleepers[index]
        if kind == "watch":
            sleeper.wake_at = hand.now + seconds
            wheel.watch(sleeper)
            watched.add(index)
        elif kind == "put off" and index in watched and sleeper.wake_at != NEVER:
            sleeper.wake_at += seconds
        elif kind == "forget":
            wheel.forget(sleeper)
            watched.discard(index)
        elif kind == "turn":
            hand.now += seconds
            wheel.turn()
            for number in sorted(watched):
                late_s = hand.now - sleepers[number].wake_at
                assert late_s <= 2 * TICK_S, "left asleep"
                if sleepers[number].wake_at == NEVER:
                    expected[number] += 1
                    watched.discard(number)

    assert [len(sleeper.woken) for sleeper in sleepers] == expected
