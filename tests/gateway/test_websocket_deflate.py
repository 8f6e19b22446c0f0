"""Compression where it is switched on: agreed in the handshake, heard and understood, whatever carries the socket."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect

from chat_server.realtime.deflate import deflated
from tests.gateway.masked import DEFLATED, LONG, OFFER, ByHand, asked, compressed, masked
from tests.house import House, Person, Wire, house_with


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, carried_by: str) -> Iterator[House]:
    with house_with(tmp_path_factory.mktemp("small") / "data", carried_by, websocket_deflate=True) as found:
        yield found


def agreed_by(wire: Wire) -> str:
    assert wire.socket.response is not None
    return wire.socket.response.headers.get("Sec-WebSocket-Extensions", "")


def test_a_client_that_offers_it_hears_and_is_heard(house: House, ann: Person) -> None:
    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        wire.subscribe("live:x")
        room_id = ann.room()
        wire.rpc("messages.post", room_id=room_id, text=LONG)
        house.api("publish", channel="live:x", data=LONG)

        assert agreed_by(wire).startswith("permessage-deflate")
        assert wire.push("live:x")["data"] == LONG
        assert ann.get(f"/api/v1/rooms/{room_id}/messages")["items"][0]["text"] == LONG


def test_without_the_setting_nothing_is_agreed_and_a_compressed_message_closes(new_house: Any) -> None:
    ann = new_house().person("ann")

    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        wire.connect()
        assert agreed_by(wire) == ""
    with ByHand(ann, OFFER) as socket:
        socket.send(compressed(asked(rpc={"method": "users.me", "data": {}})))

        assert socket.close_code() == 1002


def test_a_client_that_does_not_offer_it_is_left_alone(house: House, ann: Person) -> None:
    with connect(f"{ann.socket_url}?token={ann.token}", compression=None, proxy=None) as plain:
        plain.send(json.dumps({"id": 1, "subscribe": {"channel": "live:plain"}}))
        plain.recv()
        house.api("publish", channel="live:plain", data=LONG)

        assert plain.response is not None
        assert "Sec-WebSocket-Extensions" not in plain.response.headers
        assert json.loads(plain.recv())["push"]["pub"]["data"] == LONG


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_a_compressed_command_in_fragments_is_read(ann: Person, cut: int) -> None:
    small = deflated(asked(rpc={"method": "users.me", "data": {}}))
    with ByHand(ann, OFFER) as socket:
        socket.send(masked(1 | DEFLATED, small[:cut], fin=False) + masked(9, b"!") + masked(0, small[cut:]))

        assert {socket.frame()[0], socket.frame()[0]} == {1, 10}


def test_an_empty_compressed_message_is_nothing(ann: Person) -> None:
    with ByHand(ann, OFFER) as socket:
        socket.send(masked(1 | DEFLATED, b"\x00") + masked(9, b"alive?"))

        assert socket.frame() == (10, b"alive?")


def test_it_goes_on_after_many_messages(house: House, ann: Person) -> None:
    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        wire.subscribe("live:many")
        for number in range(50):
            house.api("publish", channel="live:many", data=f"{number} {LONG}")

        assert [wire.push("live:many")["data"].split()[0] for _ in range(50)] == [str(n) for n in range(50)]
