"""`POST /refresh`: tokens rotate, two tabs may ask at once, and a stolen token ends the session."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from chat_server.accounts.identity import Identity
from chat_server.shapes import Role
from tests.accounts.asking import ask, fields_of, me, problem, refresh, tokens_of
from tests.house import House, Person


def test_a_refresh_answers_the_next_pair(house: House, ann: Person) -> None:
    first = tokens_of(house, ann)

    answer = refresh(house, first["refresh_token"])

    assert answer.status_code == 200
    second = answer.json()
    assert set(second) == set(first)
    assert (second["token_type"], second["expires_in"], second["scope"]) == ("bearer", 900, "chat stream")
    assert second["refresh_token"] != first["refresh_token"]
    assert me(house, second["access_token"]).json()["id"] == ann.id
    assert answer.headers["cache-control"] == "no-store"


def test_a_token_before_the_refresh_stays_good_for_its_time(house: House, ann: Person) -> None:
    first = tokens_of(house, ann)
    refresh(house, first["refresh_token"])

    assert me(house, first["access_token"]).status_code == 200


def test_the_old_token_answers_the_same_successor_until_that_is_used(house: House, ann: Person) -> None:
    first = tokens_of(house, ann)["refresh_token"]
    second = refresh(house, first).json()["refresh_token"]

    again = [refresh(house, first).json()["refresh_token"] for _ in range(3)]

    assert again == [second] * 3
    assert refresh(house, second).status_code == 200


def test_twenty_tabs_that_refresh_at_once_get_one_successor(house: House, ann: Person) -> None:
    first = tokens_of(house, ann)["refresh_token"]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: refresh(house, first), range(20)))

    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


def test_reuse_after_the_successor_was_used_ends_the_session(house: House, ann: Person) -> None:
    first = tokens_of(house, ann)
    second = refresh(house, first["refresh_token"]).json()
    third = refresh(house, second["refresh_token"]).json()

    stolen = refresh(house, first["refresh_token"])

    assert problem(stolen, 401, "session_revoked")["error"] == "invalid_grant"
    for found in (first, second, third):
        problem(me(house, found["access_token"]), 401, "session_revoked")
        problem(refresh(house, found["refresh_token"]), 401, "session_revoked")
    assert ann.get("/api/v1/users/me")["id"] == ann.id  # another login goes on


def test_reuse_is_refused_however_often_it_is_tried(house: House, ann: Person) -> None:
    first = tokens_of(house, ann)["refresh_token"]
    refresh(house, refresh(house, first).json()["refresh_token"])
    refresh(house, first)

    problem(refresh(house, first), 401, "session_revoked")


def test_a_narrow_login_stays_narrow(house: House, ann: Person) -> None:
    first = tokens_of(house, ann, scope="stream")

    second = refresh(house, first["refresh_token"]).json()

    assert second["scope"] == "stream"
    answer = ask(house, "GET", "/api/v1/rooms", headers={"Authorization": f"Bearer {second['access_token']}"})
    problem(answer, 403, "insufficient_scope")


def test_who_is_admin_no_more_gets_no_admin_token_by_refreshing(house: House, owner: Person) -> None:
    adam = house.person("adam", Role.ADMIN)
    first = tokens_of(house, adam)
    owner.patch(f"/api/v1/users/{adam.id}", {"role": "member"})

    answer = refresh(house, first["refresh_token"])

    assert answer.json()["scope"] == "chat stream"


def test_who_is_admin_no_more_publishes_nothing(house: House, owner: Person) -> None:
    adam = house.person("adam", Role.ADMIN)
    first = tokens_of(house, adam)
    owner.patch(f"/api/v1/users/{adam.id}", {"role": "member"})
    token = refresh(house, first["refresh_token"]).json()["access_token"]

    answer = ask(
        house,
        "POST",
        "/api/v1/notifications",
        json={"user_ids": [owner.id], "text": "still here"},
        headers={"Authorization": f"Bearer {token}"},
    )

    problem(answer, 403, "insufficient_scope")


def test_each_type_of_token_is_good_for_its_own_thing_only(house: House, ann: Person) -> None:
    found = tokens_of(house, ann)
    identity: Identity = house.app.state.identity
    cookie = identity.tokens.cookie(ann.id, ann.session_id, 2**31)  # type: ignore[arg-type]

    assert problem(refresh(house, found["access_token"]), 401, "token_invalid")["error"] == "invalid_grant"
    problem(refresh(house, cookie), 401, "token_invalid")
    problem(me(house, found["refresh_token"]), 401, "token_invalid")
    problem(me(house, cookie), 401, "token_invalid")


@pytest.mark.parametrize("wrong", ["", "x", "a.b.c", "ck_00000000_secret", "tk_secret", "." * 4096])
def test_what_is_no_refresh_token_is_401(house: House, wrong: str) -> None:
    found = problem(refresh(house, wrong), 401, "token_invalid")

    assert (found["error"], found["error_description"]) == ("invalid_grant", found["detail"])


def test_an_expired_refresh_token_is_401(house: House, ann: Person) -> None:
    identity: Identity = house.app.state.identity
    old = identity.tokens.refresh(ann.id, ann.session_id, 0, 1_700_000_000, 1_700_000_001)  # type: ignore[arg-type]

    assert problem(refresh(house, old), 401, "token_expired")["error"] == "invalid_grant"


def test_a_refresh_token_of_an_unknown_session_is_401(house: House, ann: Person, bob: Person) -> None:
    tokens = house.app.state.identity.tokens

    for user_id, session_id in (("nobody", ann.session_id), (ann.id, "nowhere"), (ann.id, bob.session_id)):
        problem(refresh(house, tokens.refresh(user_id, session_id, 0, 1, 2**31)), 401, "session_revoked")


def test_neither_a_body_nor_a_cookie_is_401(house: House) -> None:
    found = problem(ask(house, "POST", "/refresh"), 401, "unauthorized")

    assert found["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "refresh_token"),
        ({"refresh_token": 7}, "refresh_token"),
        ({"refresh_token": "x" * 4097}, "refresh_token"),
        ({"refresh_token": "x", "scope": "admin"}, "scope"),
    ],
)
def test_a_body_of_the_wrong_shape_is_422(house: House, body: object, field: str) -> None:
    assert fields_of(problem(ask(house, "POST", "/refresh", json=body), 422, "invalid")) == {field}


def test_a_refresh_of_the_wrong_shape_says_what_oauth_calls_it(house: House) -> None:
    assert ask(house, "POST", "/refresh", json={}).json().get("error") == "invalid_request"


def test_a_disabled_person_refreshes_nothing(house: House, owner: Person) -> None:
    bob = house.person("bob")
    found = tokens_of(house, bob)
    owner.patch(f"/api/v1/users/{bob.id}", {"disabled": True})

    problem(refresh(house, found["refresh_token"]), 401, "session_revoked")
