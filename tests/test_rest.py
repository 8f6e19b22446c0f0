"""What all routes share: problems for errors, the rate limit by address, and the seams that tests may use."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from chat_server import errors, rest
from chat_server.actor import Actor
from chat_server.app import create_app
from chat_server.errors import ChatError, FieldError, Invalid
from chat_server.ids import UserId
from chat_server.rest import SettingsOf, problem
from chat_server.settings import Settings, get_settings
from chat_server.shapes import MemberRole, Scope
from tests.accounts.asking import ask, fields_of, log_in, register
from tests.accounts.asking import problem as refused
from tests.house import API_KEY, PASSWORD, TLS, House, Person, settings_for

NewHouse = Callable[..., House]
VALUES = {"scope": Scope.CHAT, "needed": MemberRole.OWNER, "origin": "https://evil.example"}


def kinds_of(error: type[ChatError]) -> Iterator[type[ChatError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds_of(kind)


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return create_app(settings_for(tmp_path / "data"))


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as found:
        yield found


@pytest.mark.parametrize("error", list(kinds_of(ChatError)), ids=lambda error: error.__name__)
def test_every_error_is_a_problem_with_words(error: type[ChatError]) -> None:
    answer = problem(error(**VALUES), "the-request")

    found = errors_of(answer)
    assert found | {"title": "", "detail": ""} == {
        "type": f"urn:chat-server:error:{error.code}",
        "title": "",
        "status": error.status,
        "detail": "",
        "code": error.code,
        "request_id": "the-request",
    }
    assert answer.status_code == error.status
    assert answer.media_type == "application/problem+json"
    assert len(found["title"]) > 5
    assert "{" not in found["title"] + found["detail"]
    assert ("retry-after" in answer.headers) is (error.status in {429, 503} and issubclass(error, RETRIED))


RETRIED = (errors.TooManyRequests, errors.Unavailable)


def errors_of(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.Response(200, content=answer.body).json()
    return found


@pytest.mark.parametrize(("asked", "told"), [(None, "1"), (0.2, "1"), (3.4, "3"), (59.9, "60")])
def test_retry_after_is_whole_seconds_and_never_0(asked: float | None, told: str) -> None:
    assert problem(errors.TooManyRequests(retry_after_s=asked), "").headers["retry-after"] == told


def test_refused_fields_are_listed() -> None:
    fields = (FieldError(field="mentions.user_ids.0", code="string_type", message="Input should be a string"),)

    found = errors_of(problem(Invalid(fields=fields), ""))

    assert found["errors"] == [
        {"field": "mentions.user_ids.0", "code": "string_type", "message": "Input should be a string"}
    ]


# What is asked, and the problem that answers it.
REFUSALS: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/api/v1/nowhere", {}, 404, "not_found"),
    ("GET", "/api/nowhere", {}, 404, "not_found"),
    ("GET", "/nowhere", {}, 404, "not_found"),
    ("GET", "/%00", {}, 404, "not_found"),
    ("GET", "/" + "x" * 3000, {}, 404, "not_found"),
    ("GET", "/../pyproject.toml", {}, 404, "not_found"),
    ("GET", "/%2e%2e/pyproject.toml", {}, 404, "not_found"),
    ("GET", "/..%2fpyproject.toml", {}, 404, "not_found"),
    ("POST", "/", {}, 405, "method_not_allowed"),
    ("POST", "/livez", {}, 405, "method_not_allowed"),
    ("PUT", "/token", {}, 405, "method_not_allowed"),
    ("PATCH", "/api/v1/rooms", {}, 405, "method_not_allowed"),
    ("OPTIONS", "/api/v1/rooms", {}, 405, "method_not_allowed"),
    ("GET", "/ws", {}, 404, "not_found"),
    ("GET", "/api/v1/rooms", {}, 401, "unauthorized"),
    ("GET", "/api/v1/rooms", {"headers": {"Authorization": "Bearer x"}}, 401, "token_invalid"),
    ("POST", "/api/publish", {"json": {"channel": "live:x", "data": 1}}, 401, "unauthorized"),
    ("POST", "/api/v1/auth/register", {"content": b"{"}, 422, "invalid"),
    ("POST", "/api/v1/auth/register", {"json": []}, 422, "invalid"),
    ("POST", "/api/v1/auth/register", {"content": b"x" * 300_000}, 413, "too_large"),
    ("GET", "/sse", {}, 401, "unauthorized"),
    ("GET", "/sse?token=x", {}, 401, "token_invalid"),
]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    REFUSALS,
    ids=[f"{row[0]} {row[1][:30]} {row[4]}" for row in REFUSALS],
)
def test_a_refusal_is_a_problem(
    house: House, method: str, path: str, options: dict[str, Any], status: int, code: str
) -> None:
    refused(ask(house, method, path, **options), status, code)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_of_another_type_is_refused(house: House, content_type: str) -> None:
    body = {"username": "typed", "password": PASSWORD}

    answer = ask(
        house,
        "POST",
        "/api/v1/auth/register",
        content=httpx2.Request("POST", house.url, json=body).content,
        headers={"Content-Type": content_type} if content_type else {},
    )

    assert answer.status_code in {415, 422}
    refused(answer, answer.status_code, answer.json()["code"])


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/vnd.api+json", "APPLICATION/JSON"]
)
def test_a_body_of_a_json_type_is_read(house: House, content_type: str) -> None:
    answer = ask(
        house, "POST", "/api/v1/auth/register", content=b'{"username": 7}', headers={"Content-Type": content_type}
    )

    assert fields_of(refused(answer, 422, "invalid")) == {"username", "password"}


def test_a_refusal_never_repeats_what_was_sent(house: House) -> None:
    answer = register(house, "canary user", "canary!", canary="canary")

    refused(answer, 422, "invalid")
    assert answer.text.count("canary") == 1  # the unknown field's name


def test_a_crash_is_a_500_that_says_nothing_of_its_cause(app: FastAPI, client: TestClient) -> None:
    async def crash() -> None:
        raise RuntimeError("canary of the crash")

    app.add_api_route("/api/v1/crash", crash)

    answer = client.get("/api/v1/crash", headers={"X-Request-ID": "the-crash-1"})

    refused(answer, 500, "internal_error")
    assert answer.json()["request_id"] == "the-crash-1"
    assert "canary" not in answer.text
    assert client.get("/livez").status_code == 200


def test_a_chat_error_from_anywhere_is_its_problem(app: FastAPI, client: TestClient) -> None:
    async def full() -> None:
        raise errors.StoreUnavailable(retry_after_s=7.0)

    app.add_api_route("/api/v1/full", full)

    answer = client.get("/api/v1/full")

    refused(answer, 503, "store_unavailable")
    assert answer.headers["retry-after"] == "7"


def test_an_address_over_its_rate_is_told_when_to_come_back(new_house: NewHouse) -> None:
    house = new_house(rate_http="3/h")
    ann = house.person("ann")
    answers = [ann.http.get("/api/v1/users/me") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    refused(answers[3], 429, "too_many_requests")
    assert 1000 <= int(answers[3].headers["retry-after"]) <= 1200
    elsewhere = ann.http.get("/api/v1/users/me", headers={"X-Forwarded-For": "198.51.100.7"})
    assert elsewhere.status_code == 200


def test_the_rate_spares_probes_pages_sockets_and_back_ends(new_house: NewHouse) -> None:
    house = new_house(rate_http="1/h")
    ann = house.person("ann")
    ann.get("/api/v1/users/me")
    refused(ann.http.get("/api/v1/users/me"), 429, "too_many_requests")

    for path in ("/livez", "/readyz", "/healthz", "/metrics", "/"):
        assert [ask(house, "GET", path).status_code for _ in range(3)] == [200] * 3
    assert "result" in house.api("info")
    for _ in range(2):
        with ann.wire() as wire:
            assert wire.rpc("users.me")["id"] == ann.id


def test_an_empty_bucket_refuses_before_anything_is_read(new_house: NewHouse) -> None:
    house = new_house(rate_http="1/h")
    ask(house, "GET", "/api/v1/users/me")

    for method, path, options in (
        ("POST", "/token", {"data": {"username": "ann", "password": PASSWORD}}),
        ("POST", "/api/v1/auth/register", {"json": {}}),
        ("GET", "/sse", {}),
    ):
        refused(ask(house, method, path, **options), 429, "too_many_requests")


def test_a_rate_of_0_is_none(new_house: NewHouse) -> None:
    house = new_house(rate_http="0", rate_login="0")

    assert {ask(house, "GET", "/api/v1/users/me").status_code for _ in range(30)} == {401}
    assert {log_in(house, "nobody").status_code for _ in range(11)} == {401}


def test_a_list_links_to_its_neighbours_under_the_address_that_was_asked(house: House, ann: Person) -> None:
    for number in range(2):
        ann.room(str(number))

    answer = ann.http.get("/api/v1/rooms?limit=1&scope=mine", headers={"Host": "chat.example.org"})

    assert answer.headers["link"].startswith("<http://chat.example.org/api/v1/rooms?")
    assert "scope=mine" in answer.headers["link"]


def test_an_optional_field_that_is_not_told_is_left_out(ann: Person, bob: Person) -> None:
    """`null` would say that a stranger has no role; that it is missing says that nobody told."""
    room_id = ann.room()

    mine = ann.patch(f"/api/v1/rooms/{room_id}", {"topic": "New"})
    theirs = bob.get(f"/api/v1/rooms/{room_id}")

    assert {"role", "unread", "last_read_seq"} <= set(mine)
    assert not {"role", "unread", "last_read_seq"} & set(theirs)
    assert "email" not in bob.get(f"/api/v1/users/{ann.id}")
    assert ann.patch("/api/v1/users/me", {"display_name": "Ann"})["email"] is None


def test_the_test_client_speaks_both_http_and_websocket(client: TestClient) -> None:
    credentials = {"username": "ann", "password": PASSWORD}
    made = client.post("/api/v1/auth/register", json=credentials)
    token = client.post("/token", data=credentials).json()["access_token"]
    room = client.post("/api/v1/rooms", json={"name": "x"}, headers={"Authorization": f"Bearer {token}"}).json()

    with client.websocket_connect(f"/ws?token={token}") as socket:
        socket.send_json({"id": 1, "connect": {}})
        connected = socket.receive_json()
        body = {"room_id": room["id"], "text": "hello"}
        socket.send_json({"id": 2, "rpc": {"method": "messages.post", "data": body}})
        posted = socket.receive_json()

    assert made.status_code == 201
    assert connected["connect"]["data"]["user"] == made.json() | {"email": None}
    assert posted["rpc"]["data"]["text"] == "hello"


def test_an_async_client_speaks_to_the_app_without_a_server(app: FastAPI) -> None:
    async def talk() -> list[int]:
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://test", verify=TLS) as client,
        ):
            credentials = {"username": "ann", "password": PASSWORD}
            made = await client.post("/api/v1/auth/register", json=credentials)
            token = (await client.post("/token", data=credentials)).json()["access_token"]
            me = await client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})
            missing = await client.get("/api/v1/nowhere")
            return [made.status_code, me.status_code, missing.status_code]

    assert asyncio.run(talk()) == [201, 200, 404]


def test_a_fake_actor_needs_no_credential_and_still_its_scopes(app: FastAPI, client: TestClient) -> None:
    credentials = {"username": "ann", "password": PASSWORD}
    user_id = client.post("/api/v1/auth/register", json=credentials).json()["id"]
    app.dependency_overrides[rest.actor] = lambda: Actor(user_id=UserId(user_id), scopes=frozenset({Scope.CHAT}))

    assert client.get("/api/v1/users/me").json()["id"] == user_id
    assert client.post("/api/v1/rooms", json={"name": "x"}).status_code == 201
    refused(client.get("/api/v1/bots"), 403, "insufficient_scope")


def test_a_route_gets_the_settings_of_its_app_or_a_tests_own(app: FastAPI, client: TestClient, tmp_path: Path) -> None:
    async def shown(settings: SettingsOf) -> dict[str, str]:
        return {"registration": settings.registration}

    app.add_api_route("/shown", shown)

    assert client.get("/shown").json() == {"registration": "open"}
    app.dependency_overrides[get_settings] = lambda: settings_for(tmp_path, registration="closed")
    assert client.get("/shown").json() == {"registration": "closed"}


def test_overridden_settings_count_for_the_apps_own_routes(tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path / "data"))
    closed: Settings = settings_for(tmp_path / "data", registration="closed")
    app.dependency_overrides[get_settings] = lambda: closed

    with TestClient(app) as client:
        answer = client.post("/api/v1/auth/register", json={"username": "ann", "password": PASSWORD})

    refused(answer, 403, "registration_closed")


def test_the_server_api_takes_its_key_in_either_header(house: House) -> None:
    for headers in ({"X-API-Key": API_KEY}, {"Authorization": f"apikey {API_KEY}"}):
        assert "result" in ask(house, "POST", "/api/info", json={}, headers=headers).json()
    for headers in ({}, {"X-API-Key": API_KEY + "x"}, {"X-API-Key": ""}, {"Authorization": f"Bearer {API_KEY}"}):
        refused(ask(house, "POST", "/api/info", json={}, headers=headers), 401, "unauthorized")


def test_without_the_setting_nobody_has_the_server_apis_key(new_house: NewHouse) -> None:
    house = new_house(api_key=None)

    for key in ("", "None", "null"):
        refused(ask(house, "POST", "/api/info", json={}, headers={"X-API-Key": key}), 401, "unauthorized")
