"""Logins and how they end: by their owner, by a new password, by an admin. What they gave ends with them at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chat_server.shapes import Role
from tests.accounts.asking import ask, fields_of, log_in, me, problem, refresh, tokens_of
from tests.house import PASSWORD, House, Person

NEW = "battery-staple"


def change_password(person: Person, old: Any = PASSWORD, new: Any = NEW, status: int = 204) -> Any:
    body = {"old_password": old, "new_password": new}
    return person.post("/api/v1/users/me/password", body, status)


def test_ones_logins_are_listed_newest_first(house: House, ann: Person, bob: Person) -> None:
    second = tokens_of(house, ann)["access_token"]

    found = ask(house, "GET", "/api/v1/auth/sessions", headers={"Authorization": f"Bearer {second}"}).json()

    assert (found["next"], found["previous"]) == (None, None)
    newest, oldest = found["items"]
    assert (newest["current"], oldest["current"]) == (True, False)
    assert oldest["id"] == ann.session_id
    assert (oldest["user_agent"], oldest["address"]) == ("tests", "127.0.0.1")
    assert newest["user_agent"].startswith("python-httpx")
    assert set(newest) == {"id", "created_at", "last_seen_at", "expires_at", "user_agent", "address", "current"}
    assert bob.session_id not in {newest["id"], oldest["id"]}


def test_a_logout_ends_that_login_at_once_and_no_other(house: House, ann: Person) -> None:
    tokens = tokens_of(house, ann)

    answer = ask(house, "POST", "/api/v1/auth/logout", headers={"Authorization": f"Bearer {tokens['access_token']}"})

    assert (answer.status_code, answer.content) == (204, b"")
    problem(me(house, tokens["access_token"]), 401, "session_revoked")
    problem(refresh(house, tokens["refresh_token"]), 401, "session_revoked")
    assert ann.get("/api/v1/users/me")["id"] == ann.id


def test_one_of_ones_other_logins_can_be_ended(house: House, ann: Person) -> None:
    other = house.login(ann.id, ann.username)

    ann.delete(f"/api/v1/auth/sessions/{other.session_id}")

    problem(other.http.get("/api/v1/users/me"), 401, "session_revoked")
    listed = [session["id"] for session in ann.get("/api/v1/auth/sessions")["items"]]
    assert listed == [ann.session_id]


def test_a_login_ends_once(house: House, ann: Person) -> None:
    other = house.login(ann.id, ann.username)
    ann.delete(f"/api/v1/auth/sessions/{other.session_id}")

    problem(ann.http.delete(f"/api/v1/auth/sessions/{other.session_id}"), 404, "session_not_found")


@pytest.mark.parametrize("role", [Role.MEMBER, Role.ADMIN, Role.OWNER])
def test_the_logins_of_others_are_404_for_everyone(house: House, ann: Person, role: Role) -> None:
    bob = house.person("bob", role)

    problem(bob.http.delete(f"/api/v1/auth/sessions/{ann.session_id}"), 404, "session_not_found")
    problem(bob.http.delete("/api/v1/auth/sessions/nowhere"), 404, "session_not_found")
    assert ann.get("/api/v1/users/me")["id"] == ann.id


def test_a_login_ended_fifty_times_at_once_ends_once(house: House, ann: Person) -> None:
    other = house.login(ann.id, ann.username)
    path = f"/api/v1/auth/sessions/{other.session_id}"

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ann.http.delete(path).status_code, range(50)))

    assert sorted(answers) == [204] + [404] * 49


def test_a_new_password_replaces_the_old_one(house: House, ann: Person) -> None:
    change_password(ann)

    problem(log_in(house, ann.username), 401, "bad_credentials")
    assert log_in(house, ann.username, NEW).status_code == 200


def test_a_new_password_ends_the_other_logins_and_not_this_one(house: House, ann: Person) -> None:
    others = [house.login(ann.id, ann.username) for _ in range(2)]
    tokens = tokens_of(house, ann)

    change_password(ann)

    for other in others:
        problem(other.http.get("/api/v1/users/me"), 401, "session_revoked")
    problem(refresh(house, tokens["refresh_token"]), 401, "session_revoked")
    assert len(ann.get("/api/v1/auth/sessions")["items"]) == 1


def test_the_old_password_is_needed(house: House, ann: Person) -> None:
    other = house.login(ann.id, ann.username)

    answer = ann.http.post("/api/v1/users/me/password", json={"old_password": "wrong-horse", "new_password": NEW})

    found = problem(answer, 422, "invalid")
    assert [(each["field"], each["code"]) for each in found["errors"]] == [("old_password", "wrong_password")]
    assert other.get("/api/v1/users/me")["id"] == ann.id
    assert log_in(house, ann.username).status_code == 200


@pytest.mark.parametrize("new", ["", "1234567", "x" * 1025, None, 12345678])
def test_a_bad_new_password_is_422(ann: Person, new: Any) -> None:
    answer = ann.http.post("/api/v1/users/me/password", json={"old_password": PASSWORD, "new_password": new})

    assert fields_of(problem(answer, 422, "invalid")) == {"new_password"}


def test_guessing_the_old_password_is_limited_like_a_login(house: House, ann: Person) -> None:
    for _ in range(10):
        change_password(ann, "wrong-horse", status=422)

    answer = ann.http.post("/api/v1/users/me/password", json={"old_password": PASSWORD, "new_password": NEW})

    problem(answer, 429, "too_many_requests")


def test_who_is_disabled_loses_http_at_once(house: House, owner: Person, ann: Person) -> None:
    tokens = tokens_of(house, ann)

    changed = owner.patch(f"/api/v1/users/{ann.id}", {"disabled": True})

    assert changed["disabled"] is True
    problem(ann.http.get("/api/v1/users/me"), 401, "session_revoked")
    problem(me(house, tokens["access_token"]), 401, "session_revoked")
    problem(refresh(house, tokens["refresh_token"]), 401, "session_revoked")
    problem(log_in(house, ann.username), 401, "bad_credentials")


def test_who_is_enabled_again_comes_back_with_a_new_login(house: House, owner: Person, ann: Person) -> None:
    owner.patch(f"/api/v1/users/{ann.id}", {"disabled": True})

    changed = owner.patch(f"/api/v1/users/{ann.id}", {"disabled": False})

    assert changed["disabled"] is False
    problem(ann.http.get("/api/v1/users/me"), 401, "session_revoked")
    assert me(house, tokens_of(house, ann)["access_token"]).json()["id"] == ann.id


def test_disabling_twice_is_no_change(house: House, owner: Person, ann: Person) -> None:
    for _ in range(2):
        assert owner.patch(f"/api/v1/users/{ann.id}", {"disabled": True})["disabled"] is True

    problem(ann.http.get("/api/v1/users/me"), 401, "session_revoked")


def test_a_disabled_person_stays_what_they_are(house: House, owner: Person, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    ann.say(room_id, "hello")

    owner.patch(f"/api/v1/users/{ann.id}", {"disabled": True})

    assert bob.get(f"/api/v1/rooms/{room_id}/messages")["items"][0]["sender_id"] == ann.id
    assert bob.get(f"/api/v1/users/{ann.id}")["disabled"] is True
