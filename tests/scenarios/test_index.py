"""The manager's index equals the open connections, whatever people and networks do."""

import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.gateway.slow import flood, slow_wire
from tests.gateway.streams import Stream
from tests.house import House, Person, Wire, house_with, until
from tests.scenarios.cutter import Cutter

pytestmark = pytest.mark.long


@pytest.fixture
def quiet_house(new_house: Callable[..., House]) -> House:
    return new_house(
        namespaces={"live": {}, "chat": {"publish": "users", "history_size": 10, "presence": True}}, slow_bytes=65536
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_with(tmp_path_factory.mktemp("house") / "data", namespaces={"live": {}}) as found:
        yield found


def busy_readers(house: House, seconds: float) -> None:
    """Keep the store's readers busy, so that whatever is looked up next waits about so long."""
    queries = [house.worker.store.read(lambda _: time.sleep(seconds)) for _ in range(3)]
    house.on_loop(lambda: [house.worker.spawn(_awaited(query)) for query in queries])


async def _awaited(query: Awaitable[None]) -> None:
    await query


def inside_out(house: House) -> dict[str, object]:
    """What the manager holds, seen from every side; run on the loop, so that it is one moment."""

    def look() -> dict[str, object]:
        manager = house.worker.manager
        connections = list(manager)
        assert len(connections) == len(manager)
        for connection in connections:
            assert connection in manager.connections_of(connection.user_id)
            for name in connection.channels:
                assert connection in manager.channels[name]
        for name, channel in manager.channels.items():
            assert len(channel) > 0, f"{name} is empty and still there"
            for subscriber in (*channel.live, *channel.joining):
                assert manager.connection(subscriber.client_id) is subscriber, f"a ghost in {name}"
                assert name in subscriber.channels  # type: ignore[attr-defined]
        return {
            "users": sorted(connection.user_id for connection in connections),
            "channels": {name: len(channel) for name, channel in manager.channels.items()},
            "followed": sorted(house.worker.broker._followed),
            "tails": sorted(manager.tails._tails),
        }

    found: dict[str, object] = house.on_loop(look)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_the_index_equals_the_open_connections_after_any_comings_and_goings(house: House, seed: int) -> None:
    rng = random.Random(seed)
    people = [house.person(name) for name in ("ann", "bob", "bob")]
    rooms = [people[0].room(str(number)) for number in range(3)]
    for person in people[1:]:
        for room_id in rooms:
            person.join(room_id)
    channels = [f"room:{room_id}" for room_id in rooms] + ["live:a", "topic:b"]
    with Cutter(house.port) as cutter:
        wires: list[tuple[Wire, Person, set[str]]] = []
        streams: list[Stream] = []
        for _ in range(120):
            _one_step(rng, cutter, people, channels, wires, streams)
        expected_channels: dict[str, int] = {}
        for _, person, names in wires:
            for name in (*names, f"user:{person.id}"):
                expected_channels[name] = expected_channels.get(name, 0) + 1
        until(
            lambda: inside_out(house)["channels"] == expected_channels,
            what=f"{expected_channels}, not {inside_out(house)['channels']}",
        )
        found = inside_out(house)

        assert found["users"] == sorted(person.id for _, person, _ in wires)
        assert found["followed"] == sorted(expected_channels)
        assert set(found["tails"]) <= set(expected_channels)  # type: ignore[call-overload]
        for wire, _, _ in wires:
            wire.close()
        for stream in streams:
            stream.close()
    until(
        lambda: inside_out(house) == {"users": [], "channels": {}, "followed": [], "tails": []}, what="an empty house"
    )


def _one_step(
    rng: random.Random,
    cutter: Cutter,
    people: list[Person],
    channels: list[str],
    wires: list[tuple[Wire, Person, set[str]]],
    streams: list[Stream],
) -> None:
    match rng.choice(
        ["connect", "connect", "subscribe", "subscribe", "subscribe", "unsubscribe", "close", "cut", "say", "stream"]
    ):
        case "connect" if len(wires) < 12:
            person = rng.choice(people)
            wire = Wire(f"ws://127.0.0.1:{cutter.port}/ws?token={person.token}")
            wire.connect()
            wires.append((wire, person, set()))
        case "subscribe" if wires:
            wire, _, names = rng.choice(wires)
            channel = rng.choice(channels)
            answer = wire.ask(subscribe={"channel": channel})
            assert ("error" in answer) == (channel in names)
            names.add(channel)
        case "unsubscribe" if wires:
            wire, _, names = rng.choice(wires)
            channel = rng.choice(channels)
            wire.ask(unsubscribe={"channel": channel})
            names.discard(channel)
        case "close" if wires:
            wires.pop(rng.randrange(len(wires)))[0].close()
        case "cut" if rng.random() < 0.3:
            cutter.cut()
            for wire, _, _ in wires:
                wire.close()
            wires.clear()
        case "say":
            people[0].say(channels[0].removeprefix("room:"), "x")
        case "stream":
            person = rng.choice(people)
            with Stream(
                f"{person.url}/sse?channels={','.join(rng.sample(channels, 2))}&token={person.token}"
            ) as stream:
                stream.opened()


def test_a_socket_that_goes_while_a_back_end_subscribes_it_leaves_no_ghost(quiet_house: House) -> None:
    ann = quiet_house.person("ann")
    with ann.wire() as wire:
        wire.connect()
        busy_readers(quiet_house, 0.3)
        quiet_house.api("subscribe", user=ann.id, channel="topic:x")

    until(lambda: not quiet_house.worker.spawned, what="the end of what was under way")
    assert inside_out(quiet_house)["channels"] == {}


def test_a_socket_that_goes_while_it_is_let_into_a_room_leaves_no_ghost(quiet_house: House) -> None:
    ann, bob = quiet_house.person("ann"), quiet_house.person("bob")
    room_id = ann.room()
    for _ in range(20):
        with bob.wire("&subscribe=rooms") as wire:
            wire.connect()
            bob.join(room_id)
        bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)

    until(lambda: not len(quiet_house.worker.manager), what="the end of all sockets")
    until(lambda: inside_out(quiet_house)["channels"] == {}, patience_s=2, what="empty channels")


def test_a_socket_that_goes_while_it_subscribes_leaves_no_ghost(quiet_house: House) -> None:
    ann = quiet_house.person("ann")
    with ann.wire() as wire:
        wire.connect()
        busy_readers(quiet_house, 0.3)
        for number in range(5):
            wire.send(subscribe={"channel": f"chat:{number}"})

    until(lambda: not len(quiet_house.worker.manager), what="the end of the socket")
    until(lambda: not quiet_house.worker.spawned, what="the end of what was under way")
    assert inside_out(quiet_house)["channels"] == {}
    assert [quiet_house.api("presence", channel=f"chat:{number}")["result"]["presence"] for number in range(5)] == [
        {}
    ] * 5


def test_a_stream_that_goes_while_it_is_opened_leaves_no_ghost(quiet_house: House) -> None:
    ann = quiet_house.person("ann")
    for _ in range(5):
        with Stream(f"{ann.url}/sse?channels=user:me,topic:x,live:y&token={ann.token}"):
            busy_readers(quiet_house, 0.05)

    until(lambda: not quiet_house.worker.spawned, what="the end of what was under way")
    until(lambda: inside_out(quiet_house)["channels"] == {}, what="empty channels")


def test_a_silent_peer_that_is_closed_while_it_subscribes_is_present_nowhere(quiet_house: House) -> None:
    """The close waits some seconds for the peer to read; meanwhile the subscription is finished, for nobody."""
    ann = quiet_house.person("ann")
    channel = f"room:{ann.room()}"
    with slow_wire(quiet_house, ann) as wire:
        wire.subscribe("live:flood")
        (socket,) = quiet_house.worker.manager
        while not _waits(quiet_house, socket):
            flood(quiet_house, "live:flood", ["x" * 4000] * 5)
        busy_readers(quiet_house, 1.0)
        wire.send(subscribe={"channel": channel})
        until(lambda: channel in socket.pending, what="the subscribe")
        quiet_house.api("disconnect", user=ann.id)

        until(lambda: not len(quiet_house.worker.manager), patience_s=20, what="the end of the socket")
        assert inside_out(quiet_house)["channels"] == {}
        assert quiet_house.api("presence", channel=channel)["result"]["presence"] == {}


def _waits(house: House, socket: Any) -> bool:
    """Whether something has been waiting for the peer for a while."""
    for _ in range(30):
        if not house.on_loop(lambda: socket.outlet.waiting_bytes):
            return False
        time.sleep(0.01)
    return True
