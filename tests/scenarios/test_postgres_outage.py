"""PostgreSQL goes away under a server and comes back: people are told to try again, sockets stay, nothing is lost."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.house import PATIENCE_S, House, Person, house_with, until
from tests.postgres import Postgres, running_postgres

pytestmark = pytest.mark.long

LEVEL_S = 5.0


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    with running_postgres() as found:
        yield found


@pytest.fixture
def house(own_postgres: Postgres, tmp_path: Path) -> Iterator[House]:
    with house_with(tmp_path / "data", database_url=own_postgres.new_database()) as found:
        yield found


def status_of(house: House, path: str) -> int:
    return httpx2.get(house.url + path, timeout=PATIENCE_S).status_code


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_posts_are_refused_for_a_while_and_go_on_by_themselves(
    own_postgres: Postgres, house: House, ann: Person, bob: Person, how: signal.Signals
) -> None:
    room_id = ann.room()
    bob.join(room_id)
    url = f"/api/v1/rooms/{room_id}/messages"
    with bob.wire() as wire:
        start = wire.subscribe(f"room:{room_id}")
        ann.say(room_id, "before", client_msg_id="before")
        own_postgres.stop(how)
        try:
            refused = ann.http.post(url, json={"text": "during", "client_msg_id": "during"})
            assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
            assert int(refused.headers["Retry-After"]) >= 1
            assert wire.ask(rpc={"method": "rooms.list"})["error"]["temporary"] is True
            until(lambda: status_of(house, "/readyz") == 503, LEVEL_S)
            assert status_of(house, "/livez") == 200
        finally:
            own_postgres.start()

        body = {"text": "during", "client_msg_id": "during"}
        until(lambda: ann.http.post(url, json=body).status_code in {200, 201}, LEVEL_S, "a post to be taken")
        until(lambda: status_of(house, "/readyz") == 200, LEVEL_S)

        heard = [wire.event(f"room:{room_id}", "message.posted") for _ in range(2)]
        assert [event["message"]["text"] for event in heard] == ["before", "during"]
        assert [event["offset"] for event in heard] == [start["offset"] + 1, start["offset"] + 2]
        assert len(wire.rpc("messages.list", room_id=room_id)["items"]) == 2
