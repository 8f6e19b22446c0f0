"""Access ends on every worker: within a second, and within five while the broker is away."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from chat_server.accounts.commands import update_user
from chat_server.accounts.model import UpdateUser
from chat_server.admin import in_store, set_disabled
from tests.cluster.engines import Engine
from tests.cluster.fleet import Fleet, servers
from tests.gateway.streams import Stream
from tests.house import Person

pytestmark = pytest.mark.long

BOUND_S = 1.0
AWAY_S = 5.0
TIMES = 100


def log_out(fleet: Fleet, bob: Person) -> None:
    bob.post("/api/v1/auth/logout", status=204)


def disable_by_command_line(fleet: Fleet, bob: Person) -> None:
    set_disabled(fleet.settings, bob.username, True)


ENDS = [log_out, disable_by_command_line]


@pytest.mark.parametrize("end", ENDS)
def test_a_socket_a_stream_and_requests_on_another_worker_lose_access_within_a_second(
    fleet: Fleet, end: Callable[[Fleet, Person], None]
) -> None:
    bob = fleet.person(f"bob-{end.__name__[:8]}")
    elsewhere = fleet.at(1, bob)
    with elsewhere.wire() as wire, Stream(f"{elsewhere.url}/sse?token={bob.token}") as stream:
        wire.connect()
        stream.opened()

        end(fleet, bob)
        began = time.monotonic()

        assert wire.closed() == (3500, "session_revoked")
        stream.of_type("stream.revoked")
        elsewhere.get("/api/v1/users/me", status=401)
        assert time.monotonic() - began < BOUND_S


def test_whoever_is_removed_from_a_room_hears_it_no_more_on_another_worker(fleet: Fleet) -> None:
    ann, bob = fleet.person("ann-removes"), fleet.person("bob-removed")
    room = ann.room()
    bob.join(room)
    with fleet.at(1, bob).wire() as wire:
        wire.subscribe(f"room:{room}")

        ann.delete(f"/api/v1/rooms/{room}/members/{bob.id}")
        began = time.monotonic()

        assert wire.push(f"room:{room}", "unsubscribe")["code"] == 2000
        assert time.monotonic() - began < BOUND_S


def test_whoever_left_and_came_back_at_once_stays(fleet: Fleet) -> None:
    """What the table says of the leaving is read once more a second later, and must not undo the coming back."""
    ann, bob = fleet.person("ann-stays"), fleet.person("bob-returns")
    room = ann.room()
    bob.join(room)
    with fleet.at(1, bob).wire() as wire:
        wire.subscribe(f"room:{room}")
        bob.post(f"/api/v1/rooms/{room}/leave", status=204)
        wire.push(f"room:{room}", "unsubscribe")
        bob.join(room)
        wire.subscribe(f"room:{room}")

        pushes = wire.quiet(2.5)

        assert [found for found in pushes if "unsubscribe" in found] == []
        ann.say(room, "still here")
        assert wire.event(f"room:{room}", "message.posted")["message"]["text"] == "still here"


@pytest.mark.timeout(300)
def test_a_hundred_of_a_hundred_logouts_close_sockets_of_both_workers_within_a_second(fleet: Fleet) -> None:
    slowest = 0.0
    for number in range(TIMES):
        bob = fleet.person(f"bob-{number}")
        with bob.wire() as here, fleet.at(1, bob).wire() as there:
            here.connect()
            there.connect()

            log_out(fleet, bob)
            began = time.monotonic()

            assert here.closed() == there.closed() == (3500, "session_revoked")
            slowest = max(slowest, time.monotonic() - began)
            assert slowest < BOUND_S
            fleet.at(1, bob).get("/api/v1/users/me", status=401)
    print(f"\nthe slowest of {TIMES}: {slowest * 1000:.0f} ms")


def test_access_ends_and_memberships_begin_within_five_seconds_while_the_broker_is_away(
    tmp_path: Path, valkey: Engine
) -> None:
    with servers(tmp_path, [valkey.url] * 2) as fleet:
        ann, bob, carol = fleet.person("ann"), fleet.person("bob"), fleet.person("carol")
        room = ann.room()
        with fleet.at(1, bob).wire() as wire, fleet.at(1, carol).wire("&subscribe=rooms") as bot:
            wire.connect()
            bot.connect()
            valkey.kill()
            began = time.monotonic()

            log_out(fleet, bob)
            carol.join(room)

            assert wire.closed() == (3500, "session_revoked")
            assert time.monotonic() - began < AWAY_S
            bot.push(f"room:{room}", "subscribe")
            assert time.monotonic() - began < AWAY_S
            fleet.at(1, bob).get("/api/v1/users/me", status=401)


def test_a_new_role_reconnects_everywhere_once(fleet: Fleet) -> None:
    bob = fleet.person("bob-promoted")
    with fleet.at(1, bob).wire() as wire:
        wire.connect()

        in_store(fleet.settings, lambda unit: update_user(UpdateUser(user_id=bob.id, role="admin"), unit))

        assert wire.closed()[0] == 3011
    with fleet.at(1, bob).wire() as again:
        again.connect()
        assert again.quiet(2.5) == []
        assert again.rpc("users.me")["id"] == bob.id
