"""Scopes: each route asks for its own, the table is the OpenAPI description, and a token without it gets 403."""

from typing import Any

import httpx2
import pytest

from chat_server.accounts.identity import Identity
from chat_server.app import create_app
from chat_server.shapes import Role, Scope
from tests.accounts.asking import problem
from tests.house import House, Person, settings_for

# What each route needs. A route that is not here fails the test below: decide its scope, then write it down.
NO_SCOPE = """
POST /api/v1/auth/cookie
POST /api/v1/auth/logout
GET /api/v1/auth/sessions
DELETE /api/v1/auth/sessions/{session_id}
POST /api/v1/auth/tickets
GET /api/v1/users/me
GET /api/v1/topics
GET /api/v1/topics/{name}
"""
ADMIN = """
POST /api/v1/invites
PATCH /api/v1/users/{user_id}
POST /api/v1/bots
GET /api/v1/bots
POST /api/v1/bots/{bot_id}/keys
DELETE /api/v1/bots/{bot_id}/keys/{key_id}
"""
NOTIFY = """
POST /api/v1/notifications
PUT /api/v1/topics/{name}
"""
CHAT = """
PATCH /api/v1/users/me
POST /api/v1/users/me/password
GET /api/v1/users
GET /api/v1/users/{user_id}
POST /api/v1/rooms
GET /api/v1/rooms
GET /api/v1/rooms/{room_id}
PATCH /api/v1/rooms/{room_id}
DELETE /api/v1/rooms/{room_id}
POST /api/v1/rooms/{room_id}/join
POST /api/v1/rooms/{room_id}/leave
GET /api/v1/rooms/{room_id}/members
GET /api/v1/rooms/{room_id}/members/{user_id}
PUT /api/v1/rooms/{room_id}/members/{user_id}
DELETE /api/v1/rooms/{room_id}/members/{user_id}
POST /api/v1/direct
POST /api/v1/rooms/{room_id}/messages
GET /api/v1/rooms/{room_id}/messages
GET /api/v1/rooms/{room_id}/messages/{message_id}
PATCH /api/v1/rooms/{room_id}/messages/{message_id}
DELETE /api/v1/rooms/{room_id}/messages/{message_id}
POST /api/v1/rooms/{room_id}/read
GET /api/v1/rooms/{room_id}/presence
GET /api/v1/notifications
PATCH /api/v1/notifications/{notification_id}
POST /api/v1/notifications/read-all
"""
WANTED: dict[str, list[str]] = {
    route: scopes
    for table, scopes in ((NO_SCOPE, []), (ADMIN, ["admin"]), (NOTIFY, ["notify:publish"]), (CHAT, ["chat"]))
    for route in table.split("\n")
    if route
}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The OpenAPI operations by `METHOD path`."""
    paths = create_app(settings_for(tmp_path_factory.mktemp("described"))).openapi()["paths"]
    return {f"{method.upper()} {path}": op for path, methods in paths.items() for method, op in methods.items()}


@pytest.fixture(scope="module")
def holder(house: House) -> Person:
    return house.person("olga", Role.OWNER)


def with_scopes(house: House, holder: Person, scopes: set[Scope]) -> httpx2.Client:
    identity: Identity = house.app.state.identity
    token = identity.tokens.access(holder.id, holder.session_id, scopes, 900)  # type: ignore[arg-type]
    return Person(house.url, holder.id, holder.username, token).http


def test_every_route_with_a_login_names_its_scope(described: dict[str, Any]) -> None:
    found = {
        route: scopes
        for route, operation in described.items()
        for security in operation.get("security", [])
        for scopes in security.values()
    }

    assert found == WANTED


@pytest.mark.parametrize("route", [route for route, scopes in WANTED.items() if scopes])
def test_a_token_without_the_scope_is_refused_and_told_which(house: House, holder: Person, route: str) -> None:
    method, path = route.split()
    (needed,) = WANTED[route]
    others = set(Scope) - {Scope(needed)} - ({Scope.ADMIN} if needed == "notify:publish" else set())
    client = with_scopes(house, holder, others)

    answer = client.request(method, path, **({"json": {}} if method in {"POST", "PUT", "PATCH"} else {}))

    found = problem(answer, 403, "insufficient_scope")
    assert needed in found["detail"]
    assert answer.headers["www-authenticate"] == f'Bearer error="insufficient_scope", scope="{needed}"'


@pytest.mark.parametrize("path", ["/api/v1/users/me", "/api/v1/auth/sessions", "/api/v1/topics"])
def test_a_token_without_any_scope_sees_oneself(house: House, path: str) -> None:
    ann = house.person("ann")

    assert with_scopes(house, ann, set()).get(path).status_code == 200


def test_a_token_without_any_scope_ends_its_own_login(house: House) -> None:
    ann = house.person("ann")

    assert with_scopes(house, ann, set()).post("/api/v1/auth/logout").status_code == 204
    problem(ann.http.get("/api/v1/users/me"), 401, "session_revoked")


def test_admin_includes_publishing_notifications(house: House, holder: Person) -> None:
    client = with_scopes(house, holder, {Scope.ADMIN})

    answer = client.post("/api/v1/notifications", json={"topic": "deploys", "text": "done"})

    assert answer.status_code == 201


def test_publishing_notifications_includes_nothing_else(house: House, holder: Person) -> None:
    client = with_scopes(house, holder, {Scope.NOTIFY})

    problem(client.get("/api/v1/rooms"), 403, "insufficient_scope")
    problem(client.get("/api/v1/bots"), 403, "insufficient_scope")


def test_the_stream_scope_opens_streams_and_the_chat_scope_does_not(house: House, holder: Person) -> None:
    with with_scopes(house, holder, {Scope.STREAM}).stream("GET", "/sse") as answer:
        assert answer.status_code == 200
    problem(with_scopes(house, holder, {Scope.CHAT}).get("/sse"), 403, "insufficient_scope")


def test_a_scope_that_this_version_does_not_know_grants_nothing(house: House, holder: Person) -> None:
    identity: Identity = house.app.state.identity
    token = identity.tokens.access(holder.id, holder.session_id, ["chat:all", "*"], 900)  # type: ignore[arg-type]
    client = Person(house.url, holder.id, holder.username, token).http

    problem(client.get("/api/v1/rooms"), 403, "insufficient_scope")
