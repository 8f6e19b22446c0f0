"""A WebSocket without ASGI: the framing by hand, one object a connection, and a good end whoever begins it."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from chat_server.actor import SYSTEM
from chat_server.gateway.direct_carrier import DirectCarrier
from chat_server.gateway.direct_stream import DirectStream
from chat_server.gateway.handshake import Handshake
from chat_server.gateway.stream import Stream as EventStream
from tests.gateway.masked import ByHand, masked, text
from tests.gateway.streams import Stream
from tests.house import DIRECT, House, Person, Wire, until, wire_trust

Houses = Callable[..., House]


@pytest.fixture(scope="module")
def carried_by() -> str:
    """What only this way of carrying promises."""
    return DIRECT


def carriers(house: House) -> list[DirectCarrier]:
    return [found for found in house._server.server_state.connections if isinstance(found, DirectCarrier)]


def tasks(house: House) -> int:
    return int(house.on_loop(lambda: len(asyncio.all_tasks())))


class Closed(asyncio.Transport):
    """As uvloop's, of a client that left before the hand-over."""

    def is_closing(self) -> bool:
        return True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")


def test_whoever_left_before_the_hand_over_keeps_no_place(house: House) -> None:
    gateway, connections = house.app.state.gateway, set[Any]()

    def hand_over() -> None:
        for _ in range(2):
            gateway.admit("gone")
        DirectCarrier(gateway, Handshake(), "gone", wants_rooms=False).begin(Closed(), connections, deflates=False)
        stream = DirectStream(gateway, "gone")
        stream.stream = EventStream(SYSTEM, [], stream, gateway.wheel)
        stream.begin(Closed(), connections)

    house.on_loop(hand_over)

    assert "gone" not in house.worker.manager._by_address
    assert connections == set()


def test_a_ping_is_answered_with_its_payload(ann: Person) -> None:
    with ByHand(ann) as socket:
        socket.send(masked(9, b"are you there?"))

        assert socket.frame() == (10, b"are you there?")


def test_a_close_is_answered_with_its_code_and_the_connection_ends(ann: Person) -> None:
    with ByHand(ann) as socket:
        socket.send(masked(8, b"\x0f\xa0bye"))

        assert socket.frame() == (8, b"\x0f\xa0")
        assert socket.is_cut()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x05hello", 1002),
        (masked(0, b"goes on with nothing"), 1002),
        (masked(8, b"\x03\xed"), 1002),
        (masked(1, b"\xff\xfe"), 1007),
        (masked(1, b"x" * 65_537), 1009),
    ],
)
def test_broken_framing_is_told_and_ends_the_connection(ann: Person, data: bytes, code: int) -> None:
    with ByHand(ann) as socket:
        socket.send(data + b"and what nobody reads any more" * 100)

        assert socket.close_code() == code
        assert socket.is_cut()


def test_commands_that_come_in_one_packet_or_byte_by_byte_are_answered_in_order(ann: Person) -> None:
    commands = [text(number, rpc={"method": "users.me", "data": {}}) for number in range(1, 61)]
    with ByHand(ann) as socket:
        socket.send(b"".join(commands[:50]))
        for byte in b"".join(commands[50:52]):
            socket.send(bytes((byte,)))
        socket.send(b"".join(commands[52:]))

        order = []
        while len(order) < 60:
            order += [json.loads(line)["id"] for line in socket.frame()[1].split(b"\n")]

        assert order == list(range(1, 61))


def test_an_idle_connection_has_no_task(house: House, ann: Person) -> None:
    with ann.wire() as first:
        first.connect()
        until(lambda: not house.worker.spawned, what="the end of the connect's own work")
        before = tasks(house)
        wires = [ann.wire() for _ in range(10)]
        for wire in wires:
            wire.connect()

        until(lambda: tasks(house) <= before, what="the end of the handshakes' tasks")
        for wire in wires:
            wire.close()


def test_the_server_knows_its_connections_until_they_are_gone(house: House, ann: Person) -> None:
    until(lambda: not carriers(house), what="the end of the other tests' connections")
    with ByHand(ann) as socket, ann.wire() as wire:
        wire.connect()
        socket.send(text(1, connect={}))
        socket.frame()
        assert len(carriers(house)) == 2
        assert len(house.worker.manager.connections_of(ann.id)) == 2

    until(lambda: not carriers(house) and not house.worker.manager.connections_of(ann.id), what="their end")


def test_whoever_vanishes_without_a_word_is_out_of_the_house(house: House, ann: Person) -> None:
    socket = ByHand(ann)
    socket.send(text(1, subscribe={"channel": "live:vanishing"}))
    socket.frame()
    socket.socket.close()

    until(lambda: "live:vanishing" not in house.worker.manager.channels, what="the end of the channel")


def test_an_implied_connection_is_pinged_by_the_framing_and_lives_by_its_answers(new_house: Houses) -> None:
    house = new_house(ping_s=0.3, pong_s=0.5)
    with ByHand(house.person("ann")) as socket:
        socket.send(text(1, rpc={"method": "users.me", "data": {}}))
        assert socket.frame()[0] == 1
        for _ in range(3):
            assert socket.frame() == (9, b"")
            socket.send(masked(10, b""))

        assert socket.frame() == (9, b"")
        assert socket.close_code() == 3012


def test_an_idle_stream_has_no_task(house: House, ann: Person) -> None:
    url = f"{ann.url}/sse?channels=live:idle&token={ann.token}"
    with Stream(url) as first:
        first.opened()
        until(lambda: not house.worker.spawned, what="the end of the first one's joining")
        before = tasks(house)
        streams = [Stream(url).__enter__() for _ in range(10)]
        for stream in streams:
            stream.opened()

        until(lambda: tasks(house) <= before, what="the end of the requests' tasks")
        for stream in streams:
            stream.__exit__(None, None, None)


def test_a_stopping_server_ends_streams_with_a_time_to_come_back(new_house: Houses) -> None:
    house = new_house()
    ann = house.person("ann")
    with Stream(f"{ann.url}/sse?channels=live:end&token={ann.token}") as stream:
        stream.opened()

        house.on_loop(lambda: [found.shutdown() for found in house._server.server_state.connections])

        until(lambda: stream.has_ended, what="the end of the stream")
        assert len(stream.retries) == 2


def test_a_stopping_server_says_so_to_everyone(new_house: Houses) -> None:
    house = new_house()
    wire = house.person("ann").wire()
    wire.connect()

    house.on_loop(lambda: [carrier.shutdown() for carrier in carriers(house)])

    assert wire.closed() == (3001, "shutdown")
    wire.close()


def test_publications_of_one_turn_leave_in_their_order_with_the_answers(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("live:turn")
        commands = [{"publish": {"channel": "live:turn", "data": number}} for number in range(100)]
        house.api("batch", commands=commands)

        assert [wire.push("live:turn")["data"] for _ in range(100)] == list(range(100))


def test_it_works_under_tls(tmp_path: Path, new_house: Houses) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    paths = {"tls_cert": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}
    house = new_house(**paths, namespaces={"live": {}, "newest": {"slow": "latest"}})
    ann = house.person("ann")

    with Wire(f"wss://127.0.0.1:{house.port}/ws?token={ann.token}", ssl=wire_trust(authority)) as wire:
        wire.subscribe("live:secret")
        house.awaited(house.worker.broker.append("live:secret", b'{"data":"x"}', None))

        assert wire.push("live:secret")["data"] == "x"
        wire.subscribe("newest:prices")
        for number in range(5):  # nothing waits, so nothing is left out
            house.awaited(house.worker.broker.append("newest:prices", b'{"data":%d}' % number, None))
            assert wire.push("newest:prices")["data"] == number
        wire.socket.send("x" * 65_537)
        assert wire.closed()[0] == 1009
