"""The programs of examples/: on a stage, and as somebody runs them."""

import hashlib
import hmac
import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import httpx2
import pytest

from chat_server.client import TestBot
from tests.house import House, Person, until

pytestmark = pytest.mark.long

EXAMPLES = Path(__file__).parents[2] / "examples"
SECRET = "secret-of-the-hook"


def example(name: str) -> ModuleType:
    """The program as a module, made anew."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".html"}))
def test_every_example_begins_with_how_to_run_it(name: str) -> None:
    beginning = (EXAMPLES / name).read_text()[:1200]

    assert re.search(r"^ +(python|export|KEY=|CHAT_ALLOWED_ORIGINS=)", beginning, re.M)
    assert "chat-server" in beginning
    assert name in (EXAMPLES / "README.md").read_text()


def test_the_echo_bot_repeats_what_is_said() -> None:
    with TestBot(example("echo").bot) as test:
        assert test.say("hello") == ["hello"]


def test_the_echo_bot_runs_as_a_program(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    environment = {**os.environ, "CHAT_URL": house.url, "CHAT_TOKEN": bob.token}
    with subprocess.Popen([sys.executable, EXAMPLES / "echo.py"], env=environment, stderr=subprocess.DEVNULL) as bot:
        try:
            until(lambda: f"room:{room_id}" in house.worker.manager.channels)
            ann.say(room_id, "hello")
            until(lambda: len(ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]) == 2)
        finally:
            bot.terminate()

    said, answer = ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]
    assert (answer["text"], answer["sender_id"], answer["reply_to"]) == ("hello", bob.id, said["id"])


def test_the_reminder_bot_says_in_time_what_it_was_told_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_REMINDERS", str(tmp_path / "reminders.db"))
    first = example("reminder")
    with TestBot(first.bot) as test:
        assert test.say("/remind me") == ["Say it like this: /remind 10m stand up (s, m, h or d)"]
        (promise,) = test.say("/remind 1s stand up")
        assert re.fullmatch(r"I will, at \d\d:\d\d:\d\d UTC\.", promise)
        assert test.wait_for(3)[-1] == "Reminder: stand up"
        assert len(test.say("/remind 1s after the restart")) == 1
    first.database.close()

    again = example("reminder")
    with TestBot(again.bot) as test:
        assert test.wait_for(1) == ["Reminder: after the restart"]
    again.database.close()


@pytest.fixture
def bridge(house: House, bob: Person, ann: Person) -> Iterator[tuple[str, str]]:
    """The bridge, as bob, into a room of ann's: its address and the room."""
    room_id = ann.room()
    bob.join(room_id)
    environment = {
        **os.environ,
        "CHAT_URL": house.url,
        "CHAT_TOKEN": bob.token,
        "CHAT_ROOM": room_id,
        "CHAT_BRIDGE_SECRET": SECRET,
        "CHAT_BRIDGE_PORT": "0",
    }
    program = [sys.executable, str(EXAMPLES / "bridge.py")]
    with subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield process.stdout.readline().removeprefix("listening on ").strip(), room_id
        process.kill()


def delivered(address: str, body: bytes, secret: str = SECRET, delivery: str = "1") -> int:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Hub-Signature-256": signature, "X-GitHub-Delivery": delivery}
    return httpx2.post(address, content=body, headers=headers, timeout=20).status_code


def test_the_bridge_posts_a_signed_delivery_once(ann: Person, bridge: tuple[str, str]) -> None:
    address, room_id = bridge

    statuses = [
        delivered(address, b'{"text": "build 12 failed"}'),
        delivered(address, b'{"text": "build 12 failed"}'),
        delivered(address, b'{"text": "build 13 is fine"}', delivery="2"),
        delivered(address, b'{"text": "forged"}', secret="guessed", delivery="3"),
        delivered(address, b"[]", delivery="4"),
        delivered(address, b'{"text": ""}', delivery="5"),
    ]

    assert statuses == [201, 201, 201, 401, 422, 422]
    stored = ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]
    assert [message["text"] for message in stored] == ["build 12 failed", "build 13 is fine"]
