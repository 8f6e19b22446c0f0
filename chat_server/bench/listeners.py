"""The subscribers of one process: raw WebSockets that count what they hear.

A client library costs more a frame than the server does, and the load generator must not be what is measured. So a
listener reads frames itself: unfragmented and uncompressed ones, which is what the server sends to who asks for none.
"""

import asyncio
import json
import re
import resource
import signal
import ssl
import time
from collections import Counter
from multiprocessing.connection import Connection
from typing import Any, cast
from urllib.parse import urlsplit

import uvloop

from chat_server.bench import LOGIN_AGAIN, CannotBench, Plan

IN_FLIGHT = 64
OPEN_S = 10.0
LAST_S = 5.0  # without a delivery for so long, what has not come is lost
SPARE_FILES = 64
TEXT, CLOSE, PING = 1, 8, 9
PONG_HEAD = 0x8A
SUBSCRIBE_ID = 1


def listen(pipe: Connection, plan: Plan, share: int) -> None:
    """A process's whole life: open all, say so, count until told how many publications there were, answer the counts.

    It answers a dict: of how they opened, then of what they heard; or a string, which says in one line what went wrong.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's to handle; it ends its processes
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_listen(pipe, plan, share))
    except (OSError, ValueError) as error:
        pipe.send(str(error) or type(error).__name__)
    except EOFError:
        return  # the parent is gone


async def _listen(pipe: Connection, plan: Plan, share: int) -> None:
    loop = asyncio.get_running_loop()
    _need_files(share)
    crowd = Crowd(plan)
    began = time.monotonic()
    await crowd.open(share)
    pipe.send({"open_s": time.monotonic() - began})
    await loop.run_in_executor(None, pipe.recv)
    began, cpu_s = time.monotonic(), time.process_time()
    publications = await loop.run_in_executor(None, pipe.recv)
    busy = (time.process_time() - cpu_s) / (time.monotonic() - began)
    await crowd.hear_out(publications)
    pipe.send({"busy": busy, "expected": publications * share, **crowd.heard()})


class Crowd:
    """All listeners of a process and what they have heard. Latencies are in us, rounded to 2 %."""

    def __init__(self, plan: Plan) -> None:
        self.request = _upgrade(plan)
        subscribe = {"id": SUBSCRIBE_ID, "subscribe": {"channel": plan.channel}}
        self.subscribe = _frame(json.dumps(subscribe).encode())
        self.stamps = re.compile(rb'"%s":(\d+)' % plan.stamp_name().encode())
        self.delivered = 0
        self.bytes = 0
        self.latencies_us: Counter[int] = Counter()
        self.closes: Counter[str] = Counter()
        self._parts = urlsplit(plan.url)
        self._tls = ssl.create_default_context() if self._parts.scheme == "wss" else None
        self._listeners: list[Listener] = []

    async def open(self, number: int) -> None:
        """CannotBench with the reason of the first that does not get in."""
        gate = asyncio.Semaphore(IN_FLIGHT)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(number):
                    group.create_task(self._open_one(gate))
        except ExceptionGroup as errors:
            first = errors.exceptions[0]
            if isinstance(first, TimeoutError):
                raise CannotBench(f"the server did not answer a connection within {OPEN_S:.0f} s") from None
            raise first from None
        self.bytes = 0

    async def _open_one(self, gate: asyncio.Semaphore) -> None:
        host, port = self._parts.hostname or "", self._parts.port or (443 if self._tls else 80)
        loop = asyncio.get_running_loop()
        async with gate:
            connecting = loop.create_connection(lambda: Listener(self), host, port, ssl=self._tls)
            _, listener = await asyncio.wait_for(connecting, OPEN_S)
            self._listeners.append(listener)
            await asyncio.wait_for(listener.ready, OPEN_S)

    async def hear_out(self, publications: int) -> None:
        """Until everybody has heard all of them, or nobody is left, or hears anything more."""
        expected = publications * len(self._listeners)
        before, since = self.delivered, time.monotonic()
        while self.delivered < expected and self.closes.total() < len(self._listeners):
            if time.monotonic() - since > LAST_S:
                break
            await asyncio.sleep(0.02)
            if self.delivered != before:
                before, since = self.delivered, time.monotonic()

    def heard(self) -> dict[str, Any]:
        return {
            "delivered": self.delivered,
            "bytes": self.bytes,
            "latencies_us": self.latencies_us,
            "closes": self.closes,
        }

    def hear(self, text: bytes) -> None:
        now = time.monotonic_ns()
        for stamp in self.stamps.findall(text):
            self.delivered += 1
            self.latencies_us[_rounded((now - int(stamp)) // 1000)] += 1


class Listener(asyncio.Protocol):
    """One WebSocket: opens, subscribes, answers pings. `ready` ends when it is subscribed, or says why not."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._rest = b""
        self._is_open = False
        self._is_over = False
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        self._crowd.bytes += len(data)
        data = self._rest + data
        if not self._is_open:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            self._opened(head)
        self._rest = self._frames(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended("without a word")

    def _opened(self, head: bytes) -> None:
        self._is_open = True
        status = head.split(b"\r\n", 1)[0].decode("latin-1").partition(" ")[2]
        if status.startswith("101"):
            self._transport.write(self._crowd.subscribe)
        elif status.startswith("401"):
            self._refuse(LOGIN_AGAIN)
        else:
            self._refuse(f"the server refuses a connection: {status}")

    def _frames(self, data: bytes) -> bytes:
        """Take in the whole frames; the rest."""
        at = 0
        while len(data) - at >= 2:
            length, start = data[at + 1], at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                length = int.from_bytes(data[at + 2 : start])
            if len(data) < start + length:
                break
            self._frame(data[at] & 0x0F, data[start : start + length])
            at = start + length
        return data[at:]

    def _frame(self, kind: int, payload: bytes) -> None:
        if kind == TEXT and self.ready.done():
            self._crowd.hear(payload)
        elif kind == TEXT:
            self._answered(payload)
        elif kind == PING:
            self._transport.write(_frame(payload, PONG_HEAD))
        elif kind == CLOSE:
            said = f"{int.from_bytes(payload[:2])} {payload[2:].decode(errors='replace')}".strip()
            self._ended(said)
            self._transport.close()

    def _answered(self, payload: bytes) -> None:
        for line in payload.split(b"\n"):
            told = json.loads(line)
            if told.get("id") != SUBSCRIBE_ID:
                continue
            if "error" in told:
                self._refuse(f"the channel cannot be followed: {told['error']['code']} {told['error']['message']}")
            else:
                self.ready.set_result(None)

    def _ended(self, said: str) -> None:
        if not self._is_over:
            self._is_over = True
            self._crowd.closes[said] += 1
            self._refuse(f"the server closed a connection: {said}")

    def _refuse(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(CannotBench(why))


def _need_files(connections: int) -> None:
    """ValueError when the process may not open so many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and connections + SPARE_FILES > hard:
        raise ValueError(f"{connections:,} connections a process are too many for its {hard:,} files: see ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _upgrade(plan: Plan) -> bytes:
    parts = urlsplit(plan.url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"Authorization: Bearer {plan.token}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _frame(payload: bytes, head: int = 0x80 | TEXT) -> bytes:
    """Masked with zeros, which leaves the payload as it is."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2)
    return bytes((head,)) + length + bytes(4) + payload


def _rounded(us: int) -> int:
    """To seven significant bits."""
    shift = max(0, us.bit_length() - 7)
    return us >> shift << shift
