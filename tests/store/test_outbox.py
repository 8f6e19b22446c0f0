"""Several threads commit: of one channel all leaves in the order of announcement, and nothing waits for strangers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from chat_server.store.outbox import Outbox, Parcel

CHANNELS = ["room:a", "user:b", "topic:c"]

plans = st.lists(st.frozensets(st.sampled_from(CHANNELS)), min_size=1, max_size=12)


@settings(deadline=None)
@given(plan=plans, data=st.data())
def test_each_parcel_leaves_once_as_soon_as_all_before_it_in_its_channels_are_settled(
    plan: list[frozenset[str]], data: st.DataObject
) -> None:
    sent: list[int] = []
    outbox: Outbox[int] = Outbox(sent.append)
    parcels: list[Parcel[int]] = [outbox.announce(channels) for channels in plan]
    settled: set[int] = set()

    for number in data.draw(st.permutations(range(len(plan)))):
        outbox.settle(parcels[number], number)
        settled.add(number)

        due = {
            one
            for one in settled
            if all(other in settled for other in range(one) if reaches(plan, other, one))  # transitively
        }
        assert set(sent) == due
    assert sorted(sent) == list(range(len(plan)))
    for channel in CHANNELS:
        heard = [number for number in sent if channel in plan[number]]
        assert heard == sorted(heard)


def reaches(plan: list[frozenset[str]], earlier: int, later: int) -> bool:
    """Whether the later one has to wait for the earlier one, over any number of channels."""
    behind = {earlier}
    for number in range(earlier + 1, later + 1):
        if any(plan[number] & plan[before] for before in behind):
            behind.add(number)
    return later in behind


def test_what_was_settled_and_sent_is_forgotten() -> None:
    outbox: Outbox[str] = Outbox(lambda _: None)
    for _ in range(3):
        outbox.settle(outbox.announce(CHANNELS), "x")

    assert outbox._announced == {}
