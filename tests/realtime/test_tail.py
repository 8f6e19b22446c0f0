"""The tail in memory: what it answers equals what the log would, and it never outgrows its bounds."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.realtime import tail as tails
from chat_server.realtime.tail import CHANNEL_BYTES, CHANNEL_PUBLICATIONS, TailMemory
from tests.realtime.people import frame


def fill(memory: TailMemory, channel: str, offsets: range, size: int = 10) -> None:
    for offset in offsets:
        memory.add(channel, frame(offset, channel, b"x" * size))


def after(memory: TailMemory, channel: str, offset: int, position: int) -> list[int] | None:
    found = memory.tail_of(channel).after(offset, position)
    return None if found is None else [each.offset for each in found]


def test_a_tail_answers_what_came_after_an_offset() -> None:
    memory = TailMemory()
    fill(memory, "room:a", range(5, 9))

    assert after(memory, "room:a", 4, 8) == [5, 6, 7, 8]
    assert after(memory, "room:a", 7, 8) == [8]
    assert after(memory, "room:a", 8, 8) == []


def test_a_tail_does_not_answer_for_what_it_never_had() -> None:
    memory = TailMemory()
    fill(memory, "room:a", range(5, 9))

    assert after(memory, "room:a", 3, 8) is None
    assert after(memory, "room:b", 3, 8) is None


def test_whoever_is_level_needs_no_tail() -> None:
    assert after(TailMemory(), "room:a", 8, 8) == []


def test_a_jump_begins_a_new_run() -> None:
    memory = TailMemory()
    fill(memory, "room:a", range(5, 9))
    fill(memory, "room:a", range(20, 22))

    assert after(memory, "room:a", 8, 21) is None
    assert after(memory, "room:a", 19, 21) == [20, 21]
    assert memory.size_bytes == 20


def test_a_dropped_tail_is_gone_with_its_bytes() -> None:
    memory = TailMemory()
    fill(memory, "room:a", range(1, 5))
    fill(memory, "room:b", range(1, 3))

    memory.drop("room:a")
    memory.drop("room:never")

    assert after(memory, "room:a", 0, 4) is None
    assert after(memory, "room:b", 0, 2) == [1, 2]
    assert memory.size_bytes == 20


def test_a_tail_has_no_more_publications_than_its_bound() -> None:
    memory = TailMemory()
    fill(memory, "room:a", range(1, 2 * CHANNEL_PUBLICATIONS))

    last = 2 * CHANNEL_PUBLICATIONS - 1
    assert len(memory.tail_of("room:a").frames) == CHANNEL_PUBLICATIONS
    assert len(after(memory, "room:a", last - CHANNEL_PUBLICATIONS, last) or []) == CHANNEL_PUBLICATIONS
    assert after(memory, "room:a", last - CHANNEL_PUBLICATIONS - 1, last) is None


def test_a_tail_has_no_more_bytes_than_its_bound_and_one_large_publication_empties_it() -> None:
    memory = TailMemory()
    fill(memory, "room:a", range(1, 11), size=CHANNEL_BYTES // 4)
    assert memory.size_bytes <= CHANNEL_BYTES

    fill(memory, "room:a", range(11, 12), size=CHANNEL_BYTES + 1)

    assert memory.size_bytes == 0
    assert after(memory, "room:a", 10, 11) is None
    fill(memory, "room:a", range(12, 13))
    assert after(memory, "room:a", 11, 12) == [12]


def test_the_channel_that_was_quiet_longest_loses_its_tail_first() -> None:
    memory = TailMemory(capacity_bytes=30)
    for channel in ("room:a", "room:b", "room:c"):
        fill(memory, channel, range(1, 2))
    fill(memory, "room:a", range(2, 3))

    assert memory.size_bytes == 30
    assert after(memory, "room:b", 0, 1) is None
    assert after(memory, "room:a", 0, 2) == [1, 2]
    assert after(memory, "room:c", 0, 1) == [1]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.sampled_from("abc"), st.integers(0, 40)),
        st.tuples(st.just("publish"), st.sampled_from("abc"), st.integers(0, 40)),
        st.tuples(st.just("miss"), st.sampled_from("abc"), st.integers(1, 3)),
        st.tuples(st.just("drop"), st.sampled_from("abc"), st.just(0)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=150)
@given(steps=steps)
def test_what_a_tail_answers_equals_what_the_log_would_and_no_bound_is_exceeded(
    steps: list[tuple[str, str, int]],
) -> None:
    """`miss`: offsets that were published while the channel had nobody here."""
    log: dict[str, list[int]] = defaultdict(list)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tails, "CHANNEL_PUBLICATIONS", 5)
        patch.setattr(tails, "CHANNEL_BYTES", 100)
        memory = TailMemory(capacity_bytes=150)
        for kind, channel, number in steps:
            head = len(log[channel])
            if kind == "publish":
                log[channel].append(head + 1)
                memory.add(channel, frame(head + 1, channel, b"x" * number))
            elif kind == "miss":
                log[channel] += range(head + 1, head + 1 + number)
                memory.drop(channel)
            else:
                memory.drop(channel)

            sizes = {name: sum(each.size for each in memory.tail_of(name).frames) for name in "abc"}
            assert memory.size_bytes == sum(sizes.values()) <= 150
            assert all(memory.tail_of(name).size_bytes == size <= 100 for name, size in sizes.items())
            assert all(len(memory.tail_of(name).frames) <= 5 for name in "abc")
            for name, offsets in log.items():
                for asked in range(len(offsets) + 1):
                    found = after(memory, name, asked, len(offsets))
                    assert found is None or found == offsets[asked:]
