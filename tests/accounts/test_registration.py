"""Registering: by the server's rule, with names and passwords that can be used, and with invites."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from chat_server.accounts.commands import create_invite
from chat_server.accounts.model import Invite, NewInvite
from chat_server.actor import SYSTEM
from chat_server.commands import REACTIONS
from chat_server.shapes import Role
from chat_server.store.schema import invites
from chat_server.unit import Unit
from tests.accounts.asking import ask, fields_of, log_in, problem, register
from tests.house import House, Person, house_with


@pytest.fixture(scope="module")
def invite_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that takes people by invite only."""
    with house_with(tmp_path_factory.mktemp("invites") / "data", registration="invite") as found:
        yield found


@pytest.fixture
def host(invite_house: House) -> Person:
    return invite_house.person("olga", Role.OWNER)


def invite(host: Person, **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = host.post("/api/v1/invites", body)
    return found


def test_who_registers_is_a_member_under_a_lower_case_name(house: House) -> None:
    made = register(house, "Ann.B_1-x")

    assert made.status_code == 201
    assert set(made.json()) == {"id", "username", "display_name", "kind", "role", "created_at", "disabled"}
    assert made.json() | {"id": "", "created_at": ""} == {
        "id": "",
        "username": "ann.b_1-x",
        "display_name": "ann.b_1-x",
        "kind": "human",
        "role": "member",
        "created_at": "",
        "disabled": False,
    }
    assert made.json()["created_at"].endswith("Z")


@pytest.mark.parametrize("username", ["ab", "a" * 32, "..", "-_", "007", "ANN-2"])
def test_a_username_may_be(house: House, username: str) -> None:
    made = register(house, username)

    assert (made.status_code, made.json()["username"]) == (201, username.lower())


@pytest.mark.parametrize(
    "username",
    ["", "a", "a" * 33, "ann bob", "ann@home", "änn", "ann/..", "ann\x00", "ann\n.", "<b>", "\uff41nn", 7, None],
)
def test_a_username_may_not_be(house: House, username: Any) -> None:
    answer = register(house, username)

    assert fields_of(problem(answer, 422, "invalid")) == {"username"}


@pytest.mark.parametrize("password", ["", "1234567", "x" * 1025, None, 12345678, ["correct-horse"]])
def test_a_password_may_not_be(house: House, password: Any) -> None:
    answer = register(house, "pat", password)

    assert fields_of(problem(answer, 422, "invalid")) == {"password"}


@pytest.mark.parametrize(
    ("username", "password"),
    [("short", "12345678"), ("spaces", "  a  pass  "), ("long", "x" * 1024), ("any", "schlüssel🔑1")],
)
def test_a_password_is_taken_as_it_is(house: House, username: str, password: str) -> None:
    register(house, username, password)

    assert log_in(house, username, password).status_code == 200
    assert log_in(house, username, password.strip() + "!").status_code == 401


@pytest.mark.parametrize("display_name", ["", " ", "x" * 65, "two\nlines", "\x1b[31mred", "nul\x00", 7])
def test_a_display_name_may_not_be(house: House, display_name: Any) -> None:
    answer = register(house, "dora", display_name=display_name)

    assert fields_of(problem(answer, 422, "invalid")) == {"display_name"}


@pytest.mark.parametrize("again", ["taken", "TAKEN", " taken "])
def test_a_username_is_taken_once_however_it_is_written(house: House, again: str) -> None:
    register(house, "taken")

    problem(register(house, again), 409, "username_taken")


def test_of_several_who_want_one_name_at_once_one_gets_it(house: House) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: register(house, "wanted").status_code, range(4)))

    assert sorted(answers) == [201, 409, 409, 409]


@pytest.mark.parametrize("field", ["role", "id", "kind", "email", "disabled"])
def test_nobody_registers_as_more_than_a_member(house: House, field: str) -> None:
    answer = register(house, "mallory", **{field: "owner"})

    assert fields_of(problem(answer, 422, "invalid")) == {field}
    problem(log_in(house, "mallory"), 401, "bad_credentials")


def test_without_an_invite_nobody_comes_in_by_invite_only(invite_house: House) -> None:
    problem(register(invite_house, "ann"), 403, "invite_needed")


@pytest.mark.parametrize("code", ["guessed", "%", "' OR 1=1 --"])
def test_an_unknown_invite_is_none(invite_house: House, code: str) -> None:
    problem(register(invite_house, "ann", invite=code), 403, "invite_needed")


def test_an_unknown_invite_is_refused_where_none_is_needed(house: House) -> None:
    problem(register(house, "ivan", invite="guessed"), 403, "invite_needed")


@pytest.mark.parametrize("role", ["member", "guest", "admin"])
def test_an_invite_gives_its_role(invite_house: House, host: Person, role: str) -> None:
    code = invite(host, role=role)["code"]

    made = register(invite_house, f"new-{role}", invite=code)

    assert (made.status_code, made.json()["role"]) == (201, role)


def test_an_invite_is_used_as_often_as_it_says(invite_house: House, host: Person) -> None:
    code = invite(host, max_uses=2)["code"]
    register(invite_house, "first", invite=code)
    register(invite_house, "second", invite=code)

    problem(register(invite_house, "third", invite=code), 403, "invite_needed")


def test_of_several_who_use_an_invite_at_once_one_comes_in(invite_house: House, host: Person) -> None:
    code = invite(host)["code"]

    with ThreadPoolExecutor(4) as pool:
        names = [f"racer-{number}" for number in range(4)]
        answers = list(pool.map(lambda name: register(invite_house, name, invite=code).status_code, names))

    assert sorted(answers) == [201, 403, 403, 403]


def test_a_refused_registration_does_not_use_up_the_invite(invite_house: House, host: Person) -> None:
    code = invite(host)["code"]
    problem(register(invite_house, host.username, invite=code), 409, "username_taken")

    assert register(invite_house, "after-all", invite=code).status_code == 201


def test_an_expired_invite_is_none(invite_house: House) -> None:
    def made_yesterday(unit: Unit) -> Invite:
        earlier = Unit(unit.transaction, SYSTEM, unit.at_ms - 86_400_000, REACTIONS)
        return create_invite(NewInvite(expires_in_s=3600), earlier)

    code = invite_house.write(made_yesterday).code

    problem(register(invite_house, "late", invite=code), 403, "invite_needed")


def test_an_invite_leads_into_its_room(invite_house: House, host: Person) -> None:
    room_id = host.room("crew", "private")
    code = invite(host, room_id=room_id)["code"]

    made = register(invite_house, "recruit", invite=code)

    members = host.get(f"/api/v1/rooms/{room_id}/members")["items"]
    assert {member["user_id"]: member["role"] for member in members} == {host.id: "owner", made.json()["id"]: "member"}


def test_an_invite_whose_room_was_archived_still_lets_in(invite_house: House, host: Person) -> None:
    room_id = host.room("old")
    code = invite(host, room_id=room_id)["code"]
    host.delete(f"/api/v1/rooms/{room_id}")

    made = register(invite_house, "latecomer", invite=code)

    assert made.status_code == 201
    assert len(host.get(f"/api/v1/rooms/{room_id}/members")["items"]) == 1


@pytest.mark.sqlite
def test_an_invite_tells_its_code_once(invite_house: House, host: Person) -> None:
    made = invite(host, role="guest", max_uses=3)

    assert set(made) == {"id", "code", "url", "role", "room_id", "max_uses", "expires_at"}
    assert made["url"] == f"/?invite={made['code']}"
    stored = invite_house.write(lambda unit: unit.all(select(invites)))
    assert made["id"] in str(stored)
    assert made["code"] not in str(stored)


def test_a_closed_server_takes_nobody(new_house: Callable[..., House]) -> None:
    house = new_house(registration="closed")
    code = invite(house.person("olga", Role.OWNER))["code"]

    problem(register(house, "ann"), 403, "registration_closed")
    problem(register(house, "ann", invite=code), 403, "registration_closed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("role", "owner"),
        ("role", "king"),
        ("max_uses", 0),
        ("max_uses", True),
        ("max_uses", 10_001),
        ("expires_in_s", 59),
        ("expires_in_s", 366 * 86400),
        ("code", "mine"),
    ],
)
def test_an_invite_cannot_say(host: Person, field: str, value: Any) -> None:
    answer = host.http.post("/api/v1/invites", json={field: value})

    assert fields_of(problem(answer, 422, "invalid")) == {field}


def test_an_invite_into_a_room_that_is_not_there_is_404(host: Person) -> None:
    problem(host.http.post("/api/v1/invites", json={"room_id": "nowhere"}), 404, "room_not_found")


def test_an_admin_does_not_invite_into_a_private_room_of_others(invite_house: House, host: Person) -> None:
    admin = invite_house.person("adam", Role.ADMIN)
    room_id = host.room("board", "private")

    problem(admin.http.post("/api/v1/invites", json={"room_id": room_id}), 404, "room_not_found")


def test_only_an_owner_invites_admins(invite_house: House) -> None:
    admin = invite_house.person("adam", Role.ADMIN)

    problem(admin.http.post("/api/v1/invites", json={"role": "admin"}), 403, "role_too_low")


def test_a_member_invites_nobody(invite_house: House) -> None:
    bob = invite_house.person("bob")

    problem(bob.http.post("/api/v1/invites", json={}), 403, "insufficient_scope")
    problem(ask(invite_house, "POST", "/api/v1/invites", json={}), 401, "unauthorized")
