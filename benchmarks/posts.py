"""Durable posts: senders that post and wait for the answer, listeners that hear them; raw frames.

In `told`: `seconds`, `rate` (posts a second; 0: as fast as answers come), `rooms`, `listeners` of each room, and
whether they `follow_all` rooms of their users.
"""

import asyncio
import gc
import json
import os
import random
import re
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import uvloop
from house import LISTENERS_PER_ROOM, PEOPLE, SENDERS_PER_ROOM, listeners_of
from machine import LOAD_CPU, Running, thread_cpu_s

if TYPE_CHECKING:
    from systems import Bench

SENT_AT = re.compile(rb"at=(\d+)=")
PING, PONG = b"\x89", b"\x8a\x80\x00\x00\x00\x00"
SENT_AT_CHARS = 24  # of such a stamp, at most
TEXT_CHARS = 200
WARM_S, LAST_S = 0.5, 5.0
MOST_S = 120.0


def run(bench: "Bench", server: Running, seconds: float, **options: Any) -> dict[str, float]:
    """Measure in a process of its own on the other core. `options` replace what is told."""
    told = {
        "port": server.port,
        "pids": server.pids(),
        "seconds": seconds,
        "rate": 0.0,
        "listeners": LISTENERS_PER_ROOM,
        "follow_all": False,
        "tokens": bench.prepared.tokens(),
        "rooms": bench.prepared.rooms,
        **options,
    }
    command = ["taskset", "-c", str(LOAD_CPU), sys.executable, __file__]
    done = subprocess.run(command, input=json.dumps(told), capture_output=True, text=True, timeout=MOST_S, check=False)
    if done.returncode:
        raise RuntimeError(f"the people who post: {done.stderr.strip().splitlines()[-1]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def upgrade(port: int, token: str, query: str = "") -> bytes:
    return (
        f"GET /ws?token={token}{query} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def text_frame(body: bytes) -> bytes:
    """Masked with zeros, so that the payload goes as it is."""
    size = len(body)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + body


class Client(asyncio.Protocol):
    """One socket: shakes hands, sends its first command, counts. Latencies are in seconds."""

    def __init__(self, first: bytes) -> None:
        self.first = first
        self.ready = asyncio.get_running_loop().create_future()
        self.delivered: list[float] = []
        self.answers = 0
        self.refused = 0
        self.waiting: asyncio.Future[None] | None = None
        self._head = b""
        self._rest = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if PING in data:  # or a length that looks like one; a pong more does no harm
            self.transport.write(PONG)
        if not self.ready.done():
            self._head += data
            if b"101 Switching" in self._head and self.first:
                self.transport.write(self.first)
                self.first = b""
            elif b'"id":1' in data:
                self.ready.set_result(None)
        elif self.waiting is None:
            self._hear(data)
        elif b'"id":2,' in data:
            self.answers += 1
            self.refused += b'"error"' in data
            if not self.waiting.done():
                self.waiting.set_result(None)

    def _hear(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        data = self._rest + data
        heard_until = 0
        for found in SENT_AT.finditer(data):
            heard_until = found.end()
            self.delivered.append((now - int(found[1])) / 1e9)
        self._rest = data[max(heard_until, len(data) - SENT_AT_CHARS) :]


async def opened(port: int, token: str, first: dict[str, object], query: str = "") -> Client:
    loop = asyncio.get_running_loop()
    command = text_frame(json.dumps({"id": 1, **first}).encode())
    transport, client = await loop.create_connection(lambda: Client(command), "127.0.0.1", port)
    transport.write(upgrade(port, token, query))
    await asyncio.wait_for(client.ready, 10)
    return client


async def post_for_ever(client: Client, room_id: str, until: float, pause_s: float, took: list[float]) -> None:
    """Post, wait for the answer, post the next; with `pause_s` at that pace, not in step with the others."""
    loop = asyncio.get_running_loop()
    due = loop.time() - random.uniform(0.0, pause_s)
    while loop.time() < until:
        if pause_s:
            due += pause_s
            await asyncio.sleep(max(0.0, due - loop.time()))
        client.waiting = loop.create_future()
        sent = time.perf_counter_ns()
        text = f"at={sent}=".ljust(TEXT_CHARS, "x")
        data = f'{{"room_id":"{room_id}","text":"{text}","client_msg_id":"{id(client)}.{sent}"}}'
        client.transport.write(text_frame(f'{{"id":2,"rpc":{{"method":"messages.post","data":{data}}}}}'.encode()))
        await asyncio.wait_for(client.waiting, 10)
        took.append((time.perf_counter_ns() - sent) / 1e9)


async def all_heard(listeners: list[Client], expected: int) -> None:
    """Until every delivery has come; what has not after LAST_S is lost."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LAST_S
    while sum(len(client.delivered) for client in listeners) < expected and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def measured(told: dict[str, Any]) -> dict[str, float]:
    rooms = told["rooms"]
    listeners = await all_listen(told)
    me = {"rpc": {"method": "users.me", "data": {}}}
    people = [listeners_of(room_of(index, rooms))[index % SENDERS_PER_ROOM] for index in range(PEOPLE)]
    senders = [await opened(told["port"], told["tokens"][person], me) for person in people]
    await all_post(senders, rooms, WARM_S, 0.0)
    await all_heard(listeners, sum(client.answers for client in senders) * told["listeners"])
    for client in (*senders, *listeners):
        client.answers, client.delivered = 0, []
    gc.collect()
    gc.disable()  # a collection of theirs would look like a stall of the server's: 26 ms, once a run
    before, began, mine = thread_cpu_s(told["pids"]), time.perf_counter(), os.times()
    took = await all_post(senders, rooms, told["seconds"], PEOPLE / told["rate"] if told["rate"] else 0.0)
    spent = time.perf_counter() - began
    after, own = thread_cpu_s(told["pids"]), os.times()
    expected = sum(client.answers for client in senders) * told["listeners"]
    await all_heard(listeners, expected)
    heard = sorted(latency for client in listeners for latency in client.delivered)
    return _figures(senders, heard, sorted(took), spent, before, after) | {
        "gen_busy": (own.user + own.system - mine.user - mine.system) / spent,
        "lost": expected - len(heard),
    }


async def all_listen(told: dict[str, Any]) -> list[Client]:
    found = []
    for index, room in enumerate(told["rooms"]):
        first: dict[str, Any] = {"subscribe": {"channel": f"room:{room}"}}
        if told["follow_all"]:
            first = {"rpc": {"method": "users.me", "data": {}}}
        people = listeners_of(index)
        for number in range(told["listeners"]):
            token = told["tokens"][people[number % len(people)]]
            found.append(await opened(told["port"], token, first, "&subscribe=rooms" if told["follow_all"] else ""))
    return found


def room_of(sender: int, rooms: list[str]) -> int:
    """Senders are spread evenly, neighbours together."""
    return sender * len(rooms) // PEOPLE


async def all_post(senders: list[Client], rooms: list[str], seconds: float, pause_s: float) -> list[float]:
    """Each into a room of theirs; how long the answers took, in seconds."""
    took: list[float] = []
    until = asyncio.get_running_loop().time() + seconds
    work = (
        post_for_ever(client, rooms[room_of(index, rooms)], until, pause_s, took)
        for index, client in enumerate(senders)
    )
    await asyncio.gather(*work)
    return took


def _figures(
    senders: list[Client],
    heard: list[float],
    took: list[float],
    spent: float,
    before: dict[tuple[int, int], float],
    after: dict[tuple[int, int], float],
) -> dict[str, float]:
    answered = len(took)
    cost = {thread: after[thread] - before.get(thread, 0.0) for thread in after}
    main = sum(seconds for (pid, thread), seconds in cost.items() if pid == thread)
    return {
        "posts_per_s": answered / spent,
        "posts": answered,
        "refused": sum(client.refused for client in senders),
        "post_cpu_us": sum(cost.values()) / answered * 1e6,
        "loop_cpu_us": main / answered * 1e6,
        "store_cpu_us": (sum(cost.values()) - main) / answered * 1e6,
        "busy": sum(cost.values()) / spent,
        "answer_p50_ms": _quantile_ms(took, 0.5),
        "answer_p99_ms": _quantile_ms(took, 0.99),
        "p50_ms": _quantile_ms(heard, 0.5),
        "p99_ms": _quantile_ms(heard, 0.99),
        "p999_ms": _quantile_ms(heard, 0.999),
    }


def _quantile_ms(found: list[float], share: float) -> float:
    return found[int(len(found) * share)] * 1000 if found else 0.0


if __name__ == "__main__":
    print(json.dumps(uvloop.run(measured(json.load(sys.stdin)))))
