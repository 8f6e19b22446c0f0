"""`chat-server subscribe`: one JSON object a line, exactly what was published."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chat_server.errors import SHUTDOWN
from tests.accounts.command_line import Cli, cli, refusal
from tests.house import House, Person, until

pytestmark = pytest.mark.long

__all__ = ["cli"]


@contextmanager
def subscribed(house: House, person: Person, *channels: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-u", "-c", "from chat_server.cli import main; main()", "subscribe", *channels]
    with subprocess.Popen(
        [*command, "--url", house.url, "--token", person.token],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            until(lambda: set(channels) <= set(house.worker.manager.channels), what="the subscriptions")
            yield process
        finally:
            process.kill()


def told(process: "subprocess.Popen[str]") -> dict[str, object]:
    assert process.stdout is not None
    found: dict[str, object] = json.loads(process.stdout.readline())
    return found


def test_channels_are_followed_one_event_a_line_until_an_interrupt(house: House, ann: Person) -> None:
    room_id = ann.room()

    with subscribed(house, ann, f"room:{room_id}", "live:prices") as process:
        message = ann.say(room_id, "hello")
        event = told(process)
        house.api("publish", channel="live:prices", data={"price": 7})
        publication = told(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130

    assert (event["type"], event["message"]) == ("message.posted", message)
    assert publication == {"type": "publication", "channel": "live:prices", "data": {"price": 7}}


def test_what_was_missed_while_the_line_was_cut_is_caught_up(house: House, ann: Person) -> None:
    room_id = ann.room()

    with subscribed(house, ann, f"room:{room_id}") as process:
        ann.say(room_id, "before")
        told(process)
        house.on_loop(lambda: [connection.close(SHUTDOWN) for connection in house.worker.manager])
        ann.say(room_id, "meanwhile")

        assert told(process)["message"]["text"] == "meanwhile"  # type: ignore[index]


@pytest.mark.parametrize(
    ("token", "channel", "word"),
    [
        ("wrong", "topic:t", "3500"),
        ("{token}", "room:nowhere", "103"),
        ("{token}", "nowhere:x", "102"),
    ],
)
def test_what_cannot_be_followed_is_said_in_one_line(
    house: House, cli: Cli, ann: Person, token: str, channel: str, word: str
) -> None:
    token = token.replace("{token}", ann.token)

    assert word in refusal(cli("subscribe", channel, "--url", house.url, "--token", token))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "http://[bad", "nowhere"])
def test_an_address_that_can_never_work_is_said_in_one_line(cli: Cli, url: str) -> None:
    assert url in refusal(cli("subscribe", "topic:t", "--url", url, "--token", "x"))


def test_a_client_may_publish_where_its_namespace_lets_it(house: House, cli: Cli, ann: Person) -> None:
    with ann.wire() as wire:
        wire.subscribe("chat:lobby")

        assert cli("publish", "chat:lobby", '"hi"', "--url", house.url, "--token", ann.token).exit_code == 0

        found = wire.push("chat:lobby")
    assert (found["data"], found["info"]["user"]) == ("hi", ann.id)
    assert "103" in refusal(cli("publish", "live:prices", "7", "--url", house.url, "--token", ann.token))
