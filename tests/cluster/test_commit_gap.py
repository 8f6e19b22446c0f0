"""What was committed and never published reaches every subscriber all the same."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.cluster.dying import LAST_WORDS, PROGRAM
from tests.cluster.engines import Engine
from tests.cluster.fleet import Fleet, servers

pytestmark = pytest.mark.long

BOUND_S = 5.0


@pytest.fixture
def fleet(tmp_path: Path, valkey: Engine) -> Iterator[Fleet]:
    """The first server dies of its last words."""
    with servers(tmp_path, [valkey.url] * 2, program=PROGRAM) as found:
        yield found


def test_a_post_of_a_worker_that_died_before_it_published_arrives_elsewhere(fleet: Fleet) -> None:
    ann = fleet.person("ann")
    room = ann.room()
    with fleet.at(1, ann).wire() as wire:
        wire.subscribe(f"room:{room}")
        ann.say(room, "first")
        assert wire.event(f"room:{room}", "message.posted")["message"]["text"] == "first"

        began = time.monotonic()
        with pytest.raises(httpx2.HTTPError):
            ann.say(room, LAST_WORDS)
        found = wire.event(f"room:{room}", "message.posted")

        assert found["message"]["text"] == LAST_WORDS
        assert time.monotonic() - began < BOUND_S
        assert fleet.processes[0].process is not None
        assert fleet.processes[0].process.wait(5) == -9
