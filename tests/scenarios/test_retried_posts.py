"""A post that is repeated until it is answered is stored once, wherever the connection was cut."""

import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.exceptions import WebSocketException

from tests.house import House, Person, Wire
from tests.scenarios.cutter import Cutter

POSTERS, POSTS = 4, 250


@pytest.fixture
def cutter(house: House) -> Iterator[Cutter]:
    with Cutter(house.port) as found:
        yield found


@dataclass
class Poster:
    """Posts over connections that are cut after a random number of bytes, each message until it is answered."""

    url: str
    person: Person
    room_id: str
    name: str
    random: random.Random
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    attempts: int = 0
    failure: BaseException | None = None

    def run(self) -> None:
        try:
            for number in range(POSTS):
                self._post_until_answered(f"{self.name}.{number}")
        except BaseException as failure:  # noqa: BLE001  told to the test, which raises it
            self.failure = failure

    def _post_until_answered(self, message_id: str) -> None:
        post = {"room_id": self.room_id, "text": message_id, "client_msg_id": message_id}
        while message_id not in self.answers:
            self.attempts += 1
            try:
                with Wire(self.url, open_timeout=10) as wire:
                    for _ in range(self.random.randint(1, 3)):  # some repeat themselves without need
                        answer = wire.ask(rpc={"method": "messages.post", "data": post})
                        assert "rpc" in answer, answer
                        self.answers[message_id] = answer["rpc"]["data"]
            except (OSError, EOFError, TimeoutError, WebSocketException, json.JSONDecodeError):
                continue


class Chance(Cutter):
    """Cuts each connection after another number of bytes: in the handshake, the command, the answer, or later."""

    def __init__(self, server_port: int, seed: int) -> None:
        self._random = random.Random(seed)
        super().__init__(server_port)

    def _accept(self) -> None:
        self.cut_after = self._random.randint(1, 4000)
        super()._accept()


@pytest.mark.long
def test_a_thousand_posts_over_connections_that_are_cut_anywhere_are_stored_once_each(house: House) -> None:
    ann = house.person("ann")
    room_id = ann.room()
    with Chance(house.port, seed=7) as network:
        posters = [
            Poster(
                f"{network.url.replace('http', 'ws', 1)}/ws?token={ann.token}", ann, room_id, f"p{n}", random.Random(n)
            )
            for n in range(POSTERS)
        ]
        threads = [threading.Thread(target=poster.run) for poster in posters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    for poster in posters:
        if poster.failure is not None:
            raise poster.failure
    stored = _messages(ann, room_id)
    answered = {message_id: answer for poster in posters for message_id, answer in poster.answers.items()}
    assert network.cuts > 200, "the network was bad"
    assert sum(poster.attempts for poster in posters) > POSTERS * POSTS, "some had to be repeated"
    assert len(stored) == POSTERS * POSTS
    assert [message["seq"] for message in stored] == list(range(1, POSTERS * POSTS + 1))
    for message in stored:
        answer = answered[message["client_msg_id"]]
        assert (answer["id"], answer["seq"]) == (message["id"], message["seq"])


def _messages(person: Person, room_id: str) -> list[dict[str, Any]]:
    """All of the room, oldest first."""
    found: list[dict[str, Any]] = []
    before = ""
    while True:
        page = person.get(f"/api/v1/rooms/{room_id}/messages?limit=200{before}")
        found = page["items"] + found
        if page["previous"] is None:
            return found
        before = f"&before={page['previous']}"


def test_a_post_whose_answer_was_lost_is_answered_with_the_stored_message(house: House, cutter: Cutter) -> None:
    ann = house.person("ann")
    room_id = ann.room()
    post = {"room_id": room_id, "text": "once", "client_msg_id": "1"}
    with Wire(f"{cutter.url.replace('http', 'ws', 1)}/ws?token={ann.token}") as wire:
        wire.connect()
        wire.send(rpc={"method": "messages.post", "data": post})
        while not _messages(ann, room_id):
            continue
        cutter.cut()

    with ann.wire() as wire:
        answer = wire.rpc("messages.post", **post)

    assert answer["duplicate"] is True
    assert [message["id"] for message in _messages(ann, room_id)] == [answer["id"]]
