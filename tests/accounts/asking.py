"""What the tests of the HTTP side share: asking without a login, and reading a refusal."""

from typing import Any

import httpx2

from tests.house import PASSWORD, PATIENCE_S, TLS, House, Person

PROBLEM_FIELDS = {"type", "title", "status", "detail", "code", "request_id"}


def ask(house: House, method: str, path: str, **options: Any) -> httpx2.Response:
    """One request of nobody, or of whoever `headers` say."""
    return httpx2.request(method, house.url + path, timeout=PATIENCE_S, verify=TLS, **options)


def problem(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The problem that the answer must be; RFC 9457 says how it looks."""
    assert response.status_code == status, f"{response.request.url}: {response.status_code} {response.text}"
    assert response.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = response.json()
    assert set(found) >= PROBLEM_FIELDS
    assert (found["status"], found["code"]) == (status, code), found
    assert found["type"] == f"urn:chat-server:error:{code}"
    assert found["request_id"] == response.headers["x-request-id"]
    assert found["title"]
    assert found["detail"]
    return found


def fields_of(found: dict[str, Any]) -> set[str]:
    """The names of the fields that a problem refuses."""
    assert all(set(each) == {"field", "code", "message"} for each in found["errors"]), found
    return {each["field"] for each in found["errors"]}


def register(house: House, username: str, password: str = PASSWORD, **body: Any) -> httpx2.Response:
    asked = {"username": username, "password": password, **body}
    return ask(house, "POST", "/api/v1/auth/register", json=asked)


def log_in(
    house: House, username: str, password: str = PASSWORD, address: str = "127.0.0.1", **form: str
) -> httpx2.Response:
    """OAuth2's password form, from an address that the proxy (this machine) names."""
    headers = {"X-Forwarded-For": address}
    return ask(house, "POST", "/token", data={"username": username, "password": password, **form}, headers=headers)


def refresh(house: House, refresh_token: str) -> httpx2.Response:
    return ask(house, "POST", "/refresh", json={"refresh_token": refresh_token})


def tokens_of(house: House, person: Person, **form: str) -> dict[str, Any]:
    """One more login of somebody: the token answer."""
    answer = log_in(house, person.username, **form)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def me(house: House, credential: str) -> httpx2.Response:
    """What a credential is good for: oneself."""
    return ask(house, "GET", "/api/v1/users/me", headers={"Authorization": f"Bearer {credential}"})
