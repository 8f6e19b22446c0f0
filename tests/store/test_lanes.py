"""Lanes: what shares one keeps its order and is with one thread at a time; nothing else waits."""

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.store.lanes import Lanes, Line


@settings(deadline=None)
@given(items=st.lists(st.sampled_from("abc"), max_size=30), at_most=st.integers(1, 4))
def test_everything_is_taken_once_and_a_lane_keeps_its_order(items: list[str], at_most: int) -> None:
    lanes: Lanes[tuple[str, int]] = Lanes(capacity=100)
    for number, lane in enumerate(items):
        assert lanes.put(lane, (lane, number))
    lanes.close()

    taken: list[tuple[str, int]] = []
    while (found := lanes.take(at_most)) is not None:
        lane, batch = found
        assert 0 < len(batch) <= at_most
        assert {of for of, _ in batch} == {lane}
        taken += batch
        lanes.done(lane)

    assert sorted(taken, key=lambda item: item[1]) == [(lane, number) for number, lane in enumerate(items)]
    for lane in "abc":
        numbers = [number for of, number in taken if of == lane]
        assert numbers == sorted(numbers)


@settings(deadline=None)
@given(count=st.integers(0, 10), at_most=st.integers(1, 4))
def test_a_line_is_taken_once_in_its_order_as_much_as_waits_together(count: int, at_most: int) -> None:
    line: Line[int] = Line(capacity=10)
    for number in range(count):
        assert line.put("", number)
    if count == 10:
        assert not line.put("", count)
    line.close()
    assert not line.put("", count)

    taken = []
    while (found := line.take(at_most)) is not None:
        taken.append(found[1])
        line.done(found[0])

    assert [number for batch in taken for number in batch] == list(range(count))
    assert all(len(batch) == at_most for batch in taken[:-1])


def test_a_thread_that_waits_at_a_line_takes_what_comes_and_ends_with_it() -> None:
    line: Line[int] = Line(capacity=10)
    taken: list[int] = []

    def work() -> None:
        while (found := line.take(4)) is not None:
            taken.extend(found[1])

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    line.put("", 1)
    line.put("", 2)
    line.close()
    thread.join(10)

    assert not thread.is_alive()
    assert taken == [1, 2]


def test_a_lane_that_is_with_a_thread_is_given_to_no_other_and_the_others_go_on() -> None:
    lanes: Lanes[str] = Lanes(capacity=10)
    lanes.put("room:a", "first")
    assert lanes.take(1) == ("room:a", ["first"])

    lanes.put("room:a", "second")
    lanes.put("room:b", "other")

    assert lanes.take(1) == ("room:b", ["other"])
    lanes.done("room:a")
    assert lanes.take(1) == ("room:a", ["second"])


def test_a_lane_with_much_to_do_waits_behind_the_others_after_its_turn() -> None:
    lanes: Lanes[int] = Lanes(capacity=10)
    for number in range(3):
        lanes.put("busy", number)
    lanes.put("calm", 9)
    order = []

    for _ in range(4):
        lane, _ = lanes.take(1) or ("", [])
        order.append(lane)
        lanes.done(lane)

    assert order == ["busy", "calm", "busy", "busy"]


def test_beyond_the_capacity_and_after_closing_nothing_comes_in() -> None:
    lanes: Lanes[int] = Lanes(capacity=2)
    assert lanes.put("a", 1)
    assert lanes.put("b", 2)
    assert not lanes.put("c", 3)
    lanes.take(1)

    assert lanes.put("c", 3)
    lanes.close()
    assert not lanes.put("d", 4)


def test_threads_that_wait_end_when_nothing_will_come_any_more() -> None:
    lanes: Lanes[int] = Lanes(capacity=10)
    lanes.put("a", 1)
    assert lanes.take(1) is not None
    lanes.put("a", 2)
    ended: list[object] = []

    def work() -> None:
        while (found := lanes.take(1)) is not None:
            ended.append(found[1])
            lanes.done(found[0])

    threads = [threading.Thread(target=work, daemon=True) for _ in range(3)]
    lanes.close()
    for thread in threads:
        thread.start()
    threads[0].join(0.05)
    assert all(thread.is_alive() for thread in threads), "something may still come of the lane that is with a thread"
    lanes.done("a")  # the one that was taken; what waits behind it is still carried out
    for thread in threads:
        thread.join(10)

    assert not any(thread.is_alive() for thread in threads)
    assert ended == [[2]]
