"""Recovery is all or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.realtime.resume import (
    RECOVER_BYTES,
    RECOVER_PUBLICATIONS,
    Asked,
    is_within_reach,
    resumed,
)
from tests.realtime.people import frame


@pytest.mark.parametrize(
    ("epoch", "offset", "floor", "expected"),
    [
        ("e1", 10, 0, True),
        ("e1", 4, 0, True),
        ("", 4, 0, True),
        ("e0", 4, 0, False),
        ("e0", 10, 0, False),
        ("e1", 11, 0, False),
        ("e1", 4, 4, True),
        ("e1", 3, 4, False),
        ("e1", 10, 11, False),
    ],
)
def test_a_position_is_within_reach_in_its_epoch_between_floor_and_top(
    epoch: str, offset: int, floor: int, expected: bool
) -> None:
    assert is_within_reach(Asked(epoch, offset), "e1", 10, floor) is expected


def test_a_position_too_far_back_is_out_of_reach() -> None:
    assert is_within_reach(Asked("e1", 100), "e1", 100 + RECOVER_PUBLICATIONS, 0)
    assert not is_within_reach(Asked("e1", 100), "e1", 101 + RECOVER_PUBLICATIONS, 0)


def test_who_asked_for_nothing_gets_the_position() -> None:
    joined = resumed(None, epoch="e1", top=7, found=None, source="log")

    assert (joined.epoch, joined.top) == ("e1", 7)
    assert not joined.was_recovering
    assert not joined.recovered


def test_who_missed_nothing_is_recovered_with_nothing() -> None:
    joined = resumed(Asked("e1", 7), epoch="e1", top=7, found=[], source="log")

    assert joined.was_recovering
    assert joined.recovered
    assert joined.frames == ()


@pytest.mark.parametrize(
    "offsets",
    [[], [6], [5, 7], [4, 5, 6, 7], [6, 5, 7], [5, 5, 7], [5, 6, 7, 8], [6, 7, 8]],
    ids=str,
)
def test_what_is_not_exactly_the_missing_run_is_not_recovered_and_no_part_is_given(offsets: list[int]) -> None:
    joined = resumed(Asked("e1", 4), epoch="e1", top=7, found=[frame(at) for at in offsets], source="log")

    assert joined.was_recovering
    assert not joined.recovered
    assert joined.frames == ()
    assert joined.top == 7


@pytest.mark.parametrize(("extra", "expected"), [(0, True), (1, False)])
def test_more_bytes_than_the_bound_are_not_recovered(extra: int, expected: bool) -> None:
    half = RECOVER_BYTES // 2
    found = [frame(1, payload=b"x" * half), frame(2, payload=b"x" * (half + extra))]

    joined = resumed(Asked("e1", 0), epoch="e1", top=2, found=found, source="log")

    assert joined.recovered is expected
    assert len(joined.frames) == (2 if expected else 0)


@settings(deadline=None, max_examples=200)
@given(asked=st.integers(0, 12), top=st.integers(0, 12), found=st.lists(st.integers(0, 14), max_size=12))
def test_recovered_means_every_offset_from_the_asked_one_to_the_top_once_and_in_order(
    asked: int, top: int, found: list[int]
) -> None:
    joined = resumed(Asked("e1", asked), epoch="e1", top=top, found=[frame(at) for at in found], source="log")

    given_out = [each.offset for each in joined.frames]
    assert joined.recovered is (found == list(range(asked + 1, top + 1)) and asked <= top)
    assert given_out == (list(range(asked + 1, top + 1)) if joined.recovered else [])
