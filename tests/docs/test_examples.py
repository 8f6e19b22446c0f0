"""What the README and docs/protocol.md tell a newcomer to type is typed here, at a real server."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from chat_server import __version__
from chat_server.settings import Settings
from chat_server.wire import Command, decode_event, encode, parse
from tests.accounts.asking import TLS
from tests.accounts.serving import Served, served
from tests.docs.pages import OPERATIONS, PROTOCOL, README, blocks
from tests.house import PASSWORD, PATIENCE_S, until

pytestmark = pytest.mark.long

PROGRAMS = Path(sys.executable).parent
PROGRAM_S = 60.0  # a block starts several programs, one after another


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    assert shutil.which("curl"), "the examples need curl"
    with served(tmp_path_factory.mktemp("newcomer") / "data") as found:
        yield found


def block_with(page: Path, word: str, language: str = "sh") -> str:
    (found,) = [block for block in blocks(page, language) if word in block]
    return found


class Terminal:
    """Somebody's terminal in the server's directory. What is printed collects in `output`."""

    def __init__(self, server: Served, script: str) -> None:
        script = script.replace("http://127.0.0.1:8000", server.url).replace(
            "ws://127.0.0.1:8000", server.url.replace("http", "ws", 1)
        )
        script = script.replace(".venv/bin/", f"{PROGRAMS}/").replace("python3 ", f"{sys.executable} ")
        self._process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=server.log.parent,
            env={"PATH": os.environ["PATH"], "HOME": str(server.log.parent), "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def types(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.strip() + "\n")
        self._process.stdin.flush()

    def shows(self, *words: str) -> str:
        """Wait until all the words are on the screen."""

        def seen() -> bool:
            return all(word in self.output for word in words)

        until(lambda: seen() or not self._reader.is_alive(), PROGRAM_S, what=f"{words} in {self.output!r}")
        assert seen(), self.output
        return self.output

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def terminal(server: Served, script: str) -> Iterator[Terminal]:
    found = Terminal(server, script)
    try:
        yield found
    finally:
        found.close()


def token_of(server: Served, username: str) -> dict[str, str]:
    form = {"username": username, "password": PASSWORD}
    answer = httpx2.post(f"{server.url}/token", data=form, verify=TLS)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_the_readmes_first_five_minutes(server: Served) -> None:
    with terminal(server, block_with(README, "somebody to log in as")) as screen:
        room_id = re.search(r'"id":"(\w+)"', screen.shows('"general"', "Connected to"))
        assert room_id is not None
        path, ann = f"{server.url}/api/v1/rooms/{room_id[1]}/messages", token_of(server, "ann")

        def said_and_heard() -> bool:
            """Who only listens is subscribed after a second of silence; what was said before is history."""
            httpx2.post(path, json={"text": "hello newcomer"}, headers=ann, verify=TLS)
            return "hello newcomer" in screen.output

        until(said_and_heard, PROGRAM_S, what="the message on the screen")
        screen.shows("message.posted")


def test_the_readmes_notifications(server: Served) -> None:
    with terminal(server, block_with(README, "bot add deployer")) as screen:
        shown = screen.shows("stream.open", '"text":"done"')

    assert "event: notification.raised" in shown or '"topic":"deploys"' in shown


def test_the_readme_shows_what_a_start_prints(server: Served) -> None:
    (shown,) = [block for block in blocks(README, "") if "is ready at" in block]

    assert shown.startswith(f"chat-server {__version__} is ready at http://127.0.0.1:8000\n")
    assert re.search(r"^Make its owner: http://127.0.0.1:8000/setup\?code=[a-z2-7]{24}$", shown, re.M)
    assert re.sub(r"\d{4,5}", "8000", server.greeting[0]) == shown.split("\n")[0] + "\n"


def test_the_protocols_three_lines(server: Served) -> None:
    credentials = {"username": "newcomer", "password": PASSWORD}
    httpx2.post(f"{server.url}/api/v1/auth/register", json=credentials, verify=TLS)
    room = httpx2.post(
        f"{server.url}/api/v1/rooms", json={"name": "den"}, headers=token_of(server, "newcomer"), verify=TLS
    ).json()
    *commands, asks = block_with(PROTOCOL, "python3 -m websockets").replace("=ann", "=newcomer").strip().split("\n")
    says = block_with(PROTOCOL, "messages.post", "json")

    with terminal(server, "\n".join(commands)) as screen:
        screen.shows("Connected to")
        screen.types(asks)
        screen.shows('"id":1', '"den"')
        screen.types(re.sub(r'"room_id": "\w+"', f'"room_id": "{room["id"]}"', says))
        screen.shows('"id":2', '"text":"hello"', "message.posted")


def test_the_protocols_notification(server: Served) -> None:
    key = "KEY=$(.venv/bin/chat-server bot add publisher --scope notify:publish)\n"

    with terminal(server, key + block_with(PROTOCOL, "/api/v1/notifications")) as screen:
        screen.shows('"topic":"deploys"', '"text":"done"')


def test_the_protocols_connect_is_one() -> None:
    asked, answered = block_with(PROTOCOL, '"connect"', "json").split("\n", 1)

    command = Command.model_validate(parse(asked))
    assert command.names == ["connect"]
    assert set(json.loads(answered)["connect"]) == {
        "client", "version", "ping", "pong", "expires", "ttl", "subs", "data"
    }  # fmt: skip


def test_the_protocols_event_is_one() -> None:
    shown = json.loads(block_with(PROTOCOL, "message.posted", "json"))

    event = decode_event(json.dumps(shown).encode())

    assert json.loads(encode(event)) == shown


def test_the_namespaces_of_the_operators_page_can_be_set() -> None:
    (shown,) = blocks(OPERATIONS, "json")

    found = Settings(_env_file=None, namespaces=json.loads(shown)).namespaces

    assert (found["game"].publish, found["live"].publish) == ("subscribers", "server")
