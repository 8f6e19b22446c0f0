"""The machine as the benchmarks use it: processes pinned to a core each, and what they cost."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPU, LOAD_CPU = CPUS[0], CPUS[-1]
START_S, STOP_S = 60.0, 5.0


@dataclass
class Running:
    """A server that was started here. `broker`: what it needs beside it, stopped with it."""

    process: subprocess.Popen[bytes]
    port: int
    broker: "Running | None" = None

    def pids(self) -> list[int]:
        """All processes whose CPU time is the server's: its children and its broker too."""
        return tree(self.process.pid) + (self.broker.pids() if self.broker is not None else [])

    def stop(self) -> None:
        children = tree(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for pid in children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        if self.broker is not None:
            self.broker.stop()


def started(
    command: list[str],
    port: int,
    environment: dict[str, str],
    work: Path,
    cpu: int | None,
    says: str = "",
) -> Running:
    """Start a server on one core and wait until it takes connections; with `says`, until it has printed that."""
    log = work / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=work,
            stdout=output,
            stderr=output,
            preexec_fn=None if cpu is None else lambda: os.sched_setaffinity(0, {cpu}),
        )
    deadline = time.monotonic() + START_S
    while not (says in log.read_text() if says else _takes_connections(port)):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            last = (log.read_text().strip().splitlines() or ["without a word"])[-1]
            raise RuntimeError(f"{Path(command[0]).name} did not start: {last}")
        time.sleep(0.05)
    time.sleep(0.3)
    return Running(process, port)


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += tree(int(child))
    return found


def cpu_s(pids: list[int]) -> float:
    """Seconds on a CPU, of all threads."""
    return sum(thread_cpu_s(pids).values())


def thread_cpu_s(pids: list[int]) -> dict[tuple[int, int], float]:
    found = {}
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found[pid, int(task.name)] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return found


def stolen_s() -> float:
    """Seconds that the hypervisor gave to others, of all cores."""
    return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


def load_average() -> str:
    return " ".join(Path("/proc/loadavg").read_text().split()[:3])


def description() -> str:
    """One line on the processor, the kernel and the cores."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else "unknown processor"
    return f"{model}, {len(CPUS)} cores, Linux {os.uname().release}"


def _takes_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.2).close()
    except OSError:
        return False
    return True
