"""The pages of examples/, served from an origin of their own, in a real browser."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest

from chat_server.errors import SHUTDOWN
from chat_server.shapes import Role
from tests.browser.chromium import Profile
from tests.house import House, Person, house_with

pytestmark = pytest.mark.long

EXAMPLES = Path(__file__).parents[2] / "examples"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """Where the examples are served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=EXAMPLES)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def house(pages: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_with(tmp_path_factory.mktemp("embedded") / "data", allowed_origins=[pages]) as found:
        yield found


def test_the_dashboard_shows_notifications_and_catches_up(
    house: House, pages: str, ann: Person, profile: Callable[[str], Profile]
) -> None:
    where = urlencode({"server": house.url, "channels": "topic:deploys,live:prices", "token": ann.token})
    publisher = house.person("owner", Role.OWNER)

    page = profile(pages).page(f"/dashboard.html#{where}")
    page.until("document.getElementById('state').textContent === 'Live'")
    publisher.post("/api/v1/notifications", {"topic": "deploys", "title": "CI", "text": "<b>green</b>", "priority": 5})
    page.until("document.querySelectorAll('#events li').length === 1")
    house.on_loop(lambda: [connection.close(SHUTDOWN) for connection in house.worker.manager])
    publisher.post("/api/v1/notifications", {"topic": "deploys", "text": "meanwhile"})
    page.until("document.querySelectorAll('#events li').length === 2")
    house.api("publish", channel="live:prices", data={"price": 7})
    page.until("document.querySelectorAll('#events li').length >= 3")

    third, second, first = page.texts("#events li")
    assert first.endswith("CI: <b>green</b>")
    assert second.endswith("meanwhile")
    assert third.endswith('{"price":7}')
    assert page.run("document.querySelector('#events li:last-child').dataset.priority") == "5"


def test_a_room_is_embedded_in_a_page_of_another_origin(
    house: House, pages: str, ann: Person, bob: Person, profile: Callable[[str], Profile]
) -> None:
    room_id = ann.room()
    bob.join(room_id)
    bob.say(room_id, "earlier")

    page = profile(pages).page("/embed.html#" + urlencode({"server": house.url, "room": room_id, "token": ann.token}))
    page.until("document.querySelectorAll('#log li').length === 1")
    bob.say(room_id, "<i>live</i>")
    page.fill("input", "from the page")
    page.press("Enter")
    page.until("document.querySelectorAll('#log li').length === 3")
    house.on_loop(lambda: [connection.close(SHUTDOWN) for connection in house.worker.manager])
    bob.say(room_id, "meanwhile")
    page.until("document.querySelectorAll('#log li').length === 4")

    assert page.texts("#log li") == ["earlier", "<i>live</i>", "from the page", "meanwhile"]
    stored = ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]
    assert [message["text"] for message in stored] == page.texts("#log li")
