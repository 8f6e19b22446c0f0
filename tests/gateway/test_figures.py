import pytest

from chat_server.gateway.reading import Reading, figures_of
from chat_server.shapes import Role
from tests.gateway.streams import Stream
from tests.house import House, Person, until

pytestmark = pytest.mark.long


@pytest.fixture
def owner(house: House) -> Person:
    return house.person("ann", Role.OWNER)


def follow(person: Person) -> Stream:
    return Stream(f"{person.url}/sse?token={person.token}&channels=server:figures")


def reading(worker: str, at_s: float, **counted: float) -> Reading:
    none = dict.fromkeys(("sockets", "streams", "messages", "deliveries", "commits", "commit_s", "lag_s"), 0)
    return Reading(worker=worker, at_s=at_s, **{**none, **counted})  # type: ignore[arg-type]


def test_an_owner_hears_the_servers_figures_on_a_stream(owner: Person) -> None:
    with follow(owner) as stream, owner.wire() as wire:
        assert stream.opened() == {
            "server:figures": {"epoch": "", "offset": 0, "was_recovering": False, "recovered": False}
        }
        wire.connect()
        first = stream.next()
        second = until(lambda: (found := stream.next()).data["figures"]["sockets"] >= 1 and found)

    assert (first.type, first.id) == ("figures.taken", None)
    assert first.data["figures"]["messages_per_s"] is None
    assert second.data["figures"]["workers"] == 1
    assert second.data["figures"]["streams"] >= 1
    assert second.data["figures"]["messages_per_s"] >= 0


def test_a_socket_may_follow_the_figures_too(owner: Person) -> None:
    with owner.wire() as wire:
        wire.subscribe("server:figures")

        figures = wire.event("server:figures", "figures.taken")["figures"]

    assert figures["sockets"] >= 1


def test_nobody_else_hears_the_figures(ann: Person, owner: Person) -> None:
    with follow(ann) as stream:
        assert stream.status == 403
    with ann.wire() as wire:
        assert wire.ask(subscribe={"channel": "server:figures"})["error"]["code"] == 103
    with owner.wire() as wire:
        assert wire.ask(subscribe={"channel": "server:secrets"})["error"]["code"] == 103
        assert wire.ask(publish={"channel": "server:figures", "data": {}})["error"]["code"] == 103


def test_figures_add_up_over_the_workers_and_rates_are_of_each_workers_own_time() -> None:
    before = {"a": reading("a", 100.0, messages=10, commits=5, commit_s=1.0), "b": reading("b", 7.0, messages=1000)}
    now = [
        reading("a", 102.0, sockets=3, messages=30, commits=7, commit_s=1.5, lag_s=0.001),
        reading("b", 11.0, sockets=4, streams=1, messages=1020, lag_s=0.002),
    ]

    found = figures_of(now, before)

    assert (found.workers, found.sockets, found.streams) == (2, 7, 1)
    assert found.messages_per_s == 20 / 2 + 20 / 4
    assert found.commit_ms == 1000 * 0.5 / 2
    assert found.lag_ms == 2.0


def test_a_worker_that_came_or_went_leaves_the_rates_true() -> None:
    before = {"gone": reading("gone", 0.0, messages=9000), "old": reading("old", 0.0, messages=5)}

    found = figures_of([reading("old", 2.0, messages=7), reading("new", 50.0, messages=80_000)], before)

    assert found.messages_per_s == 1.0
    assert figures_of([reading("new", 50.0, messages=80_000)], {}).messages_per_s is None
