"""The layers around every request: ids and timing, origins, hosts, HTTPS, body sizes, headers against abuse."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from chat_server import app as app_module
from chat_server.app import create_app
from chat_server.settings import Settings
from tests.accounts.asking import ask, problem
from tests.house import House, Person, house_with, settings_for

NewHouse = Callable[..., House]
APP = "https://app.example.org"
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server with an allowed origin, small bodies and few requests a second for one address."""
    data_dir = tmp_path_factory.mktemp("friendly") / "data"
    with house_with(data_dir, allowed_origins=(APP, "http://localhost:5173"), body_bytes=2048) as found:
        yield found


def served(tmp_path: Path, **changes: Any) -> TestClient:
    """An application with a route that crashes, in process."""
    app: FastAPI = create_app(settings_for(tmp_path / "data", **changes))

    async def crash() -> None:
        raise RuntimeError("crash")

    app.add_api_route("/api/v1/crash", crash)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., TestClient]]:
    """Applications in process, one for each set of changes: `serving(https_redirect=True)`."""
    made: dict[str, TestClient] = {}
    with ExitStack() as stack:

        def client(**changes: Any) -> TestClient:
            key = repr(sorted(changes.items()))
            if key not in made:
                made[key] = stack.enter_context(served(tmp_path_factory.mktemp("served"), **changes))
            return made[key]

        yield client


@pytest.mark.parametrize("asked", ["12345678", "a" * 64, "Trace-1.2_x-7890", "0af7651916cd43dd8448eb211c80319c"])
def test_a_clients_request_id_is_kept(house: House, asked: str) -> None:
    answer = ask(house, "GET", "/api/v1/nowhere", headers={"X-Request-ID": asked})

    assert answer.headers["x-request-id"] == asked
    assert answer.json()["request_id"] == asked


@pytest.mark.parametrize(
    "asked", ["", "short", "a" * 65, "with blank 1", "<script>alert(1)", "id=12345678;x", "ünïcödé-1"]
)
def test_another_one_is_made_anew(house: House, asked: str) -> None:
    headers = [(b"X-Request-ID", asked.encode("latin-1"))]

    first, second = (ask(house, "GET", "/livez", headers=headers).headers["x-request-id"] for _ in range(2))

    assert first != second
    assert asked not in {first, second}
    assert re.fullmatch(r"[0-9a-z]{20,64}", first)


@pytest.mark.parametrize(("path", "status"), [("/livez", 200), ("/", 200), ("/nowhere", 404), ("/api/v1/rooms", 401)])
def test_every_answer_says_how_long_it_took(house: House, path: str, status: int) -> None:
    answer = ask(house, "GET", path)

    assert answer.status_code == status
    assert re.fullmatch(r"\d+\.\d{6}", answer.headers["x-process-time"])
    assert "server" not in answer.headers


# Every kind of answer, by how to get it: settings, method, path, options, the status.
ANSWERS: list[tuple[dict[str, Any], str, str, dict[str, Any], int]] = [
    ({}, "GET", "/", {}, 200),
    ({}, "GET", "/livez", {}, 200),
    ({}, "GET", "/docs", {}, 200),
    ({}, "GET", "/openapi.json", {}, 200),
    ({}, "GET", "/api/v1/rooms", {}, 401),
    ({}, "GET", "/nowhere", {}, 404),
    ({}, "POST", "/livez", {}, 405),
    ({}, "POST", "/api/v1/auth/register", {"content": b"x" * 300_000}, 413),
    ({}, "POST", "/api/v1/auth/register", {"json": {}}, 422),
    ({"rate_http": "1/h"}, "GET", "/api/v1/rooms", {}, 429),
    ({}, "GET", "/api/v1/crash", {}, 500),
    ({"trusted_hosts": ("chat.example.org",)}, "GET", "/", {}, 400),
    ({"https_redirect": True}, "GET", "/", {}, 307),
    ({"allowed_origins": (APP,)}, "GET", "/", {"headers": {"Origin": APP}}, 200),
]


@pytest.mark.parametrize(
    ("changes", "method", "path", "options", "status"), ANSWERS, ids=[str(row[4]) + row[2] for row in ANSWERS]
)
def test_every_answer_is_guarded_and_has_an_id(
    serving: Callable[..., TestClient],
    changes: dict[str, Any],
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
) -> None:
    client = serving(**changes)
    if status == 429:
        client.get(path)

    answer = client.request(method, path, follow_redirects=False, **options)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-request-id"]
    assert answer.headers["x-process-time"]


def test_a_page_runs_its_own_scripts_and_sockets_only(house: House) -> None:
    policy = ask(house, "GET", "/").headers["content-security-policy"]

    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["style-src"] == "'self'"
    assert rules["connect-src"] == f"'self' ws://127.0.0.1:{house.port} wss://127.0.0.1:{house.port}"
    assert (rules["base-uri"], rules["form-action"], rules["frame-ancestors"]) == ("'none'", "'self'", "'none'")
    assert rules["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in policy
    assert "*" not in policy


@pytest.mark.parametrize("host", ["evil.example; script-src *", "a b", "<x>", "x" * 300, "a,b"])
def test_a_strange_host_does_not_get_into_the_policy(house: House, host: str) -> None:
    policy = ask(house, "GET", "/livez", headers={"Host": host}).headers["content-security-policy"]

    assert "connect-src 'self';" in policy
    assert host not in policy


def test_answers_with_somebodys_things_stay_out_of_caches(house: House, ann: Person) -> None:
    for path in ("/api/v1/users/me", "/api/v1/rooms", "/api/v1/nowhere"):
        assert ann.http.get(path).headers["cache-control"] == "no-store"
    assert ask(house, "GET", "/").headers["cache-control"] == "no-cache"


def test_https_is_made_sticky_where_the_server_speaks_it(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("tls_cert", "tls_key")}

    with served(tmp_path, **files) as client:
        assert client.get("/livez").headers["strict-transport-security"].startswith("max-age=")
    with served(tmp_path / "plain") as client:
        assert "strict-transport-security" not in client.get("/livez").headers


def preflight(house: House, origin: str, method: str = "POST", headers: str = "authorization") -> httpx2.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return ask(house, "OPTIONS", "/api/v1/rooms", headers=asked)


@pytest.mark.parametrize("origin", [APP, "http://localhost:5173"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_page_of_an_allowed_origin_may_ask(friendly: House, origin: str, method: str) -> None:
    answer = preflight(friendly, origin, method, "authorization, content-type, idempotency-key, x-request-id")

    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert method in answer.headers["access-control-allow-methods"]
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://app.example.org.evil.example",
        "https://evil-app.example.org",
        "http://app.example.org",
        "https://app.example.org:444",
        "https://APP.EXAMPLE.ORG",
        "http://localhost",
        "*",
    ],
)
def test_a_page_of_another_origin_may_not(friendly: House, origin: str) -> None:
    asked = preflight(friendly, origin)
    done = ask(friendly, "GET", "/livez", headers={"Origin": origin})

    assert asked.status_code == 400
    for answer in (asked, done):
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "headers"), [("TRACE", ""), ("CONNECT", ""), ("POST", "x-api-key"), ("POST", "cookie")]
)
def test_an_allowed_origin_may_not_do_everything(friendly: House, method: str, headers: str) -> None:
    assert preflight(friendly, APP, method, headers).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"), [("/livez", 200), ("/api/v1/rooms", 401), ("/api/v1/nowhere", 404), ("/sse", 401)]
)
def test_a_page_of_an_allowed_origin_reads_every_answer(friendly: House, path: str, status: int) -> None:
    answer = ask(friendly, "GET", path, headers={"Origin": APP})

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, APP)
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert {"x-request-id", "retry-after", "link", "idempotency-replayed"} <= set(exposed.split(", "))


def test_a_page_of_an_allowed_origin_reads_a_crash_too(tmp_path: Path) -> None:
    with served(tmp_path, allowed_origins=(APP,)) as client:
        answer = client.get("/api/v1/crash", headers={"Origin": APP})

    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (500, APP)


def test_without_allowed_origins_no_page_but_our_own_may(house: House) -> None:
    for origin in (APP, house.url, "null"):
        assert "access-control-allow-origin" not in preflight(house, origin).headers
        assert "access-control-allow-origin" not in ask(house, "GET", "/livez", headers={"Origin": origin}).headers


def test_pages_are_compressed_and_answers_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is compressed beside what a stranger chose can be guessed by the length."""
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "index.html").write_text("<!doctype html><title>x</title>" + "words " * 500)
    monkeypatch.setattr(app_module, "static_directory", lambda: pages)

    with served(tmp_path) as client:
        page = client.get("/", headers={"Accept-Encoding": "gzip"})
        plain = client.get("/", headers={"Accept-Encoding": "identity"})
        answer = client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})

    assert page.headers["content-encoding"] == "gzip"
    assert page.text == plain.text
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in answer.headers
    assert len(answer.content) > 500


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("chat.example.org", 200),
        ("chat.example.org:8443", 200),
        ("deep.example.net", 200),
        ("example.org", 400),
        ("evil.example", 400),
        ("chat.example.org.evil.example", 400),
        ("127.0.0.1", 400),
    ],
)
def test_only_trusted_hosts_are_served(serving: Callable[..., TestClient], host: str, status: int) -> None:
    client = serving(trusted_hosts=("chat.example.org", "*.example.net"))

    answer = client.get("/livez", headers={"Host": host})

    assert answer.status_code == status


def test_another_host_is_a_problem(new_house: NewHouse) -> None:
    house = new_house(trusted_hosts=("chat.example.org",))

    answer = ask(house, "GET", "/api/v1/rooms")

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


def test_plain_http_is_sent_to_https(serving: Callable[..., TestClient]) -> None:
    client = serving(https_redirect=True)

    answer = client.get("/api/v1/rooms?limit=1", headers={"Host": "chat.example.org"}, follow_redirects=False)

    assert answer.status_code == 307
    assert answer.headers["location"] == "https://chat.example.org/api/v1/rooms?limit=1"


def test_behind_a_proxy_with_tls_nothing_is_redirected(new_house: NewHouse) -> None:
    house = new_house(https_redirect=True)

    assert ask(house, "GET", "/livez").status_code == 307
    assert ask(house, "GET", "/livez", headers={"X-Forwarded-Proto": "https"}).status_code == 200


def test_a_redirect_does_not_carry_a_token_along(serving: Callable[..., TestClient]) -> None:
    answer = serving(https_redirect=True).get("/sse?token=canary-token", follow_redirects=False)

    assert "canary-token" not in str(answer.headers)


def chunks(size: int) -> Iterator[bytes]:
    yield b'{"username": "'
    for _ in range(size // 512):
        yield b"x" * 512
    yield b'"}'


@pytest.mark.parametrize("path", ["/api/v1/auth/register", "/token", "/refresh", "/api/v1/auth/setup"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_over_the_limit_is_413(friendly: House, path: str, is_chunked: bool) -> None:
    content_type = "application/x-www-form-urlencoded" if path == "/token" else "application/json"
    body: Any = chunks(4096) if is_chunked else b"x" * 2049

    answer = ask(friendly, "POST", path, content=body, headers={"Content-Type": content_type})

    problem(answer, 413, "too_large")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_up_to_the_limit_is_read(friendly: House, is_chunked: bool) -> None:
    body = b'{"username": "' + b"x" * (2048 - 16) + b'"}'
    assert len(body) == 2048

    content: Any = iter([body[:1000], body[1000:]]) if is_chunked else body
    answer = ask(
        friendly, "POST", "/api/v1/auth/register", content=content, headers={"Content-Type": "application/json"}
    )

    problem(answer, 422, "invalid")


@pytest.mark.parametrize("length", ["-1", "1e3", "0x10", "99999999999999999999", "\xb2", "", "1, 1"])
def test_a_length_that_is_none_is_refused(friendly: House, length: str) -> None:
    with socket.create_connection(("127.0.0.1", friendly.port), timeout=10) as connection:
        request = (
            f"POST /api/v1/auth/register HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )
        connection.sendall(request.encode("latin-1") + b"{}")
        answer = connection.makefile("rb").readline()

    assert answer.split()[1] in {b"400", b"413", b"422"}


def test_the_settings_bound_a_body_out_of_the_box() -> None:
    assert Settings.model_fields["body_bytes"].default == 256 * 1024


@pytest.mark.parametrize(
    ("proxies", "wanted"), [(("127.0.0.1",), "203.0.113.9"), (("10.0.0.1",), "127.0.0.1"), ((), "127.0.0.1")]
)
def test_only_a_trusted_proxy_says_whose_request_it_is(
    new_house: NewHouse, proxies: tuple[str, ...], wanted: str
) -> None:
    house = new_house(trusted_proxies=proxies)
    ann = house.person("ann")
    forwarded = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}

    form = {"username": ann.username, "password": "correct-horse"}
    token = ask(house, "POST", "/token", data=form, headers=forwarded).json()["access_token"]
    cookie = ask(house, "POST", "/api/v1/auth/cookie", headers=forwarded | {"Authorization": f"Bearer {token}"})

    assert ann.get("/api/v1/auth/sessions")["items"][0]["address"] == wanted
    is_trusted = wanted == "203.0.113.9"
    assert cookie.headers["set-cookie"].startswith("__Host-chat=" if is_trusted else "chat=")


def test_a_forged_address_does_not_escape_the_limit(new_house: NewHouse) -> None:
    house = new_house(trusted_proxies=(), rate_http="2/h")

    answers = [
        ask(house, "GET", "/api/v1/rooms", headers={"X-Forwarded-For": f"203.0.113.{number}"}).status_code
        for number in range(3)
    ]

    assert answers == [401, 401, 429]
