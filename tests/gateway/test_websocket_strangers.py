"""Where a namespace admits anyone, strangers connect without a credential, and reach that namespace only."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chat_server.shapes import Role
from tests.house import House, Wire, house_with

NAMESPACES = {
    "open": {"subscribe": "anyone", "history_size": 10, "presence": True},
    "live": {},
    "chat": {"publish": "users", "history_size": 10},
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_with(tmp_path_factory.mktemp("house") / "data", namespaces=NAMESPACES) as found:
        yield found


@pytest.fixture
def stranger(house: House) -> Iterator[Wire]:
    with Wire(house.url.replace("http", "ws", 1) + "/ws") as wire:
        wire.connect()
        yield wire


def test_a_stranger_may_connect_and_has_no_channels(house: House) -> None:
    with Wire(house.url.replace("http", "ws", 1) + "/ws") as wire:
        answer = wire.connect()

        assert answer["subs"] == {}
        assert answer["expires"] is False


def test_strangers_are_not_one_user_with_its_limit(tmp_path: Path) -> None:
    limited = house_with(tmp_path / "data", namespaces=NAMESPACES, max_connections_per_user=1)
    with limited as house, ExitStack() as stack:
        url = house.url.replace("http", "ws", 1) + "/ws"
        wires = [stack.enter_context(Wire(url)) for _ in range(3)]

        assert len({wire.connect()["client"] for wire in wires}) == 3


def test_a_stranger_hears_what_is_open_to_anyone(house: House, stranger: Wire) -> None:
    stranger.subscribe("open:news")

    house.api("publish", channel="open:news", data="hello")

    assert stranger.push("open:news")["data"] == "hello"


@pytest.mark.parametrize("channel", ["live:prices", "chat:lobby", "topic:deploys", "user:me", "user:", "room:x"])
def test_a_stranger_subscribes_to_nothing_that_is_for_users(stranger: Wire, channel: str) -> None:
    answer = stranger.ask(subscribe={"channel": channel})

    assert answer.get("error", {}).get("code") == 103, answer


def test_a_stranger_reads_no_topic_that_is_for_named_readers(house: House, stranger: Wire) -> None:
    ann = house.person("ann", Role.OWNER)
    ann.put("/api/v1/topics/secrets", {"access": "named", "readers": []})
    ann.post("/api/v1/notifications", {"topic": "secrets", "text": "the vault's code"})

    history = stranger.ask(history={"channel": "topic:secrets", "limit": 10})
    subscribed = stranger.ask(subscribe={"channel": "topic:secrets"})

    assert history.get("error", {}).get("code") == 103, history
    assert subscribed.get("error", {}).get("code") == 103, subscribed


def test_a_stranger_does_not_publish_where_users_may(house: House, stranger: Wire) -> None:
    answer = stranger.ask(publish={"channel": "chat:lobby", "data": "spam"})

    assert answer.get("error", {}).get("code") == 103, answer
    assert house.api("history", channel="chat:lobby", limit=10)["result"]["publications"] == []


@pytest.mark.parametrize("method", ["users.me", "users.list", "rooms.list", "rooms.create", "messages.post"])
def test_a_stranger_carries_out_no_command(stranger: Wire, method: str) -> None:
    answer = stranger.ask(rpc={"method": method, "data": {}})

    assert answer["error"]["code"] in {101, 403}


def test_a_stranger_does_not_become_somebody_by_a_refresh(house: House, stranger: Wire) -> None:
    ann = house.person("ann")

    answer = stranger.ask(refresh={"token": ann.token})

    assert answer["error"]["code"] == 103


def test_a_person_still_connects_with_a_token(house: House) -> None:
    ann = house.person("ann")

    with Wire(ann.socket_url) as wire:
        answer = wire.connect(token=ann.token)

        assert answer["data"]["user"]["id"] == ann.id
        assert f"user:{ann.id}" in answer["subs"]
