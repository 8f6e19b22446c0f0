"""Token buckets: never more than the rate allows, never less, and a bound on how many are remembered."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.broker import buckets
from chat_server.broker.buckets import Buckets
from chat_server.settings import Rate


class Watch:
    """A clock in seconds that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_new_bucket_is_full_and_then_empty(watch: Watch) -> None:
    found, rate = Buckets(watch), Rate(3, 60.0)

    assert [found.take("ann", rate) for _ in range(4)] == [0.0, 0.0, 0.0, 20.0]


def test_the_wait_that_is_answered_is_enough_and_no_more_than_needed(watch: Watch) -> None:
    found, rate = Buckets(watch), Rate(4, 2.0)
    while not found.take("ann", rate):
        pass
    wait_s = found.take("ann", rate)

    watch.now += wait_s * 0.9
    assert found.take("ann", rate) == pytest.approx(wait_s * 0.1)
    watch.now += wait_s * 0.1 + 1e-9
    assert found.take("ann", rate) == 0.0


def test_asking_in_vain_costs_nothing(watch: Watch) -> None:
    found, rate = Buckets(watch), Rate(1, 10.0)
    found.take("ann", rate)
    for _ in range(10):
        watch.now += 0.999
        assert found.take("ann", rate) > 0

    watch.now += 0.02
    assert found.take("ann", rate) == 0.0


def test_a_bucket_never_holds_more_than_its_rate(watch: Watch) -> None:
    found, rate = Buckets(watch), Rate(2, 1.0)
    found.take("ann", rate)
    watch.now += 1_000_000
    for _ in range(5):
        found.give_back("ann", rate)

    assert [found.take("ann", rate) > 0 for _ in range(3)] == [False, False, True]


def test_no_rate_is_no_limit_and_is_not_remembered(watch: Watch) -> None:
    found = Buckets(watch)

    assert all(found.take("ann", Rate(0)) == 0.0 for _ in range(1_000))
    found.give_back("ann", Rate(0))
    assert found.take("ann", Rate(1, 10.0)) == 0.0


def test_of_too_many_buckets_the_longest_untouched_is_forgotten(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "KEPT", 3)
    found, rate = Buckets(watch), Rate(1, 60.0)
    for name in ("ann", "bob", "carol"):
        found.take(name, rate)
    assert found.take("ann", rate) > 0

    found.take("dave", rate)

    assert found.take("ann", rate) > 0
    assert found.take("bob", rate) == 0.0


steps = st.lists(
    st.tuples(st.sampled_from(["take", "take", "give back"]), st.sampled_from(["ann", "bob"]), st.integers(0, 5)),
    max_size=60,
)


@settings(deadline=None, max_examples=100)
@given(steps=steps, count=st.integers(1, 5), per_s=st.sampled_from([1.0, 4.0, 60.0]))
def test_a_bucket_does_what_a_model_of_it_would(steps: list[tuple[str, str, int]], count: int, per_s: float) -> None:
    watch, rate = Watch(), Rate(count, per_s)
    found = Buckets(watch)
    level = {"ann": float(count), "bob": float(count)}
    for kind, name, wait_s in steps:
        watch.now += wait_s
        for other in level:
            level[other] = min(count, level[other] + wait_s * count / per_s)
        if kind == "give back":
            found.give_back(name, rate)
            level[name] = min(count, level[name] + 1)
        elif abs(level[name] - 1.0) > 1e-6:  # on the edge the two may round apart
            answer = found.take(name, rate)
            assert (answer == 0.0) is (level[name] >= 1.0)
            if answer == 0.0:
                level[name] -= 1
            else:
                assert answer == pytest.approx((1.0 - level[name]) * per_s / count)
