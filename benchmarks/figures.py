"""The figures of the table: each measures its systems once, each case on a fresh server, and records a row for each.

What cannot be measured (a peer that is missing, a server that does not start, connections that stall) is a row, too:
it says why, and the others go on.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import posts
from followers import following
from machine import LOAD_CPU, Running
from systems import (
    CENTRIFUGO,
    LIMIT,
    LIMIT_JOINED,
    MOSQUITTO,
    NAIVE,
    NATS,
    NCHAN,
    NCHAN_SSE,
    NODE,
    OURS,
    OURS_SSE,
    OURS_TWO,
    OURS_UNLIMITED,
    OURS_WATCHFUL,
    PICOWS,
    SOCKETIFY,
    SOCKETIO,
    Bench,
    System,
)

Record = Callable[..., None]
Figure = Callable[[Bench, float, Record], None]
SETTLE_MS = "700"  # after the last connect: who came is told by then
LOAD_S = 180.0
BURST = ("-b", "10")
PING_S, COMMENT_S = 26, 16  # a whole cycle of pings, of comments
STALLED, STALLED_S = (
    ("-r", "30", "-s", "1000"),
    6,
)  # 180 KB for who reads nothing; a tenth of it fits the kernel's buffer
BESIDE = 100_000


@contextmanager
def recorded(record: Record, system: str, case: str) -> Iterator[None]:
    """An error is recorded as the row's."""
    try:
        yield
    except subprocess.TimeoutExpired as error:
        record(system, case, failed=f"it did not end within {error.timeout:.0f} s")
    except Exception as error:  # noqa: BLE001  the edge: whatever one row meets, the others are measured
        record(system, case, failed=" ".join(f"{type(error).__name__}: {error}".split())[:300])


@contextmanager
def running(system: System, bench: Bench) -> Iterator[Running]:
    if not system.is_there(bench):
        raise LookupError("not installed")
    server = system.start(bench)
    try:
        yield server
    finally:
        server.stop()


def load(bench: Bench, system: System, server: Running, subscribers: int, *options: str) -> dict[str, float]:
    """One run of wsload. Its figures are in wsload.c. RuntimeError when not all subscribers got in."""
    with tempfile.NamedTemporaryFile("w", dir=bench.work) as tokens:
        tokens.write("\n".join(bench.prepared.tokens()) + "\n")
        tokens.flush()
        command = ["taskset", "-c", str(LOAD_CPU), str(bench.work / "wsload"), "-p", str(server.port)]
        command += ["-n", str(subscribers), "-t", tokens.name, "-M", "1000000", "-w", SETTLE_MS]
        command += ["-S", ",".join(map(str, server.pids()))]
        done = subprocess.run(
            [*command, *system.load, *options], capture_output=True, text=True, timeout=LOAD_S, check=False
        )
    if done.returncode:
        raise RuntimeError(f"the load generator: {done.stderr.strip()[:200]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    if found["ready"] < subscribers or not found.get("delivered", 1):
        raise RuntimeError(f"{found['ready']} of {subscribers} got in; {done.stderr.strip()[:200]}")
    found["kib"] = found["bytes_per_conn"] / 1024
    return found


def published(bench: Bench, record: Record, system: System, size: int, *options: str) -> None:
    """One row of fan-out."""
    with recorded(record, system.name, f"{size:,}"), running(system, bench) as server:
        record(system.name, f"{size:,}", **load(bench, system, server, size, *options))


def fanout(bench: Bench, seconds: float, record: Record) -> None:
    """One message at a time; the next when everyone has it."""
    compared = (LIMIT, OURS, NCHAN, NODE, NATS, MOSQUITTO, PICOWS, SOCKETIFY, CENTRIFUGO)
    for size, systems in ((1000, (*compared, NAIVE, SOCKETIO)), (5000, compared)):
        for system in systems:
            published(bench, record, system, size, "-T", str(seconds), *system.publish)


def burst(bench: Bench, seconds: float, record: Record) -> None:
    """Ten messages at once."""
    compared = (LIMIT_JOINED, OURS, NATS)
    for size, systems in ((1000, (*compared, NODE, MOSQUITTO, CENTRIFUGO)), (5000, compared)):
        for system in systems:
            published(bench, record, system, size, "-T", str(seconds), *system.burst, *BURST)


def sse(bench: Bench, seconds: float, record: Record) -> None:
    for system in (OURS_SSE, NCHAN_SSE):
        published(bench, record, system, 1000, "-T", str(seconds), *system.publish)


def connect(bench: Bench, seconds: float, record: Record) -> None:
    """A JWT verified and one channel joined, 64 in flight."""
    for system in (OURS, NAIVE):
        published(bench, record, system, 3000, "-i")


def idle(bench: Bench, seconds: float, record: Record) -> None:
    """10,000 connections that do nothing but answer pings."""
    for system, cycle_s in ((OURS, PING_S), (OURS_SSE, COMMENT_S)):
        with recorded(record, system.name, "10,000"), running(system, bench) as server:
            found = load(bench, system, server, 10_000, "-i", "-I", str(cycle_s if seconds >= 1 else 5))
            record(system.name, "10,000", idle_percent=100 * found["idle_cpu_s"] / found["idle_s"], **found)


def stalled(bench: Bench, seconds: float, record: Record) -> None:
    """What the others hear while a tenth of the subscribers read nothing; in the last case those are cut off."""
    for case, system, percent in (
        ("none", OURS, "0"),
        ("a tenth waits", OURS, "10"),
        ("a tenth is cut off", OURS_WATCHFUL, "10"),
    ):
        with recorded(record, OURS.name, case), running(system, bench) as server:
            options = ("-T", str(STALLED_S if seconds >= 1 else 2), "-Z", percent, *STALLED)
            record(OURS.name, case, **load(bench, system, server, 1000, *options, *system.publish))


def posting(bench: Bench, seconds: float, record: Record) -> None:
    """64 senders in 16 rooms, ten listeners each: as fast as it goes, then at half of that."""
    with recorded(record, OURS.name, "as fast as it goes"), running(OURS, bench) as server:
        found = posts.run(bench, server, seconds * 2)
        record(OURS.name, "as fast as it goes", **found)
        with recorded(record, OURS.name, "half of that"):
            half = posts.run(bench, server, seconds * 2, rate=found["posts_per_s"] / 2)
            record(OURS.name, "half of that", **half)


def beside(bench: Bench, seconds: float, record: Record) -> None:
    """The same channel alone, and while others follow very many channels."""
    for channels in (0, BESIDE):
        followed_beside(bench, seconds, record, channels)


def followed_beside(bench: Bench, seconds: float, record: Record, channels: int) -> None:
    with (
        recorded(record, OURS.name, f"{channels:,}"),
        running(OURS_UNLIMITED, bench) as server,
        following(bench, server, channels),
    ):
        options = ("-T", str(seconds), *OURS.publish)
        record(OURS.name, f"{channels:,}", **load(bench, OURS_UNLIMITED, server, 1000, *options))


def workers(bench: Bench, seconds: float, record: Record) -> None:
    """One worker alone, and two with Valkey between them; the CPU of all processes of the server and of Valkey."""
    for system in (OURS, OURS_TWO):
        published(bench, record, system, 1000, "-T", str(seconds), *system.publish)


TABLE: dict[str, Figure] = {
    "fanout": fanout,
    "burst": burst,
    "sse": sse,
    "connect": connect,
    "idle": idle,
    "posting": posting,
    "beside": beside,
    "workers": workers,
    "stalled": stalled,
}
