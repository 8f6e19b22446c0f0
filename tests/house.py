"""Real servers for tests, in a thread of this process, and the people who use them. As a process: tests/process.py."""

import asyncio
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
import trustme
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from chat_server.accounts import passwords
from chat_server.accounts.commands import add_user
from chat_server.accounts.identity import Identity
from chat_server.accounts.logins import Client, open_session
from chat_server.accounts.model import NewUser
from chat_server.accounts.scopes import SCOPES_OF
from chat_server.actor import SYSTEM
from chat_server.ids import new_id
from chat_server.server import DrainingServer, listening_socket
from chat_server.settings import Settings
from chat_server.shapes import Kind, Role
from chat_server.unit import Unit
from chat_server.worker import Worker

PASSWORD = "correct-horse"
TLS = ssl.create_default_context()  # made once: loading the authorities takes longer than a request
API_KEY = "back-end-key-of-the-tests"
PATIENCE_S = 30.0  # how long a test waits for what must come; machines that run tests are busy
DIRECT, PORTABLE = "chat_server.gateway.direct:RealtimeProtocol", "websockets-sansio"

T = TypeVar("T")
OPEN_CLIENTS: list[httpx2.Client] = []  # closed after each module
# A hundredth of the real work: tests log in by the hundreds. What the real one is, test_cli asks of the command line.
passwords.HASHER = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
_HASH = passwords.hash_now(PASSWORD)


def until(condition: Callable[[], T], patience_s: float = PATIENCE_S, what: str = "the condition") -> T:
    """Wait until `condition` answers something true, and answer that."""
    deadline = time.monotonic() + patience_s
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience_s} s for {what}")
        time.sleep(0.01)


def wire_trust(authority: trustme.CA) -> ssl.SSLContext:
    """For a Wire, which reads in one thread and writes in another. Under TLS 1.3, where the server's tickets come while
    the client writes, Python 3.11's SSL objects do not bear that: one handshake in 500 hung.
    """
    found = ssl.create_default_context()
    found.maximum_version = ssl.TLSVersion.TLSv1_2
    authority.configure_trust(found)
    return found


class Wire:
    """One WebSocket that speaks the protocol. Replies are waited for by id; pushes collect in `pushes`."""

    def __init__(self, url: str, **options: Any) -> None:
        self._stack = ExitStack()
        self.socket: ClientConnection = self._stack.enter_context(connect(url, proxy=None, close_timeout=1, **options))
        self.pushes: list[dict[str, Any]] = []
        self.replies: dict[int, dict[str, Any]] = {}
        self.pings = 0
        self._next_id = 0

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    def send(self, **command: Any) -> int:
        self._next_id += 1
        self.socket.send(json.dumps({"id": self._next_id, **command}))
        return self._next_id

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and answer its reply without the id."""
        return self.reply(self.send(**command))

    def reply(self, command_id: int) -> dict[str, Any]:
        while command_id not in self.replies:
            self.read()
        found = self.replies.pop(command_id)
        del found["id"]
        return found

    def rpc(self, method: str, **data: Any) -> Any:
        """The answer of an RPC that must succeed."""
        found = self.ask(rpc={"method": method, "data": data})
        assert "rpc" in found, found
        return found["rpc"]["data"]

    def connect(self, **request: Any) -> dict[str, Any]:
        found = self.ask(connect=request)
        assert "connect" in found, found
        return found["connect"]

    def subscribe(self, channel: str, **request: Any) -> dict[str, Any]:
        found = self.ask(subscribe={"channel": channel, **request})
        assert "subscribe" in found, found
        return found["subscribe"]

    def read(self, timeout_s: float = PATIENCE_S) -> None:
        """Take in one frame."""
        for line in str(self.socket.recv(timeout=timeout_s)).split("\n"):
            found = json.loads(line)
            if found == {}:
                self.pings += 1
            elif "push" in found:
                self.pushes.append(found["push"])
            else:
                self.replies[found["id"]] = found

    def push(self, channel: str, kind: str = "pub") -> dict[str, Any]:
        """The next push of that kind in that channel."""
        while True:
            for index, found in enumerate(self.pushes):
                if found["channel"] == channel and kind in found:
                    return self.pushes.pop(index)[kind]
            self.read()

    def event(self, channel: str, event_type: str) -> dict[str, Any]:
        """The next event of that type in that channel, with its offset; others of the channel before it are dropped."""
        while True:
            found = self.push(channel)
            if found["data"]["type"] == event_type:
                return {**found["data"], "offset": found.get("offset", 0)}

    def quiet(self, seconds: float = 0.2) -> list[dict[str, Any]]:
        """The pushes that have come after so long."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                self.read(left)
            except TimeoutError:
                break
        found, self.pushes = self.pushes, []
        return found

    def closed(self) -> tuple[int, str]:
        """Wait for the close; its code and reason."""
        with pytest.raises(ConnectionClosed) as closed:
            self._read_for_ever()
        assert closed.value.rcvd is not None, "the socket was cut without a close frame"
        return closed.value.rcvd.code, closed.value.rcvd.reason

    def _read_for_ever(self) -> None:
        while True:
            self.read()


class Person:
    """Somebody with a login, over HTTP and WebSocket."""

    def __init__(self, url: str, user_id: str, username: str, token: str, session_id: str = "") -> None:
        self.url, self.id, self.username, self.token, self.session_id = url, user_id, username, token, session_id
        self.http = httpx2.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE_S, verify=TLS
        )
        OPEN_CLIENTS.append(self.http)

    def get(self, path: str, status: int = 200, **options: Any) -> Any:
        return self._ask("GET", path, status, options)

    def post(self, path: str, body: Any = None, status: int = 201, **options: Any) -> Any:
        return self._ask("POST", path, status, options | ({} if body is None else {"json": body}))

    def put(self, path: str, body: Any = None, status: int = 200, **options: Any) -> Any:
        return self._ask("PUT", path, status, options | ({} if body is None else {"json": body}))

    def patch(self, path: str, body: Any, status: int = 200, **options: Any) -> Any:
        return self._ask("PATCH", path, status, {**options, "json": body})

    def delete(self, path: str, status: int = 204, **options: Any) -> Any:
        return self._ask("DELETE", path, status, options)

    def room(self, name: str = "general", kind: str = "public") -> str:
        return str(self.post("/api/v1/rooms", {"name": name, "kind": kind})["id"])

    def join(self, room_id: str) -> None:
        self.post(f"/api/v1/rooms/{room_id}/join", status=200)

    def say(self, room_id: str, text: str, **body: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.post(f"/api/v1/rooms/{room_id}/messages", {"text": text, **body})
        return found

    @property
    def socket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/ws"

    def wire(self, query: str = "", **options: Any) -> Wire:
        """A socket opened with the token in its URL."""
        return Wire(f"{self.socket_url}?token={self.token}{query}", **options)

    def _ask(self, method: str, path: str, status: int, options: dict[str, Any]) -> Any:
        response = self.http.request(method, path, **options)
        assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None


class House:
    """A server in a thread of this process, so that tests can reach into it; people are made without HTTP.

    `carried_by` says whether our protocol classes carry sockets and streams (DIRECT), or uvicorn's own (PORTABLE).
    """

    def __init__(self, settings: Settings, carried_by: str = DIRECT) -> None:
        from chat_server.app import create_app

        self.settings = settings
        self.app = create_app(settings)
        self._listener = listening_socket(settings.host, 0)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._ready = threading.Event()
        self._server = DrainingServer(self.app, settings, self._ready.set)
        if carried_by != DIRECT:
            self._server.config.ws, self._server.config.http = carried_by, "httptools"
        self._thread = threading.Thread(target=self._run, name="house", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S), "the server did not start"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the server did not stop"

    @property
    def worker(self) -> Worker:
        worker: Worker = self.app.state.worker
        return worker

    def on_loop(self, work: Callable[[], Any]) -> Any:
        """Run a plain function on the server's event loop."""

        async def run() -> Any:
            return work()

        return self.awaited(run())

    def awaited(self, coroutine: Any) -> Any:
        """Run a coroutine on the server's event loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._server._loop).result(PATIENCE_S)

    def write(self, run: Callable[[Unit], T]) -> T:
        """Run in the server's store as the house itself."""
        found: T = self.awaited(self.worker.write(SYSTEM, run))
        return found

    def person(self, name: str, role: Role = Role.MEMBER) -> Person:
        """Somebody new with a login of their own. The username is `name` with something unique behind it."""
        username = f"{name}-{new_id()[-8:]}"
        new = NewUser(username=username, password_hash=_HASH, display_name=name)
        user = self.write(lambda unit: add_user(unit, new, Kind.HUMAN, role))
        return self.login(user.id, username, role)

    def login(self, user_id: Any, username: str, role: Role = Role.MEMBER) -> Person:
        """One more login of somebody who is there."""
        identity: Identity = self.app.state.identity
        scopes = SCOPES_OF[role]
        client = Client(user_agent="tests", address="127.0.0.1")
        session = self.write(lambda unit: open_session(unit, user_id, scopes, client, 86_400_000))
        token = identity.tokens.access(user_id, session.id, scopes, self.settings.access_ttl_s)
        return Person(self.url, user_id, username, token, session.id)

    def api(self, method: str, **body: Any) -> dict[str, Any]:
        """One call of the server API."""
        answer = httpx2.post(
            f"{self.url}/api/{method}", headers={"X-API-Key": API_KEY}, json=body, timeout=PATIENCE_S, verify=TLS
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])


def database_url_of(data_dir: Path) -> str:
    """Where the server of that data directory keeps its data: in it, unless conftest's --engine says otherwise."""
    return ""


def settings_for(data_dir: Path, **changes: Any) -> Settings:
    """Settings for a test: a data directory of its own, everything else as it comes out of the box.

    NORMAL saves an fsync a commit: the machine of a test loses no power while it runs. tests/process.py does without.
    """
    given: dict[str, Any] = {
        "data_dir": data_dir,
        "api_key": API_KEY,
        "registration": "open",
        "sqlite_synchronous": "NORMAL",
        "database_url": database_url_of(data_dir),
    }
    return Settings(_env_file=None, **{**given, **changes})


@contextmanager
def house_with(data_dir: Path, carried_by: str = DIRECT, **changes: Any) -> Iterator[House]:
    house = House(settings_for(data_dir, **changes), carried_by)
    house.start()
    try:
        yield house
    finally:
        house.stop()
