"""Sockets whose kernel buffers hold next to nothing, for readers that do not read."""

import socket
from typing import Any

from tests.house import House, Person, Wire

RECEIVE_BYTES = 4096


def small_socket(port: int) -> socket.socket:
    """A TCP connection that takes a few KiB and then waits for its reader."""
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    found.settimeout(10)
    found.connect(("127.0.0.1", port))
    return found


def slow_wire(house: House, person: Person, **options: Any) -> Wire:
    """A socket of the person that reads one frame ahead, and only when the test does."""
    return person.wire(sock=small_socket(house.port), max_queue=1, ping_interval=None, **options)


def flood(house: House, channel: str, data: list[Any]) -> None:
    """Publish all of it, in batches that fit into a body."""
    for start in range(0, len(data), 40):
        commands = [{"publish": {"channel": channel, "data": item}} for item in data[start : start + 40]]
        assert all("publish" in reply for reply in house.api("batch", commands=commands)["replies"])
