"""`chat-server bench`: what it counts, and what it says when it cannot."""

import json
import socket
from typing import Any

import pytest

from tests.accounts.command_line import Cli, cli, refusal, said
from tests.house import API_KEY, House, Person

pytestmark = pytest.mark.long

__all__ = ["cli"]

SMALL = ("--subscribers", "7", "--rate", "20", "--seconds", "0.5")


def measured(cli: Cli, house: House, person: Person, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        said(cli("bench", "--url", house.url, "--token", person.token, "--json", *SMALL, *options))
    )
    return found


def test_every_subscriber_of_every_process_hears_every_publication(house: House, cli: Cli, ann: Person) -> None:
    found = measured(cli, house, ann, "--api-key", API_KEY, "--processes", "2")

    assert found["published"] > 0
    assert (found["delivered"], found["lost"]) == (found["published"] * 7, 0)
    assert found["latency_ms"]["p50"] <= found["latency_ms"]["p99"] <= found["latency_ms"]["max"]
    assert found["bytes"] > found["delivered"] * 200
    assert (found["processes"], found["closes"]) == (2, {})


def test_a_client_publishes_where_its_namespace_lets_it(house: House, cli: Cli, ann: Person) -> None:
    found = measured(cli, house, ann, "--channel", "chat:bench")

    assert found["published"] > 0
    assert (found["delivered"], found["lost"]) == (found["published"] * 7, 0)


def test_the_address_of_the_socket_will_do(house: House, cli: Cli, ann: Person) -> None:
    url = house.url.replace("http", "ws") + "/connection/websocket"

    lines = said(cli("bench", "--url", url, "--token", ann.token, "--api-key", API_KEY, *SMALL)).splitlines()

    assert lines[0].startswith(f"7 subscribers of live:bench at {url}")
    assert [line.split("  ")[0] for line in lines[1:8]] == [
        "connects/s",
        "publications/s",
        "deliveries/s",
        "latency, ms",
        "lost",
        "bytes",
        "generator busy",
    ]


def test_a_rate_that_cannot_be_kept_is_said(house: House, cli: Cli, ann: Person) -> None:
    found = measured(cli, house, ann, "--api-key", API_KEY, "--rate", "10000")

    assert found["lost"] == 0
    assert any("were not acknowledged" in note for note in found["notes"])


def test_subscribers_that_the_server_closes_are_told(house: House, cli: Cli, ann: Person) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chat_server.bench.measuring.publish_for", lambda plan, publish: (end_of(house, ann), 1.0))
        found = measured(cli, house, ann, "--api-key", API_KEY)

    assert found["closes"] == {"3503 force disconnect": 7}
    assert (found["delivered"], found["lost"]) == (0, 7)


def test_a_load_generator_that_is_the_bottleneck_says_so(house: House, cli: Cli, ann: Person) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chat_server.bench.measuring.BUSY_MOST", 0.0)
        found = measured(cli, house, ann, "--api-key", API_KEY)

    assert any("load generator was the bottleneck" in note for note in found["notes"])


def end_of(house: House, person: Person) -> int:
    """Disconnect them; as if one thing had been published."""
    house.api("disconnect", user=person.id)
    return 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--api-key", "wrong"), "refuses the key"),
        (("--channel", "live:bench"), "may not publish to live:bench: give the server API's key"),
        (("--channel", "nobody:bench", "--api-key", API_KEY), "nobody:bench cannot be published to: 102"),
        (("--token", "wrong"), "refuses the token"),
        (("--token", "wrong", "--api-key", API_KEY), "refuses the token"),
        (("--token", ""), "need a credential"),
        (("--url", "house"), "write the server's address as"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    house: House, cli: Cli, ann: Person, options: tuple[str, ...], words: str
) -> None:
    result = cli("bench", "--url", house.url, "--token", ann.token, *SMALL, *options)

    assert words in refusal(result)


def test_a_server_that_is_not_there_is_said_in_one_line(cli: Cli) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"

    assert "refused" in refusal(cli("bench", "--url", url, "--token", "x", "--api-key", "x"))
