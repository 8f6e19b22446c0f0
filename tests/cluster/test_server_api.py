"""The server API speaks for all workers, whichever of them is asked."""

import signal
import time
from typing import Any

import httpx2
import pytest

from chat_server.shapes import Role
from tests.cluster.fleet import Fleet
from tests.house import API_KEY, PATIENCE_S, until

pytestmark = pytest.mark.long


def api(fleet: Fleet, index: int, method: str, **body: Any) -> Any:
    answer = httpx2.post(
        f"{fleet.urls[index]}/api/{method}", headers={"X-API-Key": API_KEY}, json=body, timeout=PATIENCE_S
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def test_info_and_channels_are_of_all_workers(fleet: Fleet) -> None:
    bob = fleet.person("bob-info")
    with bob.wire() as here, fleet.at(1, bob).wire() as there:
        for wire in (here, there):
            wire.subscribe("live:prices")

        for index in (0, 1):
            nodes = until(lambda index=index: len(found := api(fleet, index, "info")["nodes"]) == 2 and found)
            assert all(node["num_clients"] for node in nodes)
            assert len({node["uid"] for node in nodes}) == 2
            assert api(fleet, index, "channels", pattern="live:*") == {"channels": {"live:prices": {"num_clients": 2}}}


def test_presence_is_of_all_workers(fleet: Fleet) -> None:
    bob = fleet.person("bob-present")
    with bob.wire() as here, fleet.at(1, bob).wire() as there:
        for wire in (here, there):
            wire.subscribe("chat:lobby")

        for index in (0, 1):
            assert api(fleet, index, "presence_stats", channel="chat:lobby") == {"num_clients": 2, "num_users": 1}


def test_publications_orders_and_disconnects_reach_connections_of_every_worker(fleet: Fleet) -> None:
    bob = fleet.person("bob-ordered")
    with fleet.at(1, bob).wire() as wire:
        wire.connect()

        api(fleet, 0, "subscribe", user=bob.id, channel="live:prices")
        wire.push("live:prices", "subscribe")
        api(fleet, 0, "publish", channel="live:prices", data={"price": 1})
        assert wire.push("live:prices")["data"] == {"price": 1}
        api(fleet, 0, "unsubscribe", user=bob.id, channel="live:prices")
        assert wire.push("live:prices", "unsubscribe")["code"] == 2000
        api(fleet, 0, "disconnect", user=bob.id)

        assert wire.closed()[0] == 3503


def test_a_worker_that_does_not_answer_is_left_out_within_a_second(fleet: Fleet) -> None:
    process = fleet.processes[1].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert len(api(fleet, 0, "info")["nodes"]) == 1
        assert time.monotonic() - began < 2.0
    finally:
        process.send_signal(signal.SIGCONT)


def test_figures_are_of_all_workers_on_every_worker(fleet: Fleet) -> None:
    owner = fleet.person("ann-figures", role=Role.OWNER)
    with owner.wire() as here, fleet.at(1, owner).wire() as there:
        for wire in (here, there):
            wire.subscribe("server:figures")

        for wire in (here, there):
            figures = wire.event("server:figures", "figures.taken")["figures"]
            while figures["workers"] < 2 or figures["messages_per_s"] is None:
                figures = wire.event("server:figures", "figures.taken")["figures"]
            assert figures["sockets"] >= 2
