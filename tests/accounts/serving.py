"""`chat-server serve` with its own options, as an operator starts it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.house import PATIENCE_S

COMMAND = (sys.executable, "-c", "from chat_server.cli import main; main()", "serve")


@dataclass
class Served:
    """A server that runs: where, what it printed first, and where its log is."""

    process: subprocess.Popen[str]
    url: str
    greeting: list[str]
    log: Path

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S + 5)


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    given = {"CHAT_DATA_DIR": str(data_dir), "CHAT_REGISTRATION": "open", "CHAT_DRAIN_S": "1"}
    return {"PATH": os.environ["PATH"], **given, **more}


def start(data_dir: Path, *options: str, **more: str) -> "subprocess.Popen[str]":
    """Start it and do not wait."""
    return subprocess.Popen(
        [*COMMAND, *options],
        env=environment(data_dir, **more),
        cwd=next(parent for parent in data_dir.parents if parent.is_dir()),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def served(data_dir: Path, *options: str, lines: int = 1, **more: str) -> Iterator[Served]:
    """A server on a free port; `lines` are read from what it prints."""
    log = data_dir.with_suffix(".log")
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "--port", "0", *options],
            env=environment(data_dir, **more),
            cwd=data_dir.parent,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    assert process.stdout is not None
    try:
        greeting = [process.stdout.readline() for _ in range(lines)]
        found = re.search(r"is ready at (\S+)", greeting[0])
        assert found is not None, log.read_text()[-2000:]
        yield Served(process, found[1], greeting, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()
