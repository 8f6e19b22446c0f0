"""Log lines: what they look like, and that no credential and nothing that people write is ever in one."""

import io
import json
import logging
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from websockets.exceptions import WebSocketException

from chat_server import logs
from tests.accounts.asking import TLS
from tests.accounts.serving import served
from tests.house import API_KEY, PASSWORD, PATIENCE_S, Wire, until

pytestmark = pytest.mark.long


class Leaver:
    """Passes every credential there is through every place that takes one, good and bad, and keeps them all."""

    def __init__(self, url: str, code: str) -> None:
        self._http = httpx2.Client(base_url=url, timeout=PATIENCE_S, verify=TLS)
        self._sockets = url.replace("http", "ws", 1) + "/ws"
        self._origin = url
        self.secrets = {"password": PASSWORD, "server API key": API_KEY, "set-up code": code}

    def go(self) -> None:
        with self._http:
            self._set_up()
            self._log_in()
            self._over_http()
            self._over_sockets_and_streams()
            self._badly()

    def _set_up(self) -> None:
        self._http.get(f"/setup?code={self.secrets['set-up code']}")
        body = {"code": self.secrets["set-up code"], "username": "olga", "password": PASSWORD}
        assert self._http.post("/api/v1/auth/setup", json=body).status_code == 201

    def _log_in(self) -> None:
        form = {"username": "olga", "password": PASSWORD}
        tokens = self._http.post("/token", data=form).json()
        self._keep("access token", tokens["access_token"])
        self._keep("refresh token", tokens["refresh_token"])
        self._http.post("/token", data={**form, "password": self._keep("wrong password", "canary-wrong-password")})
        refreshed = self._http.post("/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
        self._keep("second access token", refreshed["access_token"])
        self._keep("second refresh token", refreshed["refresh_token"])
        given = self._http.post("/api/v1/auth/cookie", headers=self._bearer)
        self._keep("cookie", given.cookies["chat"])
        self._http.post("/refresh", headers={"Origin": self._origin})

    def _over_http(self) -> None:
        self._http.get("/api/v1/users/me", headers=self._bearer)
        bot = self._http.post("/api/v1/bots", json={"username": "robot"}, headers=self._bearer).json()
        key = self._http.post(f"/api/v1/bots/{bot['id']}/keys", json={}, headers=self._bearer).json()["key"]
        self._keep("key", key)
        invite = self._http.post("/api/v1/invites", json={}, headers=self._bearer).json()["code"]
        self._keep("invite", invite)
        self._http.get(f"/?invite={invite}")
        body = {"username": "bob", "password": self._keep("bob's password", "canary-of-bobs"), "invite": invite}
        self._http.post("/api/v1/auth/register", json=body)
        room = self._http.post("/api/v1/rooms", json={"name": "x"}, headers=self._bearer).json()
        said = {"text": self._keep("message", "canary of what ann said")}
        self._http.post(f"/api/v1/rooms/{room['id']}/messages", json=said, headers=self._bearer)
        self._http.post("/api/info", json={}, headers={"X-API-Key": API_KEY})
        self._http.get("/api/v1/users/me", headers={"Authorization": f"Bearer {key}"})
        change = {"old_password": PASSWORD, "new_password": self._keep("new password", "canary-of-the-new-one")}
        self._http.post("/api/v1/users/me/password", json=change, headers=self._bearer)

    def _over_sockets_and_streams(self) -> None:
        for name in ("access token", "key", "ticket", "again"):
            token = self._ticket() if name == "ticket" else self.secrets.get(name, self.secrets["key"])
            for query in (
                f"?token={token}",
                f"?token={quote(token[0])}%{ord(token[1]):x}{token[2:]}",
                f"?to%6ben={token}",
            ):
                with suppress(WebSocketException), Wire(self._sockets + query) as wire:
                    wire.connect()
            with self._http.stream("GET", f"/sse?channels=user:me&token={token}") as stream:
                next(stream.iter_lines(), None)
        headers = {"Cookie": f"chat={self.secrets['cookie']}"}
        with Wire(self._sockets, additional_headers=headers, origin=self._origin) as wire:
            wire.connect()
        with Wire(self._sockets, additional_headers=self._bearer) as wire:
            wire.connect(token=self.secrets["second access token"])
            wire.rpc("users.me")
            wire.ask(rpc={"method": "messages.post", "data": {"text": self.secrets["message"]}})
            wire.send(refresh={"token": self.secrets["access token"]})
            wire.quiet()

    def _badly(self) -> None:
        forged = self._keep("forged token", "eyJhbGciOiJIUzI1NiJ9.Y2FuYXJ5.Y2FuYXJ5LW9mLXRoZS1mb3JnZWQ")
        for headers in (
            {"Authorization": f"Bearer {forged}"},
            {"X-API-Key": forged},
            {"Authorization": f"Basic {forged}"},
        ):
            self._http.get("/api/v1/rooms", headers=headers)
            self._http.post("/api/info", json={}, headers=headers)
        for path in (f"/nowhere?token={forged}", f"/api/v1/rooms?token={forged}&limit=x", f"/sse?token={forged}"):
            self._http.get(path)
        self._http.post("/refresh", json={"refresh_token": forged})
        self._http.post(
            "/refresh", content=f'{{"refresh_token": "{forged}"', headers={"Content-Type": "application/json"}
        )
        self._http.post("/api/v1/auth/register", json={"username": "x y", "password": self.secrets["new password"]})
        with Wire(f"{self._sockets}?token={forged}") as wire:
            assert wire.closed()[0] == 3500
        with (
            suppress(WebSocketException),
            Wire(self._sockets, additional_headers={"Authorization": f"Bearer {forged}"}),
        ):
            pass
        with Wire(self._sockets) as wire:
            wire.socket.send(f'{{"id": 1, "connect": {{"token": "{forged}"}}')
            assert wire.closed()[0] == 3501

    @property
    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets['access token']}"}

    def _ticket(self) -> str:
        found = self._http.post("/api/v1/auth/tickets", headers=self._bearer).json()
        return self._keep(f"ticket {len(self.secrets)}", found["ticket"])

    def _keep(self, name: str, secret: str) -> str:
        self.secrets[name] = secret
        return secret


def pieces(secret: str) -> list[str]:
    """What gives a secret away: itself, its signature or random part, and that written as in an URL."""
    last = re.split(r"[._]", secret)[-1]
    return [secret, quote(secret), *([last] if len(last) >= 12 else [])]


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_credential_is_in_any_log_line_at_debug_level(tmp_path: Path, style: str) -> None:
    options = {"CHAT_LOG_LEVEL": "debug", "CHAT_LOG_FORMAT": style, "CHAT_API_KEY": API_KEY}
    with served(tmp_path / "data", lines=2, **options) as server:
        leaver = Leaver(server.url, server.greeting[1].strip().partition("?code=")[2])
        leaver.go()
        server.stop()
        log = server.log.read_text()

    assert len(leaver.secrets) > 15
    assert log.count("http.request") >= 30
    leaked = {name for name, secret in leaver.secrets.items() if any(piece in log for piece in pieces(secret))}
    assert leaked == set()
    assert (tmp_path / "data" / "secret").read_text().strip() not in log


def test_another_server_that_logs_urls_finds_no_token_in_them(tmp_path: Path) -> None:
    """Plain uvicorn writes the URL of every request and socket, from the scope that we share with it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "chat_server.app:app", "--port", str(port), "--log-level", "trace"]
    environment = {"PATH": "", "CHAT_DATA_DIR": str(tmp_path / "data"), "CHAT_REGISTRATION": "open"}
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: "Uvicorn running" in log.read_text(), 20, "the server to start")
        credentials = {"username": "ann", "password": PASSWORD}
        httpx2.post(f"{url}/api/v1/auth/register", json=credentials, verify=TLS)
        token = httpx2.post(f"{url}/token", data=credentials, verify=TLS).json()["access_token"]
        with Wire(f"ws://127.0.0.1:{port}/ws?token={token}") as wire:
            wire.connect()
        httpx2.get(f"{url}/nowhere?token={token}", verify=TLS)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)

    written = log.read_text()
    assert "/ws?token=***" in written
    assert "/nowhere?token=***" in written
    assert not any(piece in written for piece in pieces(token))


@pytest.fixture
def lines() -> Any:
    """Log through our own formatters: `lines("json")` answers a logger and what it wrote."""

    def made(style: str) -> tuple[logging.Logger, io.StringIO]:
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logs.JsonFormatter() if style == "json" else logs.TextFormatter())
        logger = logging.Logger("chat_server.test")
        logger.addHandler(handler)
        return logger, stream

    return made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /ws?token=abc123&x=1", "GET /ws?token=***&x=1"),
        ("/sse?channels=a&TOKEN=abc", "/sse?channels=a&TOKEN=***"),
        ("/setup?code=abcdef", "/setup?code=***"),
        ("Authorization: Bearer abcdefgh.ijk", "Authorization: Bearer ***"),
        ("basic YW5uOmh1bnRlcjI=", "basic ***"),
        ("redis://:hunter2@host:6379/0", "redis://:***@host:6379/0"),
        ("postgresql://ann:p%40ss@host/db?password=x", "postgresql://ann:***@host/db?password=***"),
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("http://127.0.0.1:8000/path?x=a@b", "http://127.0.0.1:8000/path?x=a@b"),
        ("the bearer of news", "the bearer of news"),
    ],
)
def test_what_looks_like_a_credential_is_masked(lines: Any, text: str, shown: str) -> None:
    logger, stream = lines("json")

    logger.info(text, extra={"url": text})

    found = json.loads(stream.getvalue())
    assert (found["event"], found["url"]) == (shown, shown)


def test_a_line_is_an_object_with_its_fields(lines: Any) -> None:
    logger, stream = lines("json")

    logger.warning("connection.closed", extra={"code": 3008, "frames_sent": 7})

    found = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", found.pop("at"))
    assert found == {
        "level": "warning",
        "logger": "chat_server.test",
        "event": "connection.closed",
        "code": 3008,
        "frames_sent": 7,
    }


@pytest.mark.parametrize("style", ["json", "text"])
def test_what_a_stranger_chose_cannot_forge_a_line(lines: Any, style: str) -> None:
    logger, stream = lines(style)

    logger.info("http.request", extra={"path": "/x\n12:00:00 error owned\x1b[31m"})

    written = stream.getvalue()
    assert written.count("\n") == 1
    assert "\x1b" not in written


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_traceback_is_there_and_masked(lines: Any, style: str) -> None:
    logger, stream = lines(style)

    try:
        raise RuntimeError("cannot open postgresql://ann:hunter2@host/db")
    except RuntimeError:
        logger.exception("worker.part_died")

    assert "Traceback" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
