"""`chat-server chat`: through a pipe, and in a terminal as people have it."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from chat_server.terminal.screen import harmless
from tests.accounts.command_line import Cli, cli, refusal
from tests.house import PASSWORD, House, Person, until

pytestmark = pytest.mark.long

__all__ = ["cli"]

COMMAND = (sys.executable, "-c", "from chat_server.cli import main; main()", "chat")


def piped(house: House, token: str, room: str, typed: str) -> str:
    """What `chat` shows for what is typed."""
    options = ["--url", house.url, "--token", token]
    found = subprocess.run(
        [*COMMAND, room, *options], input=typed, capture_output=True, text=True, timeout=30, check=True
    )
    return found.stdout


class Terminal:
    """`chat` in a terminal of its own."""

    def __init__(self, house: House, *arguments: str, token: str = "") -> None:
        self._main, child = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "CHAT_URL": house.url, "CHAT_TOKEN": token}
        self.process = subprocess.Popen(
            [*COMMAND, *arguments], stdin=child, stdout=child, stderr=child, env=environment, start_new_session=True
        )
        os.close(child)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def sees(self, pattern: str, patience_s: float = 15.0) -> None:
        deadline = time.monotonic() + patience_s
        while not re.search(pattern, self.shown):
            assert time.monotonic() < deadline, f"{pattern} is not in {self.shown!r}"
            ready, _, _ = select.select([self._main], [], [], 0.1)
            if ready:
                self.shown += os.read(self._main, 65536).decode(errors="replace")

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._main)


@pytest.fixture
def terminal(house: House, ann: Person) -> Iterator[Terminal]:
    room_id = ann.room("lobby")
    found = Terminal(house, room_id, token=ann.token)
    yield found
    found.close()


def test_what_is_piped_in_is_posted_line_by_line_after_the_history(house: House, ann: Person) -> None:
    room_id = ann.room("general")
    ann.say(room_id, "earlier")

    shown = piped(house, ann.token, room_id, "hello\n\n  world  \n")

    stored = ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]
    assert [message["text"] for message in stored] == ["earlier", "hello", "world"]
    assert re.search(r"\d\d:\d\d ann: earlier", shown)


def test_a_room_is_found_by_its_name_and_a_public_one_is_joined(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room("a-place-to-find")

    piped(house, bob.token, "a-place-to-find", "hello\n")

    (message,) = ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]
    assert (message["text"], message["sender_id"]) == ("hello", bob.id)


def test_somebody_is_talked_to_by_their_name(house: House, ann: Person, bob: Person) -> None:
    piped(house, ann.token, f"@{bob.username}", "psst\n")

    room_id = bob.post("/api/v1/direct", {"user_id": ann.id}, status=200)["id"]
    assert [message["text"] for message in bob.get(f"/api/v1/rooms/{room_id}/messages")["items"]] == ["psst"]


def test_older_pages_and_who_is_there_are_asked_for(house: House, ann: Person) -> None:
    room_id = ann.room()
    for index in range(25):
        ann.say(room_id, f"message {index}.")

    shown = piped(house, ann.token, room_id, "/older\n/older\n/who\n/quit\nnever said\n")

    assert [f"message {index}." in shown for index in range(25)] == [True] * 25
    assert "this is where the room begins" in shown
    assert "here: ann" in shown
    assert len(ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]) == 25


def test_what_is_refused_is_told_and_the_chat_goes_on(house: House, ann: Person) -> None:
    room_id = ann.room()

    shown = piped(house, ann.token, room_id, f"{'x' * 4001}\nfine\n")

    assert "not done: 422 invalid" in shown
    assert [message["text"] for message in ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]] == ["fine"]


@pytest.mark.parametrize("room", ["no-such-room", "@no-such-person"])
def test_a_place_that_is_not_there_is_said_in_one_line(house: House, cli: Cli, ann: Person, room: str) -> None:
    assert room in refusal(cli("chat", room, "--url", house.url, "--token", ann.token))


def test_a_wrong_token_is_said_in_one_line(house: House, cli: Cli) -> None:
    assert "3500 token_invalid" in refusal(cli("chat", "general", "--url", house.url, "--token", "wrong"))


def test_whoever_does_not_say_who_they_are_is_told_how(house: House, cli: Cli) -> None:
    assert "CHAT_TOKEN" in refusal(cli("chat", "general", "--url", house.url))


def test_one_can_log_in_by_name(house: House, ann: Person) -> None:
    terminal = Terminal(house, ann.room(), "--user", ann.username)
    try:
        terminal.sees("Password: ")
        terminal.type(f"{PASSWORD}\r")
        terminal.sees("Say something")
        terminal.type("/quit\r")
        assert terminal.process.wait(15) == 0
    finally:
        terminal.close()
    assert PASSWORD not in terminal.shown


def test_in_a_terminal_others_are_heard_while_one_types(
    house: House, ann: Person, bob: Person, terminal: Terminal
) -> None:
    terminal.sees("Say something")
    (room_id,) = [room["id"] for room in ann.get("/api/v1/rooms")["items"] if room["name"] == "lobby"]
    bob.join(room_id)
    terminal.sees("bob joined")

    terminal.type("half a sen")
    with bob.wire() as wire:
        wire.subscribe(f"presence:{room_id}")
        terminal.type("tence")
        assert wire.event(f"presence:{room_id}", "typing.started")["typing"]["user_id"] == ann.id
        wire.rpc("typing.start", room_id=room_id)
        terminal.sees(r"\(bob typing\) > half a sentence")
        bob.say(room_id, "hello \x1b[31mann")
        terminal.sees("bob: hello \ufffd\\[31mann\r\n> half a sentence")
    terminal.type("\r")
    terminal.sees("ann: half a sentence")
    terminal.type("\x04")

    assert terminal.process.wait(15) == 0
    assert [message["text"] for message in bob.get(f"/api/v1/rooms/{room_id}/messages")["items"]][
        -1
    ] == "half a sentence"
    until(lambda: ann.get(f"/api/v1/rooms/{room_id}")["unread"] == 0)


def test_an_interrupt_leaves_the_terminal(terminal: Terminal) -> None:
    terminal.sees("Say something")
    terminal.process.send_signal(2)

    assert terminal.process.wait(15) == 130


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \U0001f469\u200d\U0001f680", "plain \U0001f469\u200d\U0001f680"),
        ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"),
        ("c1 \x9b31m", "c1 \ufffd31m"),
        ("back\rover", "back\ufffdover"),
        ("two\nlines", "two\n      lines"),
    ],
)
def test_nobody_writes_into_somebodys_terminal(text: str, shown: str) -> None:
    assert harmless(text) == shown
