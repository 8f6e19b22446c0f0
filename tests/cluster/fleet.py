"""Several workers on one database and one Redis: under our supervisor, or each a server with a port of its own."""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from chat_server.accounts.authenticator import SCOPES_OF
from chat_server.accounts.commands import add_user
from chat_server.accounts.identity import secret_of
from chat_server.accounts.logins import Client, open_session
from chat_server.accounts.model import NewUser
from chat_server.accounts.tokens import Tokens
from chat_server.admin import in_store
from chat_server.ids import RoomId, UserId
from chat_server.settings import Settings
from chat_server.shapes import Kind, Role
from chat_server.store import event_log
from chat_server.unit import Unit
from tests.house import API_KEY, Person
from tests.process import Process

DAY_MS = 86_400_000


@dataclass
class Fleet:
    """`processes` are the servers; one with `--workers` is a process that has children."""

    processes: list[Process]
    settings: Settings
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def urls(self) -> list[str]:
        return [process.url for process in self.processes]

    def person(self, name: str, at: int = 0, role: Role = Role.MEMBER) -> Person:
        """Somebody new, without HTTP, whose requests go to that server."""
        settings = self.settings

        def made(unit: Unit) -> tuple[str, str]:
            user = add_user(unit, NewUser(username=name, password_hash="!", display_name=name), Kind.HUMAN, role)
            client = Client(user_agent="tests", address="127.0.0.1")
            return user.id, open_session(unit, user.id, SCOPES_OF[role], client, DAY_MS).id

        user_id, session_id = in_store(settings, made)
        token = Tokens(secret_of(settings)).access(UserId(user_id), session_id, SCOPES_OF[role], settings.access_ttl_s)
        return Person(self.urls[at], user_id, name, token, session_id)

    def at(self, index: int, person: Person) -> Person:
        """The same person, at another server."""
        return Person(self.urls[index], person.id, person.username, person.token, person.session_id)

    def head_of(self, room_id: str) -> int:
        return in_store(self.settings, lambda unit: event_log.position(unit.transaction, f"room:{room_id}").head)

    def stored(self, room_id: RoomId | str, person: Person) -> dict[str, str]:
        """client_msg_id -> id of every message in the room. A repeated one fails."""
        found: dict[str, str] = {}
        after = 0
        while True:
            page = person.get(f"/api/v1/rooms/{room_id}/messages?after={after}&limit=200")
            for message in page["items"]:
                assert message["client_msg_id"] not in found, message
                found[message["client_msg_id"]] = message["id"]
            if page["next"] is None:
                return found
            after = page["next"]

    def status(self, path: str, index: int = 0) -> int:
        with suppress(httpx2.HTTPError):
            return httpx2.get(self.urls[index] + path, timeout=3).status_code
        return 0

    def statuses(self, path: str) -> set[int]:
        return {self.status(path, index) for index in range(len(self.processes))}


@contextmanager
def workers(folder: Path, redis_url: str, count: int, **environment: str) -> Iterator[Fleet]:
    """`chat-server serve --workers count`."""
    with Process(folder / "data", **_environment(redis_url, WEB_CONCURRENCY=str(count), **environment)) as process:
        yield Fleet([process], _settings(folder / "data", environment))


@contextmanager
def servers(folder: Path, redis_urls: Sequence[str], program: str = "", **environment: str) -> Iterator[Fleet]:
    """A server of one worker for each of the URLs, on one database: a test can say which worker it means.

    `program` is what the first one runs instead of ours.
    """
    environment |= {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}
    with ExitStack() as stack:
        made = [Process(folder / "data", **_environment(url, **environment)) for url in redis_urls]
        for number, process in enumerate(made):
            if program and not number:
                process.program = program
            process.log = folder / f"server-{number}.log"
            stack.enter_context(process)
        yield Fleet(made, _settings(folder / "data", environment))


def children(process: Process) -> list[int]:
    """The worker processes of a supervisor that are alive."""
    assert process.process is not None
    found = []
    with suppress(OSError):
        for pid in _children_of(process.process.pid):
            if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found += _children_of(pid)
    return found


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_for(condition: Any, within_s: float, what: str) -> float:
    """Wait until it is true; how long that took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s, f"waited {within_s} s for {what}"
        time.sleep(0.02)
    return time.monotonic() - began


def _environment(redis_url: str, **more: str) -> dict[str, str]:
    namespaces = {"live": {}, "chat": {"publish": "users", "history_size": 100, "presence": True, "join_leave": True}}
    return {"REDIS_URL": redis_url, "CHAT_NAMESPACES": json.dumps(namespaces), **more}


def _settings(data_dir: Path, environment: dict[str, str]) -> Settings:
    return Settings(
        _env_file=None,
        data_dir=data_dir,
        api_key=API_KEY,
        registration="open",
        database_url=environment.get("DATABASE_URL", ""),
    )
