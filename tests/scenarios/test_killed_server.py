"""kill -9, again and again, while people post: what was acknowledged is there, and nobody is told a lie about it."""

import json
import random
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import WebSocketException

from tests.house import Person, Wire
from tests.process import Process

KILLS, POSTERS, FOLLOWERS = 20, 4, 4
AWAY = (OSError, EOFError, TimeoutError, WebSocketException)


@dataclass
class Poster:
    """Posts without end; each message until it is answered, over as many servers as it takes."""

    person: Person
    room_id: str
    name: str
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, is_over: threading.Event) -> None:
        number = 0
        while not is_over.is_set():
            try:
                with self.person.wire(open_timeout=5) as wire:
                    while not is_over.is_set():
                        self._post(wire, f"{self.name}.{number}")
                        number += 1
            except AWAY:
                time.sleep(0.02)  # the server is being started again

    def _post(self, wire: Wire, message_id: str) -> None:
        post = {"room_id": self.room_id, "text": message_id, "client_msg_id": message_id}
        answer = wire.ask(rpc={"method": "messages.post", "data": post})
        assert "rpc" in answer, answer
        self.acknowledged[message_id] = answer["rpc"]["data"]


@dataclass
class Follower:
    """Follows the room over as many servers as it takes, recovering each time from what it has."""

    person: Person
    channel: str
    epoch: str = ""
    heard: dict[int, dict[str, Any]] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    start: int = -1
    recoveries: list[bool] = field(default_factory=list)
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)

    @property
    def position(self) -> int:
        return self.order[-1] if self.order else self.start

    def run(self, is_over: threading.Event) -> None:
        while not is_over.is_set():
            try:
                with self.person.wire(open_timeout=5) as wire:
                    self._follow(wire)
                    while not is_over.is_set():
                        self._take(wire)
            except AWAY:
                time.sleep(0.02)

    def _follow(self, wire: Wire) -> None:
        asked = {"recover": True, "epoch": self.epoch, "offset": self.position} if self.start >= 0 else {}
        answer = wire.subscribe(self.channel, **asked)
        if self.start < 0:
            self.start, self.epoch = answer["offset"], answer["epoch"]
            return
        self.recoveries.append(answer["recovered"])
        self.answers.append((self.position, answer))
        for publication in answer.get("publications", []):
            self._note(publication)

    def _take(self, wire: Wire) -> None:
        if not wire.pushes:
            try:
                wire.read(0.2)
            except TimeoutError:
                return
        while wire.pushes:
            push = wire.pushes.pop(0)
            if push["channel"] == self.channel:
                self._note(push["pub"])

    def _note(self, publication: dict[str, Any]) -> None:
        self.order.append(publication["offset"])
        self.heard[publication["offset"]] = publication["data"]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    dice = random.Random(11)
    with Process(tmp_path / "data") as server:
        people = [server.person(f"ann{number}") for number in range(POSTERS)]
        room_id = people[0].room()
        for person in people[1:]:
            person.join(room_id)
        channel = f"room:{room_id}"
        posters = [Poster(person, room_id, person.username) for person in people]
        followers = [Follower(people[number % POSTERS], channel) for number in range(FOLLOWERS)]
        is_over, is_level = threading.Event(), threading.Event()
        posting = [threading.Thread(target=poster.run, args=(is_over,)) for poster in posters]
        following = [threading.Thread(target=follower.run, args=(is_level,)) for follower in followers]
        for thread in (*posting, *following):
            thread.start()

        for _ in range(KILLS):
            least = sum(len(poster.acknowledged) for poster in posters) + 20
            _wait(lambda least=least: sum(len(poster.acknowledged) for poster in posters) >= least, "posts")
            time.sleep(dice.uniform(0, 0.1))
            server.kill()
            server.start()
        is_over.set()
        for thread in posting:
            thread.join()
        log = _log_of(people[0], channel)
        _wait(lambda: all(follower.position == len(log) for follower in followers), "everybody to be level")
        is_level.set()
        for thread in following:
            thread.join()

        _check_log(log, posters)
        for follower in followers:
            _check_follower(follower, log)


def _wait(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited 30 s for {what}"
        time.sleep(0.01)


def _log_of(person: Person, channel: str) -> dict[int, dict[str, Any]]:
    """Every publication of the channel by its offset, as the server has it now."""
    found: dict[int, dict[str, Any]] = {}
    with person.wire() as wire:
        while True:
            page = wire.ask(history={"channel": channel, "limit": 300, "since": {"offset": len(found), "epoch": ""}})
            for publication in page["history"]["publications"]:
                found[publication["offset"]] = publication["data"]
            if len(found) == page["history"]["offset"]:
                return found


def _check_log(log: dict[int, dict[str, Any]], posters: list[Poster]) -> None:
    assert list(log) == list(range(1, len(log) + 1)), "no hole"
    stored = {
        event["message"]["client_msg_id"]: event["message"]
        for event in log.values()
        if event["type"] == "message.posted"
    }
    posted = [event for event in log.values() if event["type"] == "message.posted"]
    assert len(posted) == len(stored), "nothing is stored twice"
    for poster in posters:
        for message_id, answer in poster.acknowledged.items():
            assert stored[message_id]["id"] == answer["id"]
            assert stored[message_id]["seq"] == answer["seq"]


def _check_follower(follower: Follower, log: dict[int, dict[str, Any]]) -> None:
    """It heard one unbroken run, which is the log's; so no `recovered: true` was a lie."""
    assert all(follower.recoveries)
    assert len(follower.recoveries) >= KILLS // 2
    assert all(later == earlier + 1 for earlier, later in pairwise([follower.start, *follower.order]))
    assert all(json.dumps(log[offset]) == json.dumps(event) for offset, event in follower.heard.items())
