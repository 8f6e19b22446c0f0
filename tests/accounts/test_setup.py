"""The first owner: made with the code that the console prints, and in no other way."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from chat_server.accounts.identity import Identity, secret_of, setup_code_of
from chat_server.shapes import Role
from tests.accounts.asking import ask, fields_of, log_in, me, problem, register
from tests.house import PASSWORD, House

NewHouse = Callable[..., House]


def code_of(house: House) -> str:
    identity: Identity = house.app.state.identity
    return identity.setup_code


def set_up(house: House, code: str, username: str = "ann", **body: object) -> httpx2.Response:
    asked = {"code": code, "username": username, "password": PASSWORD, **body}
    return ask(house, "POST", "/api/v1/auth/setup", json=asked)


def test_the_code_makes_an_owner_who_can_log_in(new_house: NewHouse) -> None:
    house = new_house()

    made = set_up(house, code_of(house), "Ann", display_name="Ann A.")

    assert made.status_code == 201
    assert made.json() | {"id": "", "created_at": ""} == {
        "id": "",
        "username": "ann",
        "display_name": "Ann A.",
        "kind": "human",
        "role": "owner",
        "created_at": "",
        "disabled": False,
    }
    token = log_in(house, "ann").json()["access_token"]
    assert me(house, token).json()["role"] == "owner"


def test_the_code_is_spent_once_there_is_an_owner(new_house: NewHouse) -> None:
    house = new_house()
    set_up(house, code_of(house))

    again = set_up(house, code_of(house), "bob")

    problem(again, 409, "already_set_up")
    problem(log_in(house, "bob"), 401, "bad_credentials")


def test_of_several_who_use_the_code_at_once_one_becomes_owner(new_house: NewHouse) -> None:
    house = new_house()
    code = code_of(house)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda name: set_up(house, code, name).status_code, ["ann", "bob", "carol", "dave"]))

    assert sorted(answers) == [201, 409, 409, 409]


@pytest.mark.parametrize("wrong", ["x", "0" * 24, "ünïcode", "a" * 128])
def test_a_wrong_code_is_403(house: House, wrong: str) -> None:
    answer = set_up(house, wrong)

    problem(answer, 403, "setup_code_wrong")


@pytest.mark.parametrize("code", ["", "x" * 129, None, 7])
def test_a_code_of_the_wrong_shape_is_422(house: House, code: object) -> None:
    answer = ask(house, "POST", "/api/v1/auth/setup", json={"code": code, "username": "ann", "password": PASSWORD})

    assert fields_of(problem(answer, 422, "invalid")) == {"code"}


def test_nobody_chooses_a_role_with_the_code(house: House) -> None:
    answer = set_up(house, code_of(house), role="owner")

    assert fields_of(problem(answer, 422, "invalid")) == {"role"}


def test_the_code_is_derived_from_the_secret_so_every_start_prints_the_same(house: House) -> None:
    secret = secret_of(house.settings)

    code = setup_code_of(secret)

    assert code == code_of(house)
    assert code != setup_code_of(secret + "x")
    assert secret not in code


def test_who_registers_before_the_set_up_is_a_member(new_house: NewHouse) -> None:
    house = new_house()

    made = register(house, "mallory")

    assert made.json()["role"] == "member"
    assert set_up(house, code_of(house)).status_code == 201


def test_an_admin_is_no_owner_so_the_code_still_works(new_house: NewHouse) -> None:
    house = new_house()
    house.person("adam", Role.ADMIN)

    made = set_up(house, code_of(house))

    assert made.status_code == 201
