"""Running a server: starting, what stops a start, TLS, leaving; what probes answer and what the figures say."""

import signal
import socket
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
from prometheus_client.parser import text_string_to_metric_families

from chat_server.store.engine import migrate
from tests.accounts.asking import ask
from tests.accounts.command_line import Cli, cli, refusal
from tests.accounts.serving import served, start
from tests.house import PASSWORD, TLS, House, Person, Wire, settings_for, wire_trust

pytestmark = pytest.mark.long

__all__ = ["cli"]

PROBES = ("/livez", "/readyz", "/healthz")


@contextmanager
def changed(thing: object, name: str, value: object) -> Iterator[None]:
    before = getattr(thing, name)
    setattr(thing, name, value)
    try:
        yield
    finally:
        setattr(thing, name, before)


def states(house: House) -> dict[str, tuple[int, Any]]:
    answers = {path: ask(house, "GET", path) for path in PROBES}
    return {path: (answer.status_code, answer.json()) for path, answer in answers.items()}


def figures(house: House) -> dict[str, float]:
    answer = ask(house, "GET", "/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        sample.name + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_healthy_worker_says_so(house: House) -> None:
    well = {"status": "ok", "database": "ok", "broker": "ok", "draining": False, "connections": 0}

    found = states(house)

    assert found == {"/livez": (200, {"status": "ok"}), "/readyz": (200, well), "/healthz": (200, well)}


def test_a_draining_worker_is_alive_and_not_ready(house: House) -> None:
    with changed(house.worker, "is_draining", True):
        found = states(house)
        answer = ask(house, "GET", "/readyz")

    assert [status for status, _ in found.values()] == [200, 503, 503]
    assert found["/readyz"][1]["draining"] is True
    assert found["/readyz"][1]["status"] == "failing"
    assert answer.headers["retry-after"] == "1"


def test_without_its_broker_a_worker_is_ready_and_not_healthy(house: House) -> None:
    with changed(house.worker.broker, "is_up", False):
        found = states(house)

    assert [status for status, _ in found.values()] == [200, 200, 503]
    assert (found["/readyz"][1]["status"], found["/readyz"][1]["broker"]) == ("ok", "away")
    assert found["/healthz"][1]["status"] == "failing"


def test_without_a_database_that_can_be_written_a_worker_is_not_ready(house: House) -> None:
    with changed(house.worker, "is_writing", False):
        found = states(house)

    assert [status for status, _ in found.values()] == [200, 503, 503]
    assert found["/readyz"][1]["database"] == "away"


def test_open_sockets_are_counted(house: House, ann: Person) -> None:
    with ann.wire() as wire:
        wire.connect()

        assert states(house)["/readyz"][1]["connections"] == 1
        assert figures(house)["chat_connections,transport=websocket"] == 1


def test_what_is_done_is_counted(house: House, ann: Person) -> None:
    room_id = ann.room()
    before = figures(house)

    ann.say(room_id, "hello")
    ann.post(f"/api/v1/rooms/{room_id}/messages", {"text": "x", "reply_to": "nowhere"}, status=422)

    after = figures(house)
    for name, more in (
        ("chat_messages_total", 1),
        ("chat_commands_total,outcome=done", 1),
        ("chat_commands_total,outcome=refused", 1),
        ("chat_http_requests_total,method=POST,status=201", 1),
        ("chat_http_requests_total,method=POST,status=422", 1),
    ):
        assert after[name] - before.get(name, 0) >= more, name


def test_figures_name_no_person_room_or_channel(house: House, ann: Person) -> None:
    room_id = ann.room("canary-room")
    ann.say(room_id, "hello")

    text = ask(house, "GET", "/metrics").text

    for secret in (room_id, ann.id, ann.username, "canary-room"):
        assert secret not in text


def test_requests_for_many_paths_make_no_more_figures(house: House) -> None:
    before = len(figures(house))

    for number in range(20):
        ask(house, "GET", f"/nowhere/{number}")

    assert len(figures(house)) <= before + 4  # GET 404, and what counts it


def test_probes_need_no_login_and_answer_no_secrets(house: House) -> None:
    for path in (*PROBES, "/metrics"):
        text = ask(house, "GET", path).text
        assert str(house.settings.data_dir) not in text
        assert "secret" not in text.lower()


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """What starts that cannot work end with: status, output, errors. All at once, as each takes a second."""
    root = tmp_path_factory.mktemp("failures")
    (root / "a-file").write_text("")
    newer, used = root / "newer", root / "used"
    migrate(settings_for(newer).store_url)
    with sqlite3.connect(newer / "chat.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    connection.close()
    with socket.socket() as taken, served(used):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        processes = {
            "taken_port": start(root / "c", "--port", port),
            "strange_host": start(root / "d", "--host", "192.0.2.1", "--port", "0"),
            "unwritable": start(root / "a-file" / "data", "--port", "0"),
            "newer_database": start(newer, "--port", "0"),
            "used_directory": start(used, "--port", "0"),
            "two_workers": start(root / "e", "--workers", "2", "--port", "0"),
            "missing_certificate": start(
                root / "h", "--port", "0", "--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"
            ),
            "strange_certificate": start(
                root / "i", "--port", "0", "--tls-cert", str(root / "a-file"), "--tls-key", str(root / "a-file")
            ),
        }
        found = {}
        for name, process in processes.items():
            try:
                output, errors = process.communicate(timeout=90)
            finally:
                process.kill()
            found[name] = (process.returncode, output, errors)
    return found


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("taken_port", "try another --port"),
        ("strange_host", "192.0.2.1"),
        ("unwritable", "a-file/data"),
        ("newer_database", "newer version"),
        ("used_directory", "another worker uses"),
        ("two_workers", "REDIS_URL"),
        ("missing_certificate", "nowhere.pem"),
        ("strange_certificate", "a-file"),
    ],
)
def test_a_start_that_cannot_work_says_why_in_one_line(
    failures: dict[str, tuple[int, str, str]], name: str, word: str
) -> None:
    status, output, errors = failures[name]

    assert status not in {0, None}
    assert "Traceback" not in errors, errors
    assert len(errors.strip().splitlines()) == 1, errors
    assert word in errors
    assert output == ""


@pytest.mark.parametrize(
    ("options", "environment", "word"),
    [
        ((), {"PORT": "http"}, "PORT"),
        (("--port", "70000"), {}, "65535"),
        ((), {"CHAT_SECRET": "short-canary"}, "32 bytes"),
        ((), {"CHAT_NAMESPACES": "{"}, "JSON"),
    ],
)
def test_a_bad_setting_stops_a_start_before_anything_is_made(
    cli: Cli, tmp_path: Path, options: tuple[str, ...], environment: dict[str, str], word: str
) -> None:
    line = refusal(cli("serve", *options, **environment))

    assert word in line
    assert "canary" not in line
    assert list(tmp_path.iterdir()) == []


def test_a_first_start_prints_the_link_that_makes_its_owner(tmp_path: Path) -> None:
    with served(tmp_path / "data", lines=2) as server:
        link = server.greeting[1].split()[-1]
        page = httpx2.get(link, verify=TLS)
        body = {"code": link.partition("?code=")[2], "username": "ann", "password": PASSWORD}
        made = httpx2.post(f"{server.url}/api/v1/auth/setup", json=body, verify=TLS)
        assert (page.status_code, made.status_code) == (200, 201)
        assert server.stop(signal.SIGINT) == 0

    with served(tmp_path / "data") as server:
        assert server.stop() == 0
        assert server.process.stdout is not None
        assert server.process.stdout.read() == ""  # no link once there is an owner
        log = server.log.read_text()

    assert "Traceback" not in log
    assert body["code"] not in log


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_is_spoken_over_https_and_wss(tmp_path: Path, authority: trustme.CA) -> None:
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    with (tmp_path / "cert.pem").open("wb") as chain:
        for blob in certificate.cert_chain_pems:
            chain.write(blob.bytes())
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    options = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))

    with served(tmp_path / "data", *options) as server, httpx2.Client(base_url=server.url, verify=trusting) as client:
        credentials = {"username": "ann", "password": PASSWORD}
        client.post("/api/v1/auth/register", json=credentials)
        answer = client.post("/token", data=credentials)
        token = answer.json()["access_token"]
        cookie = client.post("/api/v1/auth/cookie", headers={"Authorization": f"Bearer {token}"})
        refreshed = client.post("/refresh", headers={"Origin": server.url})
        address = server.url.replace("https", "wss", 1) + f"/ws?token={token}"
        with Wire(address, ssl=wire_trust(authority)) as wire:
            connected = wire.connect()
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(server.url, verify=TLS)

    assert server.url.startswith("https://127.0.0.1:")
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert cookie.headers["set-cookie"].startswith("__Host-chat=")
    assert "secure" in cookie.headers["set-cookie"].lower()
    assert refreshed.status_code == 200
    assert connected["data"]["user"]["username"] == "ann"


def test_options_count_more_than_the_environment(tmp_path: Path) -> None:
    with served(tmp_path / "data", "--host", "127.0.0.1", PORT="1", CHAT_HOST="192.0.2.1") as server:
        answer = httpx2.get(f"{server.url}/livez", verify=TLS)

    assert answer.json() == {"status": "ok"}


def test_the_public_address_is_what_is_printed(tmp_path: Path) -> None:
    with served(tmp_path / "data", lines=2, CHAT_PUBLIC_URL="https://chat.example.org/") as server:
        assert server.url == "https://chat.example.org"
        assert "https://chat.example.org/setup?code=" in server.greeting[1]
