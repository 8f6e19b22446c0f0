"""A day in the life of a server, on every database engine: what clients and operators see does not depend on it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from chat_server.shapes import Role
from chat_server.store.engine import open_engine
from chat_server.store.store import Store
from tests.accounts.command_line import Cli, cli, refusal, said
from tests.gateway.streams import Stream
from tests.house import PASSWORD, PATIENCE_S, House, Person, house_with
from tests.postgres import Postgres
from tests.process import Process

pytestmark = pytest.mark.long

__all__ = ["cli"]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgresql" else ""
    with house_with(tmp_path_factory.mktemp("house") / "data", database_url=url) as found:
        yield found


def ask(house: House, path: str, status: int = 200, **options: object) -> dict[str, str]:
    answer = httpx2.post(f"{house.url}{path}", timeout=PATIENCE_S, **options)  # type: ignore[arg-type]
    assert answer.status_code == status, answer.text
    found: dict[str, str] = answer.json() if answer.content else {}
    return found


def test_somebody_registers_logs_in_goes_on_and_leaves(house: House) -> None:
    credentials = {"username": "newcomer", "password": PASSWORD}
    ask(house, "/api/v1/auth/register", 201, json=credentials)
    assert ask(house, "/api/v1/auth/register", 409, json=credentials)["code"] == "username_taken"
    first = ask(house, "/token", data=credentials)
    second = ask(house, "/refresh", json={"refresh_token": first["refresh_token"]})
    third = ask(house, "/refresh", json={"refresh_token": second["refresh_token"]})

    assert ask(house, "/refresh", 401, json={"refresh_token": first["refresh_token"]})["code"] == "session_revoked"

    assert ask(house, "/refresh", 401, json={"refresh_token": third["refresh_token"]})["code"] == "session_revoked"


def test_two_who_want_the_same_name_at_once_are_told_who_has_it(house: House) -> None:
    credentials = {"username": "wanted", "password": PASSWORD}

    def register(_: int) -> int:
        return httpx2.post(f"{house.url}/api/v1/auth/register", json=credentials, timeout=PATIENCE_S).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(register, range(4))) == [201, 409, 409, 409]


def test_a_room_is_made_joined_spoken_in_and_left(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room("Engine Room")
    bob.join(room_id)
    with bob.wire() as wire:
        start = wire.subscribe(f"room:{room_id}")
        first = ann.say(room_id, f"hello @{bob.username}", client_msg_id="m1")
        again = ann.post(f"/api/v1/rooms/{room_id}/messages", {"text": "x", "client_msg_id": "m1"}, status=200)
        edited = ann.patch(f"/api/v1/rooms/{room_id}/messages/{first['id']}", {"text": "hullo"})
        ann.delete(f"/api/v1/rooms/{room_id}/messages/{first['id']}")

        assert again == first
        events = [wire.push(f"room:{room_id}")["data"] for _ in range(3)]
        assert [event["type"] for event in events] == ["message.posted", "message.edited", "message.deleted"]
        assert events[1]["message"] == edited
        assert start["offset"] > 0

    assert bob.get("/api/v1/rooms")["items"][0]["unread"] == 1
    bob.post(f"/api/v1/rooms/{room_id}/read", {"seq": 1}, status=200)
    assert bob.get("/api/v1/rooms")["items"][0]["unread"] == 0
    bob.post(f"/api/v1/rooms/{room_id}/leave", status=204)
    assert bob.get(f"/api/v1/rooms/{room_id}/messages", status=403)["code"] == "not_a_member"


def test_messages_are_paged_both_ways(ann: Person) -> None:
    room_id = ann.room()
    for number in range(1, 8):
        ann.say(room_id, str(number))

    newest = ann.get(f"/api/v1/rooms/{room_id}/messages?limit=3")
    before = ann.get(f"/api/v1/rooms/{room_id}/messages?limit=3&before={newest['previous']}")

    assert [message["seq"] for message in newest["items"]] == [5, 6, 7]
    assert [message["seq"] for message in before["items"]] == [2, 3, 4]
    around = ann.get(f"/api/v1/rooms/{room_id}/messages?limit=3&around=4")["items"]
    assert [message["seq"] for message in around] == [3, 4, 5]


def test_who_was_away_recovers_exactly_what_was_missed(ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire:
        start = wire.subscribe(f"room:{room_id}")
    texts = [str(number) for number in range(20)]
    for text in texts:
        ann.say(room_id, text)

    with bob.wire() as wire:
        back = wire.subscribe(f"room:{room_id}", recover=True, epoch=start["epoch"], offset=start["offset"])

    assert back["recovered"] is True
    assert [found["data"]["message"]["text"] for found in back["publications"]] == texts
    assert [found["offset"] for found in back["publications"]] == list(range(start["offset"] + 1, start["offset"] + 21))


def test_people_posting_to_one_room_at_once_are_numbered_without_holes(house: House, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    with bob.wire() as wire:
        start = wire.subscribe(f"room:{room_id}")
        with ThreadPoolExecutor(4) as pool:
            seqs = list(pool.map(lambda number: (ann, bob)[number % 2].say(room_id, "x")["seq"], range(60)))
        heard = [wire.push(f"room:{room_id}") for _ in range(60)]

    assert sorted(seqs) == list(range(1, 61))
    assert [found["offset"] for found in heard] == list(range(start["offset"] + 1, start["offset"] + 61))
    assert [found["data"]["message"]["seq"] for found in heard] == list(range(1, 61))


def test_two_who_open_a_direct_room_at_once_get_the_same_one(ann: Person, bob: Person) -> None:
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(one.post, "/api/v1/direct", {"user_id": other.id}, 200)
            for one, other in ((ann, bob), (bob, ann))
        ]
        found = {future.result()["id"] for future in asked}

    assert len(found) == 1


def test_a_request_under_one_key_happens_once_though_it_comes_twice_at_once(ann: Person) -> None:
    key = {"Idempotency-Key": f"{ann.id}-once"}

    def make(_: int) -> str:
        answer = ann.http.post("/api/v1/rooms", json={"name": "once", "kind": "private"}, headers=key)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(make, range(4)))

    assert len(made) == 1
    assert [room["id"] for room in ann.get("/api/v1/rooms")["items"]] == list(made)


def test_two_owners_who_disable_each_other_at_once_leave_one(house: House) -> None:
    ann, bob = house.person("ann", Role.OWNER), house.person("bob", Role.OWNER)

    def disable(pair: tuple[Person, Person]) -> int:
        one, other = pair
        return one.http.patch(f"/api/v1/users/{other.id}", json={"disabled": True}).status_code

    with ThreadPoolExecutor(2) as pool:
        found = sorted(pool.map(disable, [(ann, bob), (bob, ann)]))

    assert found[0] == 200
    assert found[1] in {401, 403, 409}


def test_a_notification_reaches_the_inbox_and_the_stream(house: House) -> None:
    admin, bob = house.person("ann", Role.ADMIN), house.person("bob")
    with Stream(f"{house.url}/sse?token={bob.token}") as stream:
        stream.opened()

        admin.post("/api/v1/notifications", {"user_ids": [bob.id], "text": "done", "tags": ["a", "b"]})

        heard = stream.of_type("notification.raised").data["notification"]
    kept = bob.get("/api/v1/notifications")
    assert (kept["items"][0], kept["unread"]) == (heard, 1)
    assert bob.post("/api/v1/notifications/read-all", status=200) == {"unread": 0}


def on_postgres(postgres: Postgres) -> dict[str, str]:
    return {"DATABASE_URL": postgres.new_database()}


def test_the_command_line_works_on_postgresql(postgres: Postgres, cli: Cli) -> None:
    database = on_postgres(postgres)

    ann = said(
        cli("user", "add", "ann", "--role", "owner", "--password-stdin", stdin=PASSWORD + "\n", **database)
    ).split()[0]
    key = said(cli("bot", "add", "robot", **database)).strip()
    said(cli("user", "passwd", "ann", "--password-stdin", stdin="another-horse\n", **database))
    said(cli("user", "disable", "robot", **database))
    assert said(cli("token", "ann", **database)).count(".") == 2

    assert key.startswith("ck_")
    assert said(cli("user", "list", **database)).split()[:3] == [ann, "ann", "human"]
    assert "is up to date" in said(cli("migrate", **database))
    report = said(cli("doctor", **database))
    assert "can be written" in report
    assert "BAD" not in report


def test_copies_of_postgresql_are_its_own_tools_affair(postgres: Postgres, cli: Cli, tmp_path: Path) -> None:
    database = on_postgres(postgres)

    assert "pg_dump" in refusal(cli("backup", str(tmp_path / "copy"), **database))
    assert "--new-epoch" in refusal(cli("restore", str(tmp_path / "copy"), **database))

    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_after_a_restore_by_other_tools_a_new_epoch_can_be_made(
    engine: str, request: pytest.FixtureRequest, cli: Cli, tmp_path: Path
) -> None:
    url = (
        request.getfixturevalue("postgres").new_database()
        if engine == "postgresql"
        else f"sqlite:///{tmp_path}/chat.db"
    )
    said(cli("migrate", DATABASE_URL=url))
    epochs = {epoch_of(url)}

    for _ in range(2):
        said(cli("migrate", "--new-epoch", DATABASE_URL=url))
        epochs.add(epoch_of(url))

    assert len(epochs) == 3


def epoch_of(url: str) -> str:
    async def opened() -> str:
        async with Store(open_engine(url)) as store:
            return store.epoch

    return asyncio.run(opened())


def test_a_doctor_who_does_not_reach_postgresql_says_so(postgres: Postgres, cli: Cli) -> None:
    result = cli("doctor", DATABASE_URL=f"postgresql://ann:canary@/chat?host={postgres.folder}/nowhere")

    assert result.exit_code == 1
    assert "BAD   PostgreSQL" in result.stdout
    assert "canary" not in result.output


def test_serve_runs_on_postgresql_and_its_data_outlive_a_kill(postgres: Postgres, tmp_path: Path) -> None:
    database = on_postgres(postgres)
    with Process(tmp_path / "data", **database) as process:
        ann = process.person("ann")
        room_id = ann.room()
        ann.say(room_id, "kept")
        process.kill()

    with Process(tmp_path / "data", **database) as process:
        ann = process.log_in("ann")
        assert [found["text"] for found in ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]] == ["kept"]
        assert process.stop() == 0


PROMISES = [
    "accounts",
    "messages",
    "notifications",
    "rooms",
    "test_cli.py",
    *(f"gateway/test_{name}.py" for name in ("access_ends", "stream_resume", "websocket_recovery")),
]


@pytest.mark.timeout(900)
def test_whatever_is_promised_is_kept_on_postgresql() -> None:
    command = [sys.executable, "-m", "pytest", "--engine=postgresql", "-m", "not long and not sqlite"]
    paths = [f"tests/{name}" for name in PROMISES]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *paths], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-4000:]
