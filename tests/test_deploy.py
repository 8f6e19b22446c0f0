"""`chat-server init`: what it prints is read by what it is for, and nginx really stands in front of a server."""

import configparser
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
import yaml
from websockets.exceptions import InvalidStatus

from chat_server.deploy import EXAMPLE_DOMAIN, Deployment, deployment_file
from chat_server.settings import Settings
from tests.accounts.asking import TLS
from tests.accounts.command_line import Cli, cli, said
from tests.docs.pages import ROOT
from tests.docs.test_operations import variable_of
from tests.house import PASSWORD, PATIENCE_S, House, Person, Wire, house_with, until, wire_trust

__all__ = ["cli"]

DOMAIN = "chat.test"
VARIABLES = {variable_of(name) for name in Settings.model_fields}


@pytest.mark.parametrize("what", Deployment)
def test_a_file_is_printed_for_ones_own_domain(cli: Cli, what: Deployment) -> None:
    text = said(cli("init", what, "--domain", DOMAIN))

    assert text == deployment_file(what, DOMAIN)
    assert text.startswith("#")
    assert EXAMPLE_DOMAIN not in text
    assert (DOMAIN in text) is (what is not Deployment.DOCKER)


def test_help_names_the_files(cli: Cli) -> None:
    text = said(cli("init", "--help"))

    assert all(what in text for what in Deployment)


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions with their arguments."""
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.split("\n") if line.strip() and not line.startswith("#")]
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]


def test_the_image_is_made_of_what_is_there_and_runs_as_nobody_special() -> None:
    found = instructions(deployment_file(Deployment.DOCKER))

    known = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "VOLUME", "ENV", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    assert {name for name, _ in found} <= known | {"ENTRYPOINT", "CMD"}
    sources = [source for name, rest in found if name == "COPY" for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in sources)
    assert {"pyproject.toml", "README.md", "LICENSE", "chat_server", "static"} == set(sources)
    (environment,) = [rest for name, rest in found if name == "ENV"]
    assert {pair.split("=")[0] for pair in environment.split()} <= VARIABLES
    names = [name for name, _ in found]
    assert ("USER", "chat") in found
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_the_images_health_check_tells_a_ready_server_from_none(house: House) -> None:
    (check,) = [rest for name, rest in instructions(deployment_file(Deployment.DOCKER)) if name == "HEALTHCHECK"]
    command = yaml.safe_load(check[check.index("[") :])  # a list of strings is the same in YAML
    command[0] = sys.executable

    def asked(port: int) -> int:
        return subprocess.run(command, env={"PORT": str(port)}, capture_output=True, timeout=PATIENCE_S).returncode

    assert asked(house.port) == 0
    assert asked(1) != 0


def test_the_composition_names_real_settings_and_waits_for_its_engines() -> None:
    found = yaml.safe_load(deployment_file(Deployment.COMPOSE, DOMAIN))

    chat = found["services"]["chat"]
    assert set(chat["environment"]) <= VARIABLES
    given = {name: str(value) for name, value in chat["environment"].items() if "${" not in str(value)}
    assert Settings(_env_file=None, **{_field(name): value for name, value in given.items()}).workers > 1
    assert set(chat["depends_on"]) == {"postgres", "valkey"}
    for engine in chat["depends_on"]:
        assert "healthcheck" in found["services"][engine]
        assert chat["depends_on"][engine] == {"condition": "service_healthy"}
    volumes = {mount.split(":")[0] for service in found["services"].values() for mount in service.get("volumes", ())}
    assert volumes == set(found["volumes"])
    assert int(chat["stop_grace_period"].rstrip("s")) > Settings.model_fields["drain_s"].default + 2
    assert all(port.startswith("127.0.0.1:") for port in chat["ports"])
    (subnet,) = found["networks"]["default"]["ipam"]["config"]
    assert chat["environment"]["CHAT_TRUSTED_PROXIES"] == subnet["gateway"]


def _field(variable: str) -> str:
    return next(name for name in Settings.model_fields if variable_of(name) == variable)


def unit_of(text: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=",))
    found.optionxform = str  # type: ignore[method-assign,assignment]
    found.read_string(text)
    return found


def test_the_unit_drains_and_restarts_and_may_do_little() -> None:
    text = deployment_file(Deployment.SYSTEMD, DOMAIN)
    service = unit_of(text)["Service"]

    assert service["ExecStart"].endswith("chat-server serve")
    assert service["KillMode"] == "mixed"  # the parent alone is told, and drains its workers
    assert int(service["TimeoutStopSec"]) > Settings.model_fields["drain_s"].default + 2
    assert service["Restart"] == "always"  # to systemd an end by SIGHUP is a clean one
    assert service["ProtectSystem"] == "strict"
    for line in re.findall(r"^Environment=(.*)$", text, re.M):
        assert {pair.split("=")[0] for pair in line.split()} <= VARIABLES


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd-analyze is not here: the unit is only parsed, above")
    unit = tmp_path / "chat-server.service"
    unit.write_text(deployment_file(Deployment.SYSTEMD).replace("/opt/chat-server/bin/chat-server", sys.executable))

    found = subprocess.run([verify, "verify", "--man=no", str(unit)], capture_output=True, text=True)

    assert [line for line in found.stderr.split("\n") if unit.name in line] == []


def test_the_caddyfile_is_whole() -> None:
    text = re.sub(r"#.*", "", deployment_file(Deployment.CADDY, DOMAIN))

    depth, opened = 0, []
    for line in text.split("\n"):
        if line.strip().endswith("{"):
            opened.append(line.strip().removesuffix("{").strip())
            depth += 1
        depth -= line.strip() == "}"
        assert depth >= 0
    assert depth == 0
    assert opened[0] == DOMAIN
    assert "reverse_proxy 127.0.0.1:8000" in opened
    assert "flush_interval -1" in text
    assert "replace token ***" in text


@dataclass(frozen=True)
class Front:
    """nginx with our configuration before a real server. `house` is what stands behind."""

    house: House
    url: str
    plain_url: str
    trust: Any
    wires: Any  # the same, for a Wire
    directory: Path

    def client(self, **headers: str) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, verify=self.trust, headers={"Host": self.host, **headers}, timeout=10)

    @property
    def host(self) -> str:
        return f"{DOMAIN}:{self.url.rpartition(':')[2]}"

    def written(self) -> str:
        return "".join(path.read_text() for path in self.directory.glob("*.log"))


def nginx_program() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("nginx is not here: apt-get install nginx")
        pytest.skip("nginx is not here: its configuration is not tried")
    return found


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def configured(directory: Path, server_port: int, tls_port: int, plain_port: int) -> str:
    """What init printed, with this test's ports, files and certificates; around it what a distribution has."""
    ours = deployment_file(Deployment.NGINX, DOMAIN)
    for before, after in (
        ("127.0.0.1:8000", f"127.0.0.1:{server_port}"),
        ("listen 443 ", f"listen 127.0.0.1:{tls_port} "),
        ("listen 80;", f"listen 127.0.0.1:{plain_port};"),
        (f"/etc/letsencrypt/live/{DOMAIN}", str(directory)),
        ("/var/log/nginx", str(directory)),
    ):
        assert before in ours
        ours = ours.replace(before, after)
    ours = re.sub(r"\n +listen \[::\].*", "", ours)
    temporary = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
        worker_processes 1; daemon off; pid {directory}/pid; error_log {directory}/main.log;
        {"user root;" if os.geteuid() == 0 else ""}
        events {{ worker_connections 256; }}
        http {{ {temporary} {ours} }}
    """


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    program, directory = nginx_program(), tmp_path_factory.mktemp("nginx")
    authority = trustme.CA()
    certificate = authority.issue_cert(DOMAIN, "127.0.0.1")
    certificate.private_key_pem.write_to_path(str(directory / "privkey.pem"))
    (directory / "fullchain.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    trust = httpx2.create_ssl_context()
    authority.configure_trust(trust)
    wires = wire_trust(authority)
    tls_port, plain_port = free_ports(2)
    with house_with(tmp_path_factory.mktemp("behind") / "data", stream_ping_s=3600) as house:
        configuration = directory / "nginx.conf"
        configuration.write_text(configured(directory, house.port, tls_port, plain_port))
        with (directory / "start.log").open("w") as log:
            process = subprocess.Popen([program, "-p", directory, "-c", configuration], stdout=log, stderr=log)
        found = Front(house, f"https://127.0.0.1:{tls_port}", f"http://127.0.0.1:{plain_port}", trust, wires, directory)
        try:
            until(lambda: answers(found) or process.poll() is not None, what="nginx to answer")
            assert process.poll() is None, found.written()
            yield found
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE_S)


def answers(front: Front) -> bool:
    try:
        with front.client() as client:
            return client.get("/readyz").status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def visitor(front: Front) -> Person:
    return front.house.person("ann")


def test_plain_http_is_sent_to_https(front: Front) -> None:
    answer = httpx2.get(f"{front.plain_url}/?room=x", headers={"Host": DOMAIN}, verify=TLS)

    assert (answer.status_code, answer.headers["location"]) == (301, f"https://{DOMAIN}/?room=x")


def test_people_log_in_and_chat_through_nginx(front: Front, visitor: Person) -> None:
    with front.client() as client:
        page = client.get("/")
        token = client.post("/token", data={"username": visitor.username, "password": PASSWORD}).json()["access_token"]
        room = client.post("/api/v1/rooms", json={"name": "x"}, headers={"Authorization": f"Bearer {token}"})

    assert page.status_code == 200
    assert f"wss://{front.host}" in page.headers["content-security-policy"]
    assert room.status_code == 201


def test_a_socket_opens_through_nginx_from_our_own_page_only(front: Front, visitor: Person) -> None:
    address = f"wss://{front.host}/ws?token={visitor.token}"

    def line() -> dict[str, Any]:
        port = int(front.url.rpartition(":")[2])
        return {"ssl": front.wires, "sock": socket.create_connection(("127.0.0.1", port), PATIENCE_S)}

    with Wire(address, origin=f"https://{front.host}", **line()) as wire:
        wire.connect()
        assert wire.rpc("users.me")["id"] == visitor.id
    with pytest.raises(InvalidStatus) as refused:
        Wire(address, origin="https://evil.example", **line())
    assert refused.value.response.status_code == 403


def test_a_stream_is_not_held_back_by_nginx(front: Front, visitor: Person) -> None:
    """Each event comes at once, although nothing follows it that could fill a buffer."""
    room_id = visitor.room()
    heard: list[str] = []
    opened = threading.Event()

    def listen() -> None:
        with (
            front.client(Authorization=f"Bearer {visitor.token}") as client,
            client.stream("GET", f"/sse?channels=room:{room_id}") as stream,
        ):
            for line in stream.iter_lines():
                heard.append(line)
                opened.set()
                if "the end" in line:
                    return

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert opened.wait(PATIENCE_S)
    for text in ("one", "two", "the end"):
        visitor.say(room_id, text)
        until(lambda text=text: any(text in line for line in heard), what=f"{text} through nginx")  # type: ignore[misc]
    listener.join(PATIENCE_S)


def test_nobody_chooses_their_own_address(front: Front, visitor: Person) -> None:
    form = {"username": visitor.username, "password": PASSWORD}
    with front.client(**{"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}) as client:
        token = client.post("/token", data=form).json()["access_token"]
        cookie = client.post("/api/v1/auth/cookie", headers={"Authorization": f"Bearer {token}"})

    (newest, *_) = visitor.get("/api/v1/auth/sessions")["items"]
    assert newest["address"] == "127.0.0.1"
    assert cookie.headers["set-cookie"].startswith("__Host-chat=")  # the scheme is nginx's word, not the client's


def test_a_large_body_is_refused_before_the_server_has_it(front: Front) -> None:
    with front.client() as client:
        assert client.post("/api/v1/auth/register", content=b"x" * 300_000).status_code == 413


def test_a_token_is_in_none_of_nginxs_logs(front: Front) -> None:
    with front.client() as client:
        for path in ("/sse", "/ws", "/nowhere"):
            client.get(f"{path}?token=canary-of-a-token&last_event_id=x")
    until(lambda: '"GET /nowhere" 404' in front.written(), what="the access log")

    assert "canary-of-a-token" not in front.written()
