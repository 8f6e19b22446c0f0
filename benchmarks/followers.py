"""Connections that follow many silent channels: it says `ready`, and stays until its input ends."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvloop
from machine import LOAD_CPU, Running
from posts import PING, PONG, text_frame, upgrade

if TYPE_CHECKING:
    from systems import Bench

PER_CONNECTION = 1000  # the server's own bound is 2,000
PER_FRAME = 16
SUBSCRIBED_WITHIN_S = 120.0


@contextmanager
def following(bench: "Bench", server: Running, channels: int) -> Iterator[None]:
    """So many channels beside the measured one are followed meanwhile."""
    told = {"port": server.port, "tokens": bench.prepared.tokens(), "channels": channels}
    command = ["taskset", "-c", str(LOAD_CPU), sys.executable, __file__, json.dumps(told)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline().strip()
        if said != "ready":
            raise RuntimeError(f"{channels:,} channels could not be followed: {said}")
        yield
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


class Follower(asyncio.Protocol):
    """One connection: subscribes to its channels, some in each frame, and answers pings."""

    def __init__(self, channels: list[str]) -> None:
        self._channels = channels
        self._answers = 0
        self._asked = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if PING in data:  # or a length that looks like one; a pong more does no harm
            self._transport.write(PONG)
        self._answers += data.count(b'"subscribe":{')
        if b'"error"' in data and not self.done.done():
            self.done.set_exception(RuntimeError(data[-200:].decode(errors="replace")))
        if self._answers < self._asked:
            return
        if self._asked == len(self._channels):
            if not self.done.done():
                self.done.set_result(None)
            return
        more = self._channels[self._asked : self._asked + PER_FRAME]
        numbered = enumerate(more, self._asked + 1)
        lines = [json.dumps({"id": number, "subscribe": {"channel": channel}}) for number, channel in numbered]
        self._asked += len(more)
        self._transport.write(text_frame("\n".join(lines).encode()))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError("the server closed the connection"))


async def follow(told: dict[str, Any]) -> None:
    names = [f"feed:beside-{number}" for number in range(told["channels"])]
    loop = asyncio.get_running_loop()
    followers = []
    for first in range(0, len(names), PER_CONNECTION):
        token = told["tokens"][len(followers) % len(told["tokens"])]
        transport, follower = await loop.create_connection(
            lambda first=first: Follower(names[first : first + PER_CONNECTION]),  # type: ignore[misc]
            "127.0.0.1",
            told["port"],
        )
        transport.write(upgrade(told["port"], token))
        followers.append(follower)
    try:
        await asyncio.wait_for(asyncio.gather(*(follower.done for follower in followers)), SUBSCRIBED_WITHIN_S)
        print("ready", flush=True)
    except (RuntimeError, TimeoutError) as error:
        print(repr(error), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(follow(json.loads(sys.argv[1])))
