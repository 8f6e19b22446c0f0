"""The application as a whole: its pages, its description, its parts, and that one worker has one data directory."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

import chat_server
from chat_server import app as app_module
from chat_server.app import create_app, only_worker, static_directory
from chat_server.store.engine import CannotOpen
from tests.accounts.asking import ask, problem
from tests.house import House, settings_for


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def pages(directory: Path) -> Iterator[TestClient]:
    """A server of some pages of the test's own."""
    found = directory
    (found / "models").mkdir()
    (found / "index.html").write_text("<!doctype html><title>home</title>" + "words " * 200)
    (found / "app.js").write_text("export {};")
    (found / "models" / "room.js").write_text("export const room = 1;")
    (found.parent / "outside.txt").write_text("canary of the outside")
    (found / "link.txt").symlink_to(found.parent / "outside.txt")
    before = app_module.static_directory
    app_module.static_directory = lambda: found
    try:
        with TestClient(create_app(settings_for(found.parent / "pages-data"))) as client:
            yield client
    finally:
        app_module.static_directory = before


@pytest.mark.parametrize(
    ("path", "content_type", "text"),
    [
        ("/", "text/html", "home"),
        ("/setup", "text/html", "home"),
        ("/setup?code=x", "text/html", "home"),
        ("/?room=x&seq=7", "text/html", "home"),
        ("/app.js", "text/javascript", "export"),
        ("/models/room.js", "text/javascript", "room"),
    ],
)
def test_the_pages_are_served(pages: TestClient, path: str, content_type: str, text: str) -> None:
    answer = pages.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(content_type)
    assert text in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/missing.js",
        "/models/",
        "/models",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/..%2foutside.txt",
        "/models/../../outside.txt",
        "/models/%2e%2e/%2e%2e/outside.txt",
        "/..\\outside.txt",
        "/link.txt",
        "/app.js%00",
        "/api/app.js",
    ],
)
def test_nothing_else_is(pages: TestClient, path: str) -> None:
    answer = pages.get(path)

    assert "canary" not in answer.text
    problem(answer, 404, "not_found")  # type: ignore[arg-type]


def test_a_page_that_the_browser_has_is_not_sent_again(pages: TestClient) -> None:
    first = pages.get("/app.js")

    again = pages.get("/app.js", headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-cache"


def test_a_page_is_compressed_for_whoever_takes_that_and_is_the_same_page(pages: TestClient) -> None:
    packed = pages.get("/", headers={"Accept-Encoding": "br, gzip;q=0.5"})

    for refusing in ("identity", "gzip;q=0", "gzip; q=0.0, identity"):
        plain = pages.get("/", headers={"Accept-Encoding": refusing})
        assert "content-encoding" not in plain.headers
        assert (plain.text, plain.headers["etag"]) == (packed.text, packed.headers["etag"])
        assert plain.headers["vary"] == "Accept-Encoding"
    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")


@pytest.mark.parametrize("held", ['"older", {etag}', "*", "{strong}"])
def test_one_of_several_held_pages_is_enough(pages: TestClient, held: str) -> None:
    etag = pages.get("/app.js").headers["etag"]

    again = pages.get("/app.js", headers={"If-None-Match": held.format(etag=etag, strong=etag.removeprefix("W/"))})

    assert again.status_code == 304
    assert again.headers["etag"] == etag
    assert pages.get("/app.js", headers={"If-None-Match": '"older"'}).status_code == 200


def test_a_page_that_has_changed_is_sent_anew(pages: TestClient, directory: Path) -> None:
    changing = directory / "changing.js"
    changing.write_text("export const one = 1;")
    etag = pages.get("/changing.js").headers["etag"]

    changing.write_text("export const other = 2;")

    again = pages.get("/changing.js", headers={"If-None-Match": etag})
    assert (again.status_code, again.text) == (200, "export const other = 2;")


def test_pages_are_only_read(pages: TestClient) -> None:
    problem(pages.post("/app.js"), 405, "method_not_allowed")  # type: ignore[arg-type]


def test_a_head_has_no_body(pages: TestClient) -> None:
    answer = pages.head("/app.js")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) == len("export {};")


def test_the_web_app_is_where_it_is_looked_for() -> None:
    assert (static_directory() / "index.html").is_file()


def test_the_api_describes_itself(house: House) -> None:
    found = ask(house, "GET", "/openapi.json").json()

    assert found["info"]["title"] == "chat-server"
    assert found["info"]["version"] == chat_server.__version__ == metadata.version("chat-server")
    assert found["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"]["tokenUrl"] == "/token"
    operations = [operation for methods in found["paths"].values() for operation in methods.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names)) > 50
    assert ask(house, "GET", "/docs").headers["content-type"].startswith("text/html")


def test_the_page_of_the_description_may_load_its_viewer(house: House) -> None:
    page = ask(house, "GET", "/docs")

    policy = page.headers["content-security-policy"]
    assert "https://cdn.jsdelivr.net" in policy
    assert "https://cdn.jsdelivr.net" in page.text


def test_importing_the_package_reads_no_environment(tmp_path: Path) -> None:
    code = "import chat_server.app, chat_server.cli; print('imported')"
    environment = {
        "CHAT_SECRET": "short",
        "PORT": "none",
        "PATH": "",
        "PYTHONPATH": str(Path(chat_server.__path__[0]).parent),
    }

    found = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)

    assert (found.stdout.strip(), found.stderr) == ("imported", "")
    assert list(tmp_path.iterdir()) == []


def test_the_module_makes_its_app_on_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHAT_DATA_DIR", str(tmp_path / "data"))
    app_module.get_settings.cache_clear()
    try:
        assert isinstance(app_module.app, FastAPI)
        assert app_module.app.state.settings.data_dir == tmp_path / "data"
        assert app_module.app.dependency_overrides == {}  # each request would pay for it
        assert not (tmp_path / "data").exists()
    finally:
        app_module.get_settings.cache_clear()
    with pytest.raises(AttributeError):
        _ = app_module.no_such_thing


def test_a_server_whose_kernel_forbids_io_uring_serves_all_the_same(
    new_house: Callable[..., House], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Forbidden:
        def __init__(self) -> None:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(app_module, "Ring", Forbidden)
    house = new_house()
    ann = house.person("ann")
    room_id = ann.room()
    with ann.wire() as wire:
        wire.subscribe(f"room:{room_id}")
        ann.say(room_id, "hello")

        assert wire.push(f"room:{room_id}")["data"]["message"]["text"] == "hello"


def test_a_second_worker_on_the_same_data_is_refused_in_one_line(house: House) -> None:
    with pytest.raises(CannotOpen) as refused, only_worker(house.settings.data_dir):
        pass

    assert "REDIS_URL" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_worker_that_left_makes_room(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")

    for _ in range(2):
        with TestClient(create_app(settings)) as client:
            assert client.get("/readyz").json()["status"] == "ok"


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    credentials = {"username": "ann", "password": "correct-horse"}
    with TestClient(create_app(settings)) as client:
        client.post("/api/v1/auth/register", json=credentials)
        token = client.post("/token", data=credentials).json()["access_token"]

    with TestClient(create_app(settings)) as client:
        me = client.get("/api/v1/users/me", headers={"Authorization": f"Bearer {token}"})

    assert me.json()["username"] == "ann"


def test_an_ended_login_stays_ended_after_a_restart(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    credentials = {"username": "ann", "password": "correct-horse"}
    with TestClient(create_app(settings)) as client:
        client.post("/api/v1/auth/register", json=credentials)
        bearer = {"Authorization": f"Bearer {client.post('/token', data=credentials).json()['access_token']}"}
        client.post("/api/v1/auth/logout", headers=bearer)

    with TestClient(create_app(settings)) as client:
        problem(client.get("/api/v1/users/me", headers=bearer), 401, "session_revoked")  # type: ignore[arg-type]


def test_two_servers_in_one_process_keep_apart(new_house: Callable[..., House]) -> None:
    one, other = new_house(), new_house()
    ann = one.person("ann")

    answer = ask(other, "GET", "/api/v1/users/me", headers={"Authorization": f"Bearer {ann.token}"})

    problem(answer, 401, "token_invalid")


FLOORS = {
    "starlette": (1, 3, 1),
    "python-multipart": (0, 0, 27),
    "python-jose": (3, 4, 0),
    "uvicorn": (0, 54, 0),
    "redis": (8, 1, 0),
}


@pytest.mark.parametrize("name", FLOORS)
def test_no_dependency_is_older_than_its_last_known_hole(name: str) -> None:
    found = tuple(int(part) for part in metadata.version(name).split(".")[:3])

    assert found >= FLOORS[name]


def test_the_declared_dependencies_keep_to_these_floors() -> None:
    declared: dict[str, Any] = {}
    for line in metadata.requires("chat-server") or []:
        name, _, rest = line.partition(">=")
        declared[name.partition("[")[0].lower()] = rest.partition(",")[0].partition(";")[0].strip()

    for name, floor in FLOORS.items():
        found = tuple(int(part) for part in declared[name].split("."))
        assert found >= floor[: len(found)], name
