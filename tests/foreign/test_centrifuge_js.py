"""npm's `centrifuge` in node, unchanged, and npm's `wscat`: installed at test time into a cache."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.house import PATIENCE_S, House, Person, until
from tests.scenarios.cutter import Cutter

pytestmark = pytest.mark.long
PACKAGES = {"centrifuge": "^5.5", "ws": "^8.18", "wscat": "^6.1"}
SCRIPT = Path(__file__).parent / "centrifuge_client.mjs"


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder whose node_modules has the packages; kept between runs."""
    if shutil.which("npm") is None:
        reason = "npm is missing: install Debian's nodejs and npm"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "chat-server-tests" / "node"
    cache.mkdir(parents=True, exist_ok=True)
    package = cache / "package.json"
    wanted = json.dumps({"private": True, "dependencies": PACKAGES})
    if not package.exists() or package.read_text() != wanted or not (cache / "node_modules" / "wscat").exists():
        package.write_text(wanted)
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent"], cwd=cache, check=True, timeout=110)
    return cache


class Browser:
    """centrifuge-js in node: its events come as lines of JSON; `do` carries out one of its script's orders."""

    def __init__(self, modules: Path, url: str, token: str) -> None:
        script = modules / SCRIPT.name
        script.write_text(SCRIPT.read_text())  # node looks for packages beside the script
        self._process = subprocess.Popen(
            ["node", str(script), url, token], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=modules
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)
        self._rest = b""
        self.events: list[dict[str, Any]] = []

    def do(self, order: str, **fields: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": order, **fields}).encode() + b"\n")
        self._process.stdin.flush()

    def told(self, event: str, **fields: Any) -> list[dict[str, Any]]:
        assert self._process.stdout is not None
        *lines, self._rest = (self._rest + (self._process.stdout.read() or b"")).split(b"\n")
        self.events += [json.loads(line) for line in lines]
        return [found for found in self.events if {**found, "event": event, **fields} == found]

    def wait(self, event: str, **fields: Any) -> dict[str, Any]:
        until(lambda: self.told(event, **fields), what=f"{event} {fields} among {self.events[-5:]}")
        return self.told(event, **fields)[0]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE_S)
        self._process.stdout.close()


@pytest.fixture
def cutter(house: House) -> Iterator[Cutter]:
    with Cutter(house.port) as found:
        yield found


@pytest.fixture
def browser(modules: Path, bob: Person, cutter: Cutter) -> Iterator[Browser]:
    found = Browser(modules, f"{cutter.url.replace('http', 'ws', 1)}/connection/websocket", bob.token)
    yield found
    found.close()


def test_it_connects_and_is_subscribed_to_its_own_channel(bob: Person, browser: Browser) -> None:
    connected = browser.wait("connected")
    own = browser.wait("server subscribed", channel=f"user:{bob.id}")

    assert connected["data"]["user"]["id"] == bob.id
    assert own["recoverable"] is True


def test_it_calls_rpc_and_publishes_and_looks_around(ann: Person, bob: Person, browser: Browser) -> None:
    browser.do("rpc", method="users.me", data={})
    browser.do("subscribe", channel="chat:js")
    browser.wait("subscribed", channel="chat:js")
    browser.do("publish", channel="chat:js", data={"hello": "world"})
    heard = browser.wait("publication", channel="chat:js")
    browser.do("history", channel="chat:js", limit=10)
    browser.do("presence", channel="chat:js")

    assert browser.wait("rpc")["data"]["id"] == bob.id
    assert (heard["data"], heard["offset"]) == ({"hello": "world"}, 1)
    assert [item["data"] for item in browser.wait("history")["publications"]] == [{"hello": "world"}]
    assert browser.wait("presence")["users"] == [bob.id]


def test_a_refused_subscription_is_an_error_and_it_lives(ann: Person, bob: Person, browser: Browser) -> None:
    browser.do("subscribe", channel=f"room:{ann.room('private', 'private')}")
    browser.wait("unsubscribed", code=103)
    browser.do("rpc", method="users.me", data={})

    assert browser.wait("rpc")["data"]["id"] == bob.id


def test_it_recovers_what_it_missed_when_its_socket_is_cut(
    ann: Person, bob: Person, browser: Browser, cutter: Cutter
) -> None:
    room_id = ann.room()
    bob.join(room_id)
    channel = f"room:{room_id}"
    browser.do("subscribe", channel=channel)
    browser.wait("subscribed", channel=channel)
    for round_number in range(5):
        until(lambda least=round_number: len(browser.told("connected")) > least, what="a connection to cut")
        for number in range(10):
            ann.say(room_id, f"{round_number}.{number}")
            if number == 4:
                cutter.cut()
    until(lambda: len(browser.told("publication", channel=channel)) >= 50, what="all that was said")

    heard = browser.told("publication", channel=channel)
    assert [event["data"]["message"]["text"] for event in heard] == [f"{a}.{b}" for a in range(5) for b in range(10)]
    assert [event["offset"] for event in heard] == list(range(heard[0]["offset"], heard[0]["offset"] + 50))
    assert all(event["recovered"] for event in browser.told("subscribed", channel=channel)[1:])


def test_a_logout_ends_it_for_good(bob: Person, browser: Browser) -> None:
    browser.wait("connected")

    bob.post("/api/v1/auth/logout", status=204)

    assert browser.wait("disconnected")["code"] == 3500


def test_wscat_connects_asks_and_hears(modules: Path, ann: Person, bob: Person) -> None:
    room_id = ann.room()
    bob.join(room_id)
    post = {"id": 1, "rpc": {"method": "messages.post", "data": {"room_id": room_id, "text": "from wscat"}}}

    wscat = [str(modules / "node_modules" / ".bin" / "wscat"), "--no-color", "-w", "2", "-x", json.dumps(post)]
    screen = subprocess.Popen(  # its end of input would be its end
        [*wscat, "-c", f"{bob.socket_url}?token={bob.token}&subscribe=rooms"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    screen.wait(30)
    answer = screen.stdout.read().decode()
    for end in (screen.stdin, screen.stdout):
        end.close()

    lines = [json.loads(line.removeprefix("< ")) for line in answer.splitlines() if line.startswith(("{", "< {"))]
    assert any(line.get("id") == 1 and line["rpc"]["data"]["text"] == "from wscat" for line in lines), answer
    assert any("push" in line and line["push"]["channel"] == f"room:{room_id}" for line in lines), answer
