"""A channel is joined before its history is read: whoever joins while people post hears 1 to n, each once."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.house import House, Person, Wire

POSTERS = 3
SOCKETS = 100
POSTS_A_JOIN = 2  # so that all that is said fits into one recovery: 200 posts in each of three rooms


class Posters:
    """People who post into rooms in turn, each as often as there are permits, until they are told to stop."""

    def __init__(self, people: list[Person], room_ids: list[str]) -> None:
        self._room_ids = room_ids
        self.permits = threading.Semaphore(0)
        self._is_over = False
        self._threads = [threading.Thread(target=self._post, args=(person,)) for person in people]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Nothing is said after this."""
        self._is_over = True
        self.permits.release(len(self._threads))
        for thread in self._threads:
            thread.join()

    def _post(self, person: Person) -> None:
        number = 0
        with person.wire() as wire:
            while self.permits.acquire() and not self._is_over:
                wire.rpc("messages.post", room_id=self._room_ids[number % len(self._room_ids)], text="x")
                number += 1


@contextmanager
def talk_in(house: House, room_ids: list[str]) -> Iterator[Posters]:
    people = [house.person("bob") for _ in range(POSTERS)]
    for person in people:
        for room_id in room_ids:
            person.join(room_id)
    posters = Posters(people, room_ids)
    try:
        yield posters
    finally:
        posters.stop()


@pytest.fixture
def rooms(ann: Person) -> list[str]:
    return [ann.room(str(number)) for number in range(3)]


def recovered(start: dict[str, Any]) -> list[int]:
    return [publication["offset"] for publication in start.get("publications", [])]


def test_300_joins_while_people_post_hear_everything_since_one_position_once(
    house: House, ann: Person, rooms: list[str]
) -> None:
    """Offset 2 is its maker's coming, before which nobody was in it."""
    with ExitStack() as stack:
        wires = [stack.enter_context(ann.wire()) for _ in range(SOCKETS)]
        epoch = wires[0].ask(history={"channel": f"room:{rooms[0]}"})["history"]["epoch"]
        starts: list[tuple[Wire, str, dict[str, Any]]] = []
        with talk_in(house, rooms) as posters:
            for wire in wires:
                for room_id in rooms:
                    posters.permits.release(POSTS_A_JOIN)
                    start = wire.subscribe(f"room:{room_id}", recover=True, epoch=epoch, offset=2)
                    starts.append((wire, f"room:{room_id}", start))
        top = {f"room:{room_id}": ann.say(room_id, "the last word")["seq"] + 2 + POSTERS for room_id in rooms}

        for wire, channel, start in starts:
            assert start["recovered"] is True
            offsets = recovered(start)
            while len(offsets) < top[channel] - 2:
                offsets.append(wire.push(channel)["offset"])
            assert offsets == list(range(3, top[channel] + 1))
        assert len(starts) == 300
        assert [push for wire in wires for push in wire.quiet(0.0)] == []


def test_whoever_comes_and_goes_while_people_post_never_hears_a_hole_or_a_repeat(
    house: House, ann: Person, rooms: list[str]
) -> None:
    channel = f"room:{rooms[0]}"
    with ann.wire() as wire, talk_in(house, rooms[:1]) as posters:
        runs = []
        for _ in range(100):
            posters.permits.release(4)
            start = wire.subscribe(channel)
            offsets = [wire.push(channel)["offset"] for _ in range(2 if len(runs) % 2 else 0)]
            wire.ask(unsubscribe={"channel": channel})
            offsets += [push["pub"]["offset"] for push in wire.pushes if push["channel"] == channel]
            wire.pushes.clear()
            runs.append((start["offset"], offsets))
            posters.permits.release(2)

        assert all(offsets == list(range(at + 1, at + 1 + len(offsets))) for at, offsets in runs), runs
        assert sum(len(offsets) for _, offsets in runs) >= 100


def test_many_who_stay_all_hear_the_same_in_the_same_order(house: House, ann: Person, rooms: list[str]) -> None:
    channel = f"room:{rooms[0]}"
    with ExitStack() as stack:
        wires = [stack.enter_context(ann.wire()) for _ in range(20)]
        with talk_in(house, rooms[:1]) as posters:
            posters.permits.release(100)
            starts = [wire.subscribe(channel) for wire in wires]
        top = ann.say(rooms[0], "the last word")["seq"] + 2 + POSTERS

        stories = []
        for wire, start in zip(wires, starts, strict=True):
            pushes = [wire.push(channel) for _ in range(top - start["offset"])]
            assert [push["offset"] for push in pushes] == list(range(start["offset"] + 1, top + 1))
            stories.append({push["offset"]: push["data"] for push in pushes})

        assert all(story.items() <= stories[0].items() for story in stories)
