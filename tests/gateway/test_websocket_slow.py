"""A slow reader hurts only itself: bounded bytes, then 3008, and nothing is lost that it can recover."""

from collections.abc import Callable

import pytest
from websockets.exceptions import ConnectionClosed

from tests.gateway.slow import flood, slow_wire
from tests.house import House, Wire, until

BIG = "x" * 4000
Houses = Callable[..., House]


NAMESPACES = {"live": {}, "newest": {"slow": "latest"}, "ring": {"slow": "drop_oldest"}}


@pytest.fixture
def tight(new_house: Houses) -> House:
    """A house that lets 128 KiB wait."""
    return new_house(slow_bytes=128 * 1024, namespaces=NAMESPACES)


def read_out(wire: Wire, channel: str) -> tuple[list[int], tuple[int, str]]:
    """The offsets that still came, and how the socket was closed."""
    code = wire.closed()
    return [push["pub"]["offset"] for push in wire.pushes if push["channel"] == channel and "pub" in push], code


def test_a_reader_that_lets_too_much_wait_is_closed_and_recovers_the_rest(tight: House) -> None:
    ann, bob = tight.person("ann"), tight.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    channel = f"room:{room_id}"
    with slow_wire(tight, bob) as slow:
        start = slow.subscribe(channel)
        posted = [ann.say(room_id, BIG) for _ in range(110)]
        offsets, code = read_out(slow, channel)

    with bob.wire() as again:
        last = offsets[-1] if offsets else start["offset"]
        found = again.subscribe(channel, recover=True, epoch=start["epoch"], offset=last)

    assert code == (3008, "slow")
    assert offsets == list(range(start["offset"] + 1, last + 1))
    assert len(offsets) < 110
    assert found["recovered"] is True
    assert [publication["offset"] for publication in found["publications"]] == list(
        range(last + 1, start["offset"] + 111)
    )
    assert found["publications"][-1]["data"]["message"] == posted[-1]


def test_others_hear_everything_while_one_reads_nothing(tight: House) -> None:
    ann, bob = tight.person("ann"), tight.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    with slow_wire(tight, bob) as slow, bob.wire() as brisk:
        slow.subscribe(f"room:{room_id}")
        start = brisk.subscribe(f"room:{room_id}")
        heard = []
        for _ in range(100):
            ann.say(room_id, BIG)
            heard.append(brisk.push(f"room:{room_id}")["offset"])

        assert heard == list(range(start["offset"] + 1, start["offset"] + 101))
        assert slow.closed() == (3008, "slow")


def test_what_waits_for_one_connection_is_bounded(tight: House) -> None:
    ann = tight.person("ann")
    with slow_wire(tight, ann) as slow:
        slow.subscribe("live:flood")
        (socket,) = tight.worker.manager.connections_of(ann.id)
        sizes = []
        for _ in range(10):
            flood(tight, "live:flood", [BIG] * 10)
            sizes.append(tight.on_loop(lambda: socket.outlet.waiting_bytes))

        assert 0 < max(sizes) <= 128 * 1024


@pytest.mark.parametrize(("namespace", "kept"), [("newest", 1), ("ring", 64)])
def test_a_reader_who_does_not_mind_gaps_stays_and_gets_the_newest(tight: House, namespace: str, kept: int) -> None:
    ann = tight.person("ann")
    with slow_wire(tight, ann) as slow:
        slow.subscribe(f"{namespace}:prices")
        flood(tight, f"{namespace}:prices", [[number, BIG] for number in range(400)])
        heard: list[int] = []
        while not heard or heard[-1] != 399:
            heard.append(slow.push(f"{namespace}:prices")["data"][0])
        tight.api("publish", channel=f"{namespace}:prices", data=["after", ""])
        after = slow.push(f"{namespace}:prices")["data"][0]

        assert heard == sorted(set(heard))
        assert len(heard) < 400
        assert heard[-kept:] == list(range(400 - kept, 400))
        assert after == "after"


def test_the_answers_to_commands_come_through_a_held_back_channel(tight: House) -> None:
    ann = tight.person("ann")
    with slow_wire(tight, ann) as slow:
        slow.subscribe("newest:prices")
        flood(tight, "newest:prices", [BIG] * 200)

        assert slow.rpc("users.me")["id"] == ann.id


def test_a_slow_reader_is_out_of_the_house_once_it_is_closed(tight: House) -> None:
    ann = tight.person("ann")
    with slow_wire(tight, ann) as slow:
        slow.subscribe("live:flood")
        flood(tight, "live:flood", [BIG] * 120)
        slow.closed()

        until(lambda: not tight.worker.manager.connections_of(ann.id), what="the slow one's end")
        assert "live:flood" not in tight.worker.manager.channels


def test_a_reader_that_is_revoked_while_it_reads_nothing_hears_nothing_that_came_later(tight: House) -> None:
    ann, bob = tight.person("ann"), tight.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    with slow_wire(tight, bob) as slow:
        slow.subscribe(f"room:{room_id}")
        for _ in range(8):
            ann.say(room_id, BIG)
        bob.post("/api/v1/auth/logout", status=204)
        ann.say(room_id, "not for bob")
        texts = []

        def read_for_ever() -> None:
            while True:
                texts.append(slow.push(f"room:{room_id}")["data"]["message"]["text"])

        with pytest.raises(ConnectionClosed) as closed:
            read_for_ever()

        assert closed.value.rcvd is None or closed.value.rcvd.code == 3500
        assert "not for bob" not in texts


def test_a_reader_who_does_not_mind_gaps_stays_even_where_little_may_wait(new_house: Houses) -> None:
    house = new_house(slow_bytes=32 * 1024, namespaces=NAMESPACES)
    ann = house.person("ann")
    with slow_wire(house, ann) as slow:
        slow.subscribe("newest:prices")
        flood(house, "newest:prices", [[number, BIG] for number in range(80)])
        while slow.push("newest:prices")["data"][0] != 79:
            continue

        assert slow.rpc("users.me")["id"] == ann.id


@pytest.mark.long
def test_a_peer_that_never_reads_again_is_given_up(tight: House) -> None:
    ann = tight.person("ann")
    with slow_wire(tight, ann) as slow:
        slow.subscribe("live:flood")
        flood(tight, "live:flood", [BIG] * 120)

        until(lambda: not tight.worker.manager.connections_of(ann.id), patience_s=45, what="the end of the silent peer")
