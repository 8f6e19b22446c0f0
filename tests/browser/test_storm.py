"""Several people chat while everything breaks: no message is lost, doubled or out of order in anybody's window."""

import random

import pytest

from tests.browser.cable import Cable
from tests.browser.conftest import Visits
from tests.browser.test_network import close_output
from tests.browser.visitor import Visitor
from tests.house import until
from tests.process import Process

ROUNDS = 30


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("people", [2, 5])
def test_a_storm_loses_doubles_and_reorders_nothing_in_any_window(process: Process, visit: Visits, people: int) -> None:
    chance = random.Random(people)
    names = ["ann", "bob", "cleo", "dan", "eve"][:people]
    persons = [process.person(name) for name in names]
    room_id = persons[0].room()
    for person in persons[1:]:
        person.join(room_id)
    cables = [Cable(process.port) for _ in names]
    windows = [visit(cable.url).log_in(person).open(room_id) for cable, person in zip(cables, persons, strict=True)]

    weather = Weather(cables, chance)
    for number in range(ROUNDS):
        for name, window in zip(names, windows, strict=True):
            window.say(f"{name} {number}")
        weather.turn()
        if number in {10, 20}:
            process.kill()
            close_output(process)
            process.start()
    weather.clear()
    for window in windows:
        until(lambda window=window: window.waiting == 0, 60.0, "all to be sent")

    stored = stored_texts(process, room_id)
    for name in names:
        assert [text for text in stored if text.startswith(name)] == [f"{name} {number}" for number in range(ROUNDS)]
    for window in windows:
        sees_the_end_of(window, stored)
    for cable in cables:
        cable.cut()


class Weather:
    """Lines are cut, mended and made deaf, one at a time."""

    def __init__(self, cables: list[Cable], chance: random.Random) -> None:
        self._cables = cables
        self._chance = chance
        self._cut: set[Cable] = set()

    def turn(self) -> None:
        cable = self._chance.choice(self._cables)
        if cable in self._cut:
            cable.mend()
            self._cut.discard(cable)
        elif self._chance.random() < 0.5:
            cable.cut()
            self._cut.add(cable)
        else:
            cable.is_deaf = not cable.is_deaf

    def clear(self) -> None:
        """What a deaf line has swallowed only shows when it breaks."""
        for cable in self._cables:
            if cable not in self._cut:
                cable.cut()
            cable.mend()


def sees_the_end_of(window: Visitor, stored: list[str]) -> None:
    until(lambda: window.messages[-50:] == stored[-50:], 30.0, "all to be seen")
    assert window.messages == stored[-len(window.messages) :]


def stored_texts(process: Process, room_id: str) -> list[str]:
    person = process.log_in("ann")
    items = person.get(f"/api/v1/rooms/{room_id}/messages", params={"limit": 200})["items"]
    return [message["text"] for message in items]
