"""`chat-server serve` as a process of its own, for tests that kill it."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.house import API_KEY, PASSWORD, PATIENCE_S, TLS, Person


class Process:
    """`chat-server serve` as a process of its own, to be killed and started again on the same data."""

    program = "from chat_server.cli import main; main()"

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir = data_dir
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {
            "PATH": os.environ["PATH"],
            "CHAT_DATA_DIR": str(data_dir),
            "CHAT_REGISTRATION": "open",
            "CHAT_API_KEY": API_KEY,
            "CHAT_DRAIN_S": "1",
            "PORT": str(self.port),
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None
        self.log = data_dir.parent / f"{data_dir.name}.log"

    def start(self) -> "Process":
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", self.program, "serve"],
                cwd=self.data_dir.parent,
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert "is ready" in line, self.log.read_text()[-2000:]
        return self

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S + 10)

    def person(self, username: str) -> Person:
        """Register and log in over HTTP."""
        credentials = {"username": username, "password": PASSWORD}
        made = httpx2.post(f"{self.url}/api/v1/auth/register", json=credentials, timeout=PATIENCE_S, verify=TLS)
        assert made.status_code == 201, made.text
        return self.log_in(username)

    def log_in(self, username: str) -> Person:
        credentials = {"username": username, "password": PASSWORD}
        answer = httpx2.post(f"{self.url}/token", data=credentials, timeout=PATIENCE_S, verify=TLS)
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        me = httpx2.get(
            f"{self.url}/api/v1/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S, verify=TLS
        )
        return Person(self.url, me.json()["id"], username, token)

    def __enter__(self) -> "Process":
        return self.start()

    def __exit__(self, *exc: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
