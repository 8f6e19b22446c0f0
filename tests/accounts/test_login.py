"""`POST /token`: who gets in with what, that failures say nothing about accounts, and how many are let try."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx2
import pytest

from chat_server.shapes import Role
from tests.accounts.asking import ask, fields_of, log_in, me, problem
from tests.house import PASSWORD, House, Person, house_with

ADDRESSES = (f"198.51.100.{number}" for number in count(1))


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that counts few failures."""
    data_dir = tmp_path_factory.mktemp("strict") / "data"
    with house_with(data_dir, rate_login="3/h", rate_login_address="5/h") as found:
        yield found


@pytest.fixture
def address() -> str:
    """An address of one's own, so that another test's failures do not count."""
    return next(ADDRESSES)


def refusal(answer: httpx2.Response) -> dict[str, Any]:
    """What a stranger can learn from a refusal: everything but the request's id."""
    return {**answer.json(), "request_id": ""}


def test_the_form_answers_tokens(house: House, ann: Person) -> None:
    answer = log_in(house, ann.username)

    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == {"access_token", "refresh_token", "token_type", "expires_in", "scope"}
    assert (found["token_type"], found["expires_in"], found["scope"]) == ("bearer", 900, "chat stream")
    assert me(house, found["access_token"]).json()["id"] == ann.id


def test_tokens_are_kept_out_of_caches(house: House, ann: Person) -> None:
    assert log_in(house, ann.username).headers["cache-control"] == "no-store"


def test_a_username_is_found_however_it_is_written(house: House, ann: Person) -> None:
    assert log_in(house, f" {ann.username.upper()} ").status_code == 200


@pytest.mark.parametrize(
    ("role", "granted"),
    [
        (Role.OWNER, "admin chat stream"),
        (Role.ADMIN, "admin chat stream"),
        (Role.MEMBER, "chat stream"),
        (Role.GUEST, "chat stream"),
    ],
)
def test_without_scope_all_that_the_role_allows_is_granted(house: House, role: Role, granted: str) -> None:
    person = house.person("ann", role)

    assert log_in(house, person.username).json()["scope"] == granted


@pytest.mark.parametrize("scope", ["chat", "stream", "chat stream", "stream chat", "chat chat"])
def test_a_narrower_scope_is_granted_as_asked(house: House, ann: Person, scope: str) -> None:
    found = log_in(house, ann.username, scope=scope).json()

    assert found["scope"] == " ".join(sorted(set(scope.split())))


def test_a_token_of_scope_stream_posts_nothing(house: House, ann: Person) -> None:
    room_id = ann.room()
    token = log_in(house, ann.username, scope="stream").json()["access_token"]

    answer = ask(
        house,
        "POST",
        f"/api/v1/rooms/{room_id}/messages",
        json={"text": "hello"},
        headers={"Authorization": f"Bearer {token}"},
    )

    problem(answer, 403, "insufficient_scope")


@pytest.mark.parametrize("scope", ["admin", "chat admin", "notify:publish", "root", "chat root", "CHAT", "*"])
def test_a_scope_beyond_the_role_is_refused(house: House, ann: Person, scope: str) -> None:
    found = problem(log_in(house, ann.username, scope=scope), 401, "invalid_scope")

    assert found["error"] == "invalid_scope"


def test_failures_look_alike_whoever_is_asked_for(house: House, ann: Person, owner: Person) -> None:
    bob = house.person("bob")
    owner.patch(f"/api/v1/users/{bob.id}", {"disabled": True})
    robot = owner.post("/api/v1/bots", {"username": "robot"})["username"]

    answers = [
        log_in(house, ann.username, "wrong-horse"),
        log_in(house, "nobody-of-that-name"),
        log_in(house, bob.username),
        log_in(house, robot),
    ]

    first = problem(answers[0], 401, "bad_credentials")
    assert (first["error"], first["error_description"]) == ("invalid_grant", first["detail"])
    assert [refusal(answer) for answer in answers] == [refusal(answers[0])] * 4
    assert {answer.status_code for answer in answers} == {401}


def test_the_password_that_stands_in_for_nobodys_opens_nothing(house: House) -> None:
    """An unknown user's check runs against it, so that it takes as long as a known one's."""
    problem(log_in(house, "nobody-of-that-name", "nobody has this password"), 401, "bad_credentials")


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"username": "ann"}, "password"),
        ({"password": "correct-horse"}, "username"),
        ({"username": "ann", "password": "correct-horse", "grant_type": "client_credentials"}, "grant_type"),
    ],
)
def test_an_incomplete_form_is_422(house: House, form: dict[str, str], field: str) -> None:
    assert field in fields_of(problem(ask(house, "POST", "/token", data=form), 422, "invalid"))


def test_json_is_no_form(house: House) -> None:
    answer = ask(house, "POST", "/token", json={"username": "ann", "password": "correct-horse"})

    assert fields_of(problem(answer, 422, "invalid")) == {"username", "password"}


def test_a_lone_surrogate_in_a_form_is_no_crash(house: House) -> None:
    """`charset=utf-7` decodes to one where UTF-8 would refuse it."""
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    form = part % (b"username", b"+2AA-") + part % (b"password", b"+2AA-correct") + b"--b--\r\n"

    answer = ask(
        house,
        "POST",
        "/token",
        content=form,
        headers={"Content-Type": "multipart/form-data; boundary=b; charset=utf-7"},
    )

    assert answer.status_code in {400, 401, 422}


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_nul_in_a_form_is_refused(house: House, field: str) -> None:
    form = {"username": "ann", "password": PASSWORD, field: "nul\x00"}

    assert fields_of(problem(ask(house, "POST", "/token", data=form), 422, "invalid")) == {field}


def test_a_failure_of_a_login_always_says_what_oauth_calls_it(strict: House, address: str) -> None:
    incomplete = ask(strict, "POST", "/token", data={"username": "ann"})
    for _ in range(3):
        log_in(strict, "oauth-client", "wrong-horse", address)
    too_many = log_in(strict, "oauth-client", "wrong-horse", address)

    assert (incomplete.status_code, too_many.status_code) == (422, 429)
    assert incomplete.json().get("error") == "invalid_request"
    assert "error" in too_many.json()


def test_ten_failures_a_minute_close_the_account(house: House) -> None:
    ann = house.person("ann")
    for _ in range(10):
        problem(log_in(house, ann.username, "wrong-horse", "192.0.2.1"), 401, "bad_credentials")

    answer = log_in(house, ann.username, "wrong-horse", "192.0.2.1")

    problem(answer, 429, "too_many_requests")
    assert 1 <= int(answer.headers["retry-after"]) <= 6


def test_a_closed_account_refuses_the_right_password_too_and_nobody_elses(strict: House, address: str) -> None:
    ann, bob = strict.person("ann"), strict.person("bob")
    for _ in range(3):
        log_in(strict, ann.username, "wrong-horse", address)

    answer = log_in(strict, ann.username, address=next(ADDRESSES))

    problem(answer, 429, "too_many_requests")
    assert log_in(strict, bob.username, address=address).status_code == 200


def test_an_account_is_closed_however_its_name_is_written(strict: House, address: str) -> None:
    ann = strict.person("ann")
    for name in (ann.username, ann.username.upper(), f" {ann.username}"):
        log_in(strict, name, "wrong-horse", address)

    problem(log_in(strict, ann.username, address=address), 429, "too_many_requests")


def test_an_unknown_account_closes_like_a_known_one(strict: House, address: str) -> None:
    for _ in range(3):
        problem(log_in(strict, "no-account", "wrong-horse", address), 401, "bad_credentials")

    problem(log_in(strict, "no-account", "wrong-horse", address), 429, "too_many_requests")


def test_an_address_with_too_many_failures_is_refused_for_every_account(strict: House, address: str) -> None:
    for number in range(5):
        problem(log_in(strict, f"guess-{number}", "wrong-horse", address), 401, "bad_credentials")
    ann = strict.person("ann")

    problem(log_in(strict, ann.username, address=address), 429, "too_many_requests")
    assert log_in(strict, ann.username, address=next(ADDRESSES)).status_code == 200


def test_logins_that_a_refused_address_tries_do_not_close_an_account(strict: House, address: str) -> None:
    ann = strict.person("ann")
    for number in range(5):
        log_in(strict, f"spray-{number}", "wrong-horse", address)
    for _ in range(4):
        problem(log_in(strict, ann.username, "wrong-horse", address), 429, "too_many_requests")

    assert log_in(strict, ann.username, address=next(ADDRESSES)).status_code == 200


def test_only_failures_count(strict: House, address: str) -> None:
    ann = strict.person("ann")

    answers = [log_in(strict, ann.username, address=address).status_code for _ in range(7)]

    assert answers == [200] * 7


def test_right_passwords_at_once_are_no_failures(strict: House, address: str) -> None:
    ann = strict.person("ann")

    with ThreadPoolExecutor(7) as pool:
        answers = list(pool.map(lambda _: log_in(strict, ann.username, address=address).status_code, range(7)))

    assert answers == [200] * 7


def test_bad_tokens_never_count(strict: House, address: str) -> None:
    ann = strict.person("ann")
    for _ in range(8):
        problem(me(strict, "not.a.token"), 401, "token_invalid")

    assert log_in(strict, ann.username, address="127.0.0.1").status_code == 200


def test_a_refused_scope_is_no_wrong_password(strict: House, address: str) -> None:
    ann = strict.person("ann")
    for _ in range(4):
        problem(log_in(strict, ann.username, address=address, scope="admin"), 401, "invalid_scope")

    assert log_in(strict, ann.username, address=address).status_code == 200
