"""Our own server as it is measured: a fresh `chat-server serve` on a copy of prepared data, and its people's tokens."""

import base64
import json
import os
import shutil
import socket
import sys
import urllib.parse
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from machine import SERVER_CPU, Running, started

from chat_server.accounts.tokens import Tokens
from chat_server.ids import SessionId, UserId
from chat_server.shapes import Scope

SECRET = "the-secret-of-the-benchmarks-0123456789"
API_KEY = "the-key-of-the-benchmarks"
PASSWORD = "correct-horse"
PEOPLE = 64
ROOMS = 16
SENDERS_PER_ROOM = PEOPLE // ROOMS
LISTENERS_PER_ROOM = 10
TTL_S = 900
CHANNEL = "feed:bench"
NAMESPACES = {"live": {}, "feed": {"history_size": 100, "history_ttl_s": 300}}


@dataclass(frozen=True)
class Prepared:
    """Data that every measured server starts from a copy of. `people`: user id and session id of each."""

    data: Path
    people: list[tuple[str, str]]
    rooms: list[str]

    def tokens(self) -> list[str]:
        """Fresh ones, signed here with the server's secret."""
        scopes = (Scope.CHAT, Scope.STREAM)
        made = Tokens(SECRET)
        return [made.access(UserId(user), SessionId(session), scopes, TTL_S) for user, session in self.people]


def listeners_of(room: int) -> list[int]:
    """The people who follow a room: its senders first, then the next ones."""
    first = room * SENDERS_PER_ROOM
    return [(first + index) % PEOPLE for index in range(LISTENERS_PER_ROOM)]


def prepared(work: Path) -> Prepared:
    """Register the people and make the rooms, once, over HTTP."""
    data = work / "prepared"
    server = serve(data, {"CHAT_REGISTRATION": "open", "CHAT_RATE_LOGIN_ADDRESS": "0"}, None)
    try:
        people, tokens = [], []
        for number in range(PEOPLE):
            name = f"person{number}"
            _ask(server.port, "POST", "/api/v1/auth/register", {"username": name, "password": PASSWORD})
            form = urllib.parse.urlencode({"username": name, "password": PASSWORD}).encode()
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/token", form) as answer:
                token = json.load(answer)["access_token"]
            claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
            people.append((claims["sub"], claims["sid"]))
            tokens.append(token)
        rooms = []
        for room in range(ROOMS):
            first, *others = (tokens[person] for person in listeners_of(room))
            made = _ask(server.port, "POST", "/api/v1/rooms", {"name": f"room {room}", "kind": "public"}, first)
            for token in others:
                _ask(server.port, "POST", f"/api/v1/rooms/{made['id']}/join", None, token)
            rooms.append(made["id"])
        return Prepared(data, people, rooms)
    finally:
        server.stop()


def with_rooms(found: Prepared, work: Path, more: int) -> Prepared:
    """A copy of the data in which the people of the first room are members of so many more."""
    data = work / "roomy"
    _copy(found.data, data)
    server = serve(data, {}, None)
    try:
        first, *others = (found.tokens()[person] for person in listeners_of(0))
        for number in range(more):
            made = _ask(server.port, "POST", "/api/v1/rooms", {"name": f"more {number}", "kind": "public"}, first)
            for token in others:
                _ask(server.port, "POST", f"/api/v1/rooms/{made['id']}/join", None, token)
        return replace(found, data=data)
    finally:
        server.stop()


def fresh(found: Prepared, work: Path, environment: dict[str, str] | None = None) -> Running:
    """A server of its own on a copy of the prepared data."""
    data = work / "data"
    _copy(found.data, data)
    return serve(data, environment or {}, SERVER_CPU)


def serve(data: Path, environment: dict[str, str], cpu: int | None) -> Running:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    given = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parent.parent),  # this checkout, whatever is installed
        "CHAT_DATA_DIR": str(data),
        "CHAT_SECRET": SECRET,
        "CHAT_API_KEY": API_KEY,
        "CHAT_NAMESPACES": json.dumps(NAMESPACES),
        "CHAT_RATE_HTTP": "0",
        "PORT": str(port),
        **environment,
    }
    command = [sys.executable, "-c", "from chat_server.cli import main; main()", "serve"]
    return started(command, port, given, data.parent, cpu, says="is ready at")  # all of its workers


def _copy(data: Path, to: Path) -> None:
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(data, to)


def _ask(port: int, method: str, path: str, body: Any, token: str = "") -> Any:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
