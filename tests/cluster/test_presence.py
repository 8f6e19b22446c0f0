"""Presence over workers: a person is online while any socket on any worker is open, and not after a worker's death."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.engines import Engine
from tests.cluster.fleet import Fleet, servers, wait_for
from tests.house import Person, Wire

pytestmark = pytest.mark.long

GONE_S = 10.0  # the lease (3 s), a beat (1 s), the grace (2 s), and a busy machine


def statuses(ann: Person, room: str) -> dict[str, str]:
    items: list[dict[str, Any]] = ann.get(f"/api/v1/rooms/{room}/presence")["items"]
    return {item["user_id"]: item["status"] for item in items}


def change_of(wire: Wire, room: str, person: Person) -> dict[str, Any]:
    """The next thing that is told of that person; whoever watches comes online, too."""
    while True:
        found: dict[str, Any] = wire.event(f"presence:{room}", "presence.changed")["presence"]
        if found["user_id"] == person.id:
            return found


def test_a_person_with_tabs_on_two_workers_goes_when_the_last_one_closed(fleet: Fleet) -> None:
    ann, bob = fleet.person("ann-tabs"), fleet.person("bob-tabs")
    room = ann.room()
    bob.join(room)
    with ann.wire() as watching:
        watching.subscribe(f"presence:{room}")
        first, second = bob.wire(), fleet.at(1, bob).wire()
        for wire in (first, second):
            wire.connect()
        assert change_of(watching, room, bob)["status"] == "online"
        assert statuses(fleet.at(1, ann), room)[bob.id] == "online"

        second.close()
        assert [found for found in watching.quiet(3.0) if bob.id in str(found)] == []
        first.close()

        went = change_of(watching, room, bob)
        assert went["status"] == "offline"
        assert went["last_seen_at"] is not None


def test_typing_on_one_worker_is_seen_on_another(fleet: Fleet) -> None:
    ann, bob = fleet.person("ann-types"), fleet.person("bob-types")
    room = ann.room()
    bob.join(room)
    with ann.wire() as watching, fleet.at(1, bob).wire() as typing:
        watching.subscribe(f"presence:{room}")

        typing.rpc("typing.start", room_id=room)

        found = watching.event(f"presence:{room}", "typing.started")
        assert found["typing"] == {"user_id": bob.id, "expires_in": 6}


def test_the_people_of_a_worker_that_was_killed_are_offline_and_everybody_hears_so(
    tmp_path: Path, valkey: Engine
) -> None:
    with servers(tmp_path, [valkey.url] * 2) as fleet:
        ann, bob = fleet.person("ann"), fleet.person("bob")
        room = ann.room()
        bob.join(room)
        with ann.wire() as watching, fleet.at(1, bob).wire() as lost, lost.socket:
            watching.subscribe(f"presence:{room}")
            lost.connect()
            assert change_of(watching, room, bob)["status"] == "online"
            began = time.monotonic()

            fleet.processes[1].kill()

            assert change_of(watching, room, bob)["status"] == "offline"
            assert time.monotonic() - began < GONE_S
            assert statuses(ann, room)[bob.id] == "offline"


def test_presence_is_true_again_after_redis_was_away(tmp_path: Path, valkey: Engine) -> None:
    with servers(tmp_path, [valkey.url] * 2) as fleet:
        ann, bob, carol = fleet.person("ann"), fleet.person("bob"), fleet.person("carol")
        room = ann.room()
        for person in (bob, carol):
            person.join(room)
        with fleet.at(1, carol).wire() as leaving:
            leaving.connect()
            wait_for(lambda: statuses(ann, room)[carol.id] == "online", 10.0, "carol")
            valkey.kill()
        with fleet.at(1, bob).wire() as coming:
            coming.connect()
            time.sleep(3)  # longer than the grace, so that carol's leaving falls into the outage

            valkey.start()

            wanted = {bob.id: "online", carol.id: "offline"}
            wait_for(lambda: wanted.items() <= statuses(ann, room).items(), 5.0, "the truth")
