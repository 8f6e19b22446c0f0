"""The cookie: how it is set, that only our own pages use it, and that only /ws, /sse and /refresh read it."""

from collections.abc import Iterator
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from tests.accounts.asking import ask, log_in, me, problem
from tests.house import TLS, House, Person, Wire, house_with

APP = "https://app.example.org"


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server that lets pages of another origin in."""
    with house_with(tmp_path_factory.mktemp("friendly") / "data", allowed_origins=(APP,)) as found:
        yield found


def morsel_of(answer: httpx2.Response) -> Morsel[str]:
    """The one cookie that an answer sets."""
    assert len(answer.headers.get_list("set-cookie")) == 1
    (found,) = SimpleCookie(answer.headers["set-cookie"]).values()
    return found


def cookie_of(person: Person) -> dict[str, str]:
    """The header with which the person's browser comes back."""
    answer = person.http.post("/api/v1/auth/cookie")
    assert answer.status_code == 204, answer.text
    found = morsel_of(answer)
    person.http.cookies.clear()
    return {"Cookie": f"{found.key}={found.value}"}


def origin_of(house: House) -> dict[str, str]:
    return {"Origin": house.url}


def test_on_loopback_the_cookie_is_called_chat_and_no_script_reads_it(ann: Person) -> None:
    answer = ann.http.post("/api/v1/auth/cookie")

    found = morsel_of(answer)
    assert (found.key, found["path"], found["samesite"].lower()) == ("chat", "/", "strict")
    assert found["httponly"] is True
    assert not found["secure"]
    assert not found["domain"]
    assert 86_340 < int(found["max-age"]) <= 86_400  # what is left of the login


def test_over_tls_the_cookie_is_bound_to_the_host(ann: Person) -> None:
    answer = ann.http.post("/api/v1/auth/cookie", headers={"X-Forwarded-Proto": "https"})

    found = morsel_of(answer)
    assert (found.key, found["path"], found["secure"], found["domain"]) == ("__Host-chat", "/", True, "")


def test_the_cookie_refreshes_without_a_body(house: House, ann: Person) -> None:
    cookie = cookie_of(ann)

    answer = ask(house, "POST", "/refresh", headers=cookie | origin_of(house))

    found = answer.json()
    assert answer.status_code == 200
    assert found["refresh_token"] is None
    assert found["scope"] == "chat stream"
    assert me(house, found["access_token"]).json()["id"] == ann.id
    assert morsel_of(answer).key == "chat"


def test_a_refresh_by_cookie_leaves_the_refresh_token_of_the_login_good(house: House, ann: Person) -> None:
    tokens = log_in(house, ann.username).json()
    login = Person(house.url, ann.id, ann.username, tokens["access_token"])
    ask(house, "POST", "/refresh", headers=cookie_of(login) | origin_of(house))

    answer = ask(house, "POST", "/refresh", json={"refresh_token": tokens["refresh_token"]})

    assert answer.status_code == 200


def test_the_cookie_opens_a_stream(house: House, ann: Person) -> None:
    headers = cookie_of(ann) | {"Sec-Fetch-Site": "same-origin"}

    with httpx2.stream("GET", f"{house.url}/sse", headers=headers, verify=TLS) as answer:
        assert answer.status_code == 200


def test_the_cookie_opens_a_socket(house: House, ann: Person) -> None:
    headers = cookie_of(ann)

    with Wire(ann.socket_url, additional_headers=headers, origin=house.url) as wire:  # type: ignore[arg-type]
        assert wire.connect()["data"]["user"]["id"] == ann.id


def test_a_socket_of_a_foreign_page_is_refused(house: House, ann: Person) -> None:
    headers = cookie_of(ann)

    with pytest.raises(InvalidStatus) as refused:
        Wire(ann.socket_url, additional_headers=headers, origin="https://evil.example")  # type: ignore[arg-type]

    assert refused.value.response.status_code == 403


def test_no_other_path_reads_the_cookie(house: House, ann: Person) -> None:
    headers = cookie_of(ann) | origin_of(house) | {"Sec-Fetch-Site": "same-origin"}
    paths: dict[str, Any] = house.app.openapi()["paths"]

    answers = {
        f"{method} {path}": ask(house, method.upper(), path.replace("{", "").replace("}", ""), headers=headers)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if "security" in operation
    }

    assert len(answers) > 30
    assert {name for name, answer in answers.items() if answer.status_code != 401} == set()
    assert all(not answer.headers.get("set-cookie") for answer in answers.values())


FOREIGN = [
    "https://evil.example",
    "null",
    "http://127.0.0.1.evil.example",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://localhost",
    "",
    "HTTP://127.0.0.1",
]


@pytest.mark.parametrize("origin", FOREIGN)
def test_a_page_of_a_foreign_origin_does_not_refresh(house: House, ann: Person, origin: str) -> None:
    answer = ask(house, "POST", "/refresh", headers=cookie_of(ann) | {"Origin": origin})

    problem(answer, 403, "origin_not_allowed")


@pytest.mark.parametrize("origin", [*FOREIGN, "https://127.0.0.1:{port}", "http://evil.example:{port}"])
def test_a_page_of_a_foreign_origin_opens_no_stream(house: House, ann: Person, origin: str) -> None:
    headers = cookie_of(ann) | {"Origin": origin.format(port=house.port)}

    problem(ask(house, "GET", "/sse", headers=headers), 403, "origin_not_allowed")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", "Same-Origin", ""])
def test_without_an_origin_only_the_servers_own_page_refreshes(house: House, ann: Person, site: str) -> None:
    cookie = cookie_of(ann)

    problem(ask(house, "POST", "/refresh", headers=cookie | {"Sec-Fetch-Site": site}), 403, "origin_not_allowed")
    problem(ask(house, "POST", "/refresh", headers=cookie), 403, "origin_not_allowed")
    own = ask(house, "POST", "/refresh", headers=cookie | {"Sec-Fetch-Site": "same-origin"})
    assert own.status_code == 200


def test_the_origin_counts_more_than_what_the_browser_says_of_the_site(house: House, ann: Person) -> None:
    headers = cookie_of(ann) | {"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}

    problem(ask(house, "POST", "/refresh", headers=headers), 403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (APP, 200),
        ("https://app.example.org.evil.example", 403),
        ("https://evil-app.example.org", 403),
        ("https://app.example.org:8443", 403),
        ("http://app.example.org", 403),
        ("https://app.example.org/", 403),
        ("https://APP.example.org", 403),
    ],
)
def test_an_allowed_origin_is_that_origin_exactly(friendly: House, origin: str, status: int) -> None:
    ann = friendly.person("ann")

    answer = ask(friendly, "POST", "/refresh", headers=cookie_of(ann) | {"Origin": origin})

    assert answer.status_code == status


def test_a_logout_takes_the_cookie_away_and_ends_it(house: House, ann: Person) -> None:
    cookie = cookie_of(ann)

    answer = ann.http.post("/api/v1/auth/logout")

    found = morsel_of(answer)
    assert (found.key, found.value, found["max-age"]) == ("chat", "", "0")
    problem(ask(house, "POST", "/refresh", headers=cookie | origin_of(house)), 401, "session_revoked")
    assert ask(house, "GET", "/sse", headers=cookie | origin_of(house)).status_code == 204


def test_a_forged_cookie_is_401(house: House, ann: Person) -> None:
    for value in ("x", "a.b.c", ann.token):
        answer = ask(house, "POST", "/refresh", headers={"Cookie": f"chat={value}"} | origin_of(house))
        problem(answer, 401, "token_invalid")


def test_an_api_key_holds_no_login_so_it_gets_no_cookie(house: House, owner: Person) -> None:
    bot = owner.post("/api/v1/bots", {"username": "cookie-monster"})
    key = owner.post(f"/api/v1/bots/{bot['id']}/keys", {})["key"]

    answer = ask(house, "POST", "/api/v1/auth/cookie", headers={"Authorization": f"Bearer {key}"})

    problem(answer, 403, "forbidden")
    assert "set-cookie" not in answer.headers
