"""Compression in our own framing: each publication once for all who agreed, bounded on the way in, by the letter."""

import json
from collections.abc import Iterator

import pytest

from tests.gateway.credentials import new_bot
from tests.gateway.masked import DEFLATED, LONG, OFFER, ByHand, asked, compressed, masked
from tests.house import DIRECT, House, Person, Wire, house_with


@pytest.fixture(scope="module")
def carried_by() -> str:
    """What only this way of carrying promises."""
    return DIRECT


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, carried_by: str) -> Iterator[House]:
    with house_with(tmp_path_factory.mktemp("small") / "data", carried_by, websocket_deflate=True) as found:
        yield found


def test_an_unusual_handshake_agrees_alike(house: House) -> None:
    bot = new_bot(house)

    with Wire(f"{bot.owner.socket_url}?token={bot.key}") as wire:
        wire.subscribe("live:bot")
        house.api("publish", channel="live:bot", data=LONG)

        assert wire.socket.response is not None
        assert (
            "server_no_context_takeover; client_no_context_takeover"
            in wire.socket.response.headers["Sec-WebSocket-Extensions"]
        )
        assert wire.push("live:bot")["data"] == LONG


def test_what_is_long_comes_deflated_and_what_is_short_plain(house: House, ann: Person) -> None:
    with ByHand(ann, OFFER) as socket:
        socket.send(masked(1, asked(subscribe={"channel": "live:sizes"})))
        assert socket.frame()[0] == 1
        house.api("publish", channel="live:sizes", data="short")
        assert json.loads(socket.frame()[1])["push"]["pub"]["data"] == "short"
        house.api("publish", channel="live:sizes", data=LONG)

        size = len(socket.frame()[1])

    assert size < len(LONG) // 8


def test_all_who_agreed_share_the_bytes(house: House, ann: Person) -> None:
    with ByHand(ann, OFFER) as one, ByHand(ann, OFFER) as two, ByHand(ann) as plain:
        for socket in (one, two, plain):
            socket.send(masked(1, asked(subscribe={"channel": "live:shared"})))
            socket.frame()
        house.api("publish", channel="live:shared", data=LONG)

        found = [socket.frame()[1] for socket in (one, two, plain)]

    assert found[0] == found[1] != found[2]
    assert json.loads(found[2])["push"]["pub"]["data"] == LONG


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (compressed(bytes(10_000_000)), 1009),
        (compressed(b" " * 65_537), 1009),
        (masked(1 | DEFLATED, b"\xff\xff\xff\xff"), 1007),
        (compressed(b"\xff\xfe"), 1007),
        (masked(9 | DEFLATED, b""), 1002),
        (masked(1, b"x", fin=False) + masked(0 | DEFLATED, b"x"), 1002),
        (masked(1 | 0x20, b"x"), 1002),
    ],
)
def test_compression_that_may_not_be_ends_the_connection(ann: Person, data: bytes, code: int) -> None:
    with ByHand(ann, OFFER) as socket:
        socket.send(data)

        assert socket.close_code() == code
        assert socket.is_cut()


def test_a_compressed_message_of_64_kib_is_read(ann: Person) -> None:
    command = asked(rpc={"method": "users.me", "data": {}})
    with ByHand(ann, OFFER) as socket:
        socket.send(compressed(command + b" " * (65_536 - len(command))))

        assert socket.frame()[0] == 1
