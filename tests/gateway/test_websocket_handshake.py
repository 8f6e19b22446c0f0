"""The handshake as a client types it: what opens, what is refused and how, whatever carries the socket."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.gateway.credentials import refused
from tests.gateway.masked import text
from tests.house import House, Person, Wire, settings_for, until

Houses = Callable[..., House]

HEAD = (
    "GET /ws?token={token} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ACCEPTED = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


class Layer:
    """Counts what passes the application's layers."""

    def __init__(self) -> None:
        self.sockets = 0

    def around(self, app: ASGIApp) -> ASGIApp:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self.sockets += scope["type"] == "websocket"
            await app(scope, receive, send)

        return counted


@contextmanager
def opened(house: House, *parts: bytes) -> Iterator[socket.socket]:
    """A connection that sent these packets."""
    with socket.create_connection(("127.0.0.1", house.port), 10) as found:
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            found.sendall(part)
        yield found


def head_of(found: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = found.recv(65536)
        assert more, data
        data += more
    return data


def status(house: House, head: str) -> int:
    with opened(house, head.encode("latin-1")) as found:
        return int(head_of(found).split()[1])


@contextmanager
def layered(tmp_path: Path, *, is_wrapped: bool = False) -> Iterator[tuple[House, Layer]]:
    """A server whose layers are counted; or one whose application somebody wrapped."""
    house, layer = House(settings_for(tmp_path / "layered")), Layer()
    if is_wrapped:
        house._server.config.app = layer.around(house.app)
    else:
        house.app.add_middleware(layer.around)  # type: ignore[arg-type]  # a function that makes one will do
    house.start()
    try:
        yield house, layer
    finally:
        house.stop()


def test_a_whole_head_is_accepted(house: House, ann: Person) -> None:
    with opened(house, HEAD.format(token=ann.token).encode()) as found:
        head = head_of(found)

    assert head.startswith(b"HTTP/1.1 101 ")
    assert ACCEPTED.lower() in head.lower()


@pytest.mark.parametrize("cut", [1, 3, 20, 60, -2, -1])
def test_a_head_in_two_packets_is_accepted(house: House, ann: Person, cut: int) -> None:
    head = HEAD.format(token=ann.token).encode()
    with opened(house, head[:cut]) as found:
        assert ann.get("/livez")  # so that the first part has been read by itself
        found.sendall(head[cut:])

        assert ACCEPTED.lower() in head_of(found).lower()


def test_commands_right_behind_the_head_are_answered(house: House, ann: Person) -> None:
    commands = text(1, rpc={"method": "users.me", "data": {}}) + text(2, rpc={"method": "no.such"})
    with opened(house, HEAD.format(token=ann.token).encode() + commands) as found:
        data = head_of(found)
        while b'"id":2' not in data:
            data += found.recv(65536)

    assert data.index(b'{"id":1,"rpc"') < data.index(b'{"id":2,"error"')


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400),
        ("Sec-WebSocket-Version: 13\r\n", "", 400),
        ("Version: 13", "Version: 8", 400),
        ("Host: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nX Y: z\r\n", 400),
        ("Host: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nX: a\r\n folded\r\n", 400),
        ("Host: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nX: a\x01b\r\n", 400),
        ("Upgrade: websocket\r\n", "", 404),
        ("GET", "POST", 405),
        ("/ws?", "/wsx?", 403),
        ("/ws?", "/nowhere?", 403),
        ("Host: 127.0.0.1\r\n", "Host: 127.0.0.1\r\nOrigin: http://evil.example\r\n", 403),
        ("?token=", "?other=\xff", 400),
        ("Connection: Upgrade", "Connection: keep-alive, Upgrade", 101),
        ("Host: 127.0.0.1\r\n", "hOsT: 127.0.0.1\r\n", 101),
        ("/ws?", "/connection/websocket?", 101),
        ("/ws?", "/%77s?", 101),
        ("HTTP/1.1", "HTTP/1.0", 101),
    ],
)
def test_a_head_is_answered_with_its_status(house: House, ann: Person, before: str, after: str, wanted: int) -> None:
    head = HEAD.format(token=ann.token)
    assert before in head

    assert status(house, head.replace(before, after, 1)) == wanted


@pytest.mark.parametrize("header", ["X-Long: " + "x" * 40_000, "Content-Length: 3", "Transfer-Encoding: chunked"])
def test_a_head_that_is_too_long_or_has_a_body_is_a_bad_request(house: House, ann: Person, header: str) -> None:
    assert status(house, HEAD.format(token=ann.token)[:-2] + header + "\r\n\r\n") == 400


def test_a_second_request_of_a_connection_may_be_the_upgrade(house: House, ann: Person) -> None:
    with opened(house, b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") as found:
        assert head_of(found).startswith(b"HTTP/1.1 200 ")
        found.sendall(HEAD.format(token=ann.token).encode())

        assert ACCEPTED.lower() in head_of(found).lower()


def test_an_unknown_host_is_refused(new_house: Houses) -> None:
    house = new_house(trusted_hosts=("chat.example.org",))
    ann = house.person("ann")
    head = HEAD.format(token=ann.token)

    assert status(house, head) == 400
    assert status(house, head.replace("Host: 127.0.0.1", "Host: chat.example.org:8000")) == 101


def test_a_draining_worker_refuses(new_house: Houses) -> None:
    house = new_house()
    ann = house.person("ann")
    house.worker.is_draining = True

    answer = refused(f"{ann.socket_url}?token={ann.token}")

    assert (answer.status_code, json.loads(answer.body)["code"]) == (503, "draining")
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_trusted_proxy_says_whose_socket_it_is(new_house: Houses) -> None:
    house = new_house(max_connections_per_address=1)
    ann = house.person("ann")
    url = f"{ann.socket_url}?token={ann.token}"

    def via(address: str) -> dict[str, Any]:
        return {"additional_headers": {"X-Forwarded-For": address}}

    with Wire(url, **via("203.0.113.9")) as one, Wire(url, **via("203.0.113.9, 203.0.113.7")) as other:
        one.connect()
        other.connect()

        assert refused(url, **via("203.0.113.9")).status_code == 503
        assert refused(url, **via("203.0.113.66, 203.0.113.7, 127.0.0.1")).status_code == 503


def test_behind_a_proxy_with_tls_the_origin_is_https(house: House, ann: Person) -> None:
    url = f"{ann.socket_url}?token={ann.token}"
    proxied = {"X-Forwarded-Proto": "https"}
    origin = ann.url.replace("http:", "https:")

    with Wire(url, additional_headers=proxied, origin=origin) as wire:
        wire.connect()
    assert refused(url, additional_headers=proxied, origin=ann.url).status_code == 403
    assert refused(url, origin=origin).status_code == 403


def test_nobody_else_says_whose_socket_it_is(new_house: Houses) -> None:
    house = new_house(trusted_proxies=("10.0.0.1",), max_connections_per_address=1)
    ann = house.person("ann")
    url = f"{ann.socket_url}?token={ann.token}"

    with Wire(url, additional_headers={"X-Forwarded-For": "203.0.113.9"}) as wire:
        wire.connect()

        assert refused(url, additional_headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 503


def test_plain_sockets_are_sent_to_https_where_that_is_the_rule(new_house: Houses) -> None:
    house = new_house(https_redirect=True)
    ann = house.person("ann")
    head = HEAD.format(token=ann.token)

    assert status(house, head) == 307
    assert status(house, head[:-2] + "X-Forwarded-Proto: https\r\n\r\n") == 101


def test_an_ordinary_socket_passes_no_layer_and_a_refused_one_all(tmp_path: Path) -> None:
    with layered(tmp_path) as (house, layer):
        ann = house.person("ann")
        with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
            wire.connect()
        ordinary = layer.sockets

        refused(ann.socket_url, origin="http://evil.example")

        assert (ordinary, layer.sockets) == (0, 1)


def test_an_application_that_somebody_wrapped_is_asked_each_time(tmp_path: Path) -> None:
    with layered(tmp_path, is_wrapped=True) as (house, layer):
        ann = house.person("ann")
        with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
            wire.connect()

        assert layer.sockets == 1


def test_a_refused_socket_does_not_count_among_its_addresss(new_house: Houses) -> None:
    house = new_house(max_connections_per_address=1)
    ann = house.person("ann")

    refused(f"{ann.socket_url}?token={ann.token}", origin="http://evil.example")
    refused(ann.socket_url, additional_headers={"Authorization": "Bearer rubbish"})

    with Wire(f"{ann.socket_url}?token={ann.token}") as wire:
        wire.connect()
    until(lambda: not house.worker.manager._by_address, what="the end of the only one")
