"""Bots as programs of their own, on a server that is killed again and again: each message is answered once."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from chat_server.client import Login, SyncClient
from tests.house import PASSWORD, Person, until
from tests.process import Process

EXAMPLES = Path(__file__).parents[2] / "examples"
SERVER_LIVES = 200  # messages in each


@contextmanager
def example(name: str, directory: Path, url: str, token: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """One of examples/, running."""
    directory.mkdir(exist_ok=True)
    with (directory / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, str(EXAMPLES / name)],
            cwd=directory,
            env={**os.environ, "CHAT_URL": url, "CHAT_TOKEN": token, **environment},
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def bot_key(server: Process, name: str) -> str:
    """A bot's account and key, made on the server's command line."""
    command = [sys.executable, "-c", "from chat_server.cli import main; main()", "bot", "add", name]
    environment = {"PATH": os.environ["PATH"], "CHAT_DATA_DIR": str(server.data_dir)}
    made = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, cwd=server.data_dir.parent
    )
    return made.stdout.strip()


def invite(ann: Person, room_id: str, username: str) -> None:
    (found,) = ann.get("/api/v1/users", params={"query": username})["items"]
    ann.put(f"/api/v1/rooms/{room_id}/members/{found['id']}", {"role": "member"})


def answered(client: SyncClient, room_id: str) -> Counter[str]:
    """How often each of the client's own messages was answered by somebody else."""
    messages = list(client.history(room_id))
    asked = [message.id for message in messages if message.sender_id == client.me.id]
    replies = Counter(message.reply_to for message in messages if message.sender_id != client.me.id)
    return Counter({message_id: replies[message_id] for message_id in asked})


def all_answered_once(client: SyncClient, room_id: str, count: int) -> None:
    until(lambda: (found := answered(client, room_id)) and min(found.values()) >= 1, 60, "an answer to each message")
    assert Counter(answered(client, room_id).values()) == {1: count}


@pytest.mark.long
@pytest.mark.timeout(300)
def test_bots_answer_each_of_a_thousand_messages_once_while_the_server_is_killed_five_times(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(Process(tmp_path / "data"))
        ann, keys = server.person("ann"), {name: bot_key(server, name) for name in ("echo", "reminder")}
        rooms = {name: ann.room(name) for name in keys}
        for name, room_id in rooms.items():
            invite(ann, room_id, name)
            stack.enter_context(example(f"{name}.py", tmp_path / name, server.url, keys[name]))
        client = stack.enter_context(SyncClient(server.url, Login(server.url, "ann", PASSWORD)))
        for name, room_id in rooms.items():
            until(lambda name=name, room_id=room_id: name in {one.username for one in client.presence(room_id)}, 30)

        def post(index: int) -> None:
            client.post(rooms["echo"], str(index))
            if index % 10 == 0:
                client.post(rooms["reminder"], f"/remind 1s {index}")
            if index % SERVER_LIVES == SERVER_LIVES // 2:
                server.kill()
                server.start()

        with ThreadPoolExecutor(4) as posting:
            list(posting.map(post, range(1, 1001)))

        all_answered_once(client, rooms["echo"], 1000)
        until(lambda: min(answered(client, rooms["reminder"]).values()) == 2, 60, "every reminder")
        assert Counter(answered(client, rooms["reminder"]).values()) == {2: 100}  # the promise, and the reminder


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_bot_that_is_killed_itself_answers_each_message_once(tmp_path: Path) -> None:
    with Process(tmp_path / "data") as server:
        ann, key = server.person("ann"), bot_key(server, "echo")
        room_id = ann.room()
        invite(ann, room_id, "echo")
        state = {"CHAT_BOT_STATE": str(tmp_path / "echo.positions")}
        with SyncClient(server.url, ann.token) as client:
            for life in range(5):
                with example("echo.py", tmp_path / "echo", server.url, key, **state) as bot:
                    until(Path(state["CHAT_BOT_STATE"]).exists, 30)
                    for index in range(60):
                        client.post(room_id, f"{life} {index}")
                    until(lambda: max(answered(client, room_id).values()) == 1)
                    bot.kill()
            with example("echo.py", tmp_path / "echo", server.url, key, **state):
                all_answered_once(client, room_id, 300)
