"""Under plain uvicorn and under gunicorn: two workers that hear each other. docs/operations.md says what they lack."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.cluster.engines import Engine
from tests.cluster.fleet import Fleet, wait_for
from tests.house import API_KEY, settings_for, until
from tests.process import Process

UVICORN = ["-m", "uvicorn", "chat_server.app:app", "--workers", "2", "--port", "{port}"]
GUNICORN = [
    *("-m", "gunicorn", "chat_server.app:create_app()", "--workers", "2", "--bind", "127.0.0.1:{port}"),
    *("-k", "chat_server.gunicorn_worker.ChatWorker"),
]
SOCKETS = 200  # more than enough for both workers to get one, though neither spreads them evenly


@contextmanager
def started(command: list[str], folder: Path, redis_url: str) -> Iterator[Fleet]:
    """The server, when it answers. It is told to stop at the end, and must do so."""
    process = Process(folder / "data")
    environment = {"PATH": os.environ["PATH"], "CHAT_DATA_DIR": str(process.data_dir), "REDIS_URL": redis_url}
    environment |= {"CHAT_API_KEY": API_KEY, "CHAT_DRAIN_S": "1"}
    environment["CHAT_REDIS_PREFIX"] = f"port-{process.port}"  # other tests' workers are in this Redis too
    argv = [sys.executable, *(part.format(port=process.port) for part in command)]
    with process.log.open("ab") as log:
        running = subprocess.Popen(argv, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        fleet = Fleet([process], settings_for(process.data_dir))
        wait_for(lambda: fleet.status("/readyz") == 200, 60.0, "the server")
        yield fleet
        running.send_signal(signal.SIGTERM)
        assert running.wait(20) in {0, -signal.SIGTERM}, process.log.read_text()[-2000:]
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


@pytest.mark.long
@pytest.mark.parametrize("command", [UVICORN, GUNICORN], ids=["uvicorn", "gunicorn"])
def test_two_workers_hear_each_other(command: list[str], tmp_path: Path, redis: Engine) -> None:
    with started(command, tmp_path, redis.url) as fleet:
        ann, bob = fleet.person("ann"), fleet.person("bob")
        room = ann.room()
        bob.join(room)

        def nodes() -> list[int]:
            answer = httpx2.post(f"{fleet.urls[0]}/api/info", headers={"X-API-Key": API_KEY}, json={}, timeout=5)
            return [node["num_clients"] for node in answer.json()["result"]["nodes"]]

        until(lambda: len(nodes()) == 2, what="both workers")
        wires = []
        while not (wires and all(nodes())):
            assert len(wires) < SOCKETS, "they all landed on one worker"
            wires.append(bob.wire())
            wires[-1].subscribe(f"room:{room}")

        ann.say(room, "to all of you")

        for wire in wires:
            assert wire.event(f"room:{room}", "message.posted")["message"]["text"] == "to all of you"
            wire.close()
