"""The client module in the pages of other origins, and other people's clients beside ours."""

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.browser.chromium import Page, Profile
from tests.browser.packages import package
from tests.browser.visitor import Visitor
from tests.house import House

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "embed.html"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Another origin: its address, and the directory that it serves."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    (directory / "index.html").write_text("<!doctype html><title>elsewhere</title><body></body>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(directory)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", directory
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def open_house(new_house: Callable[..., House], elsewhere: tuple[str, Path]) -> House:
    """A house that lets pages of the other origin in."""
    return new_house(allowed_origins=[elsewhere[0]])


def imported(house: House, token: str, room_id: str) -> str:
    return f"""(async () => {{
        const {{ Client, newId, Stream }} = await import("{house.url}/client/index.js");
        const client = new Client({{ token: async () => "{token}" }});
        window.heard = [];
        const room = client.subscribe("room:{room_id}");
        room.addEventListener("publication", ({{ detail }}) => heard.push(detail.message.text));
        const isJoined = new Promise(done => room.addEventListener("joined", done, {{ once: true }}));
        client.open();
        await isJoined;
        window.say = text => client.call("messages.post", {{ room_id: "{room_id}", text, client_msg_id: newId() }});
        window.streamed = [];
        const stream = new Stream({{ channels: ["room:{room_id}"], token: async () => "{token}" }});
        stream.addEventListener("event", ({{ detail }}) => streamed.push(detail.type));
        stream.open();
        await say("from elsewhere");
        return 0;
    }})()"""


def test_a_page_of_an_allowed_origin_imports_the_client_and_chats(
    open_house: House, elsewhere: tuple[str, Path], profile: Callable[[str], Profile]
) -> None:
    ann, bob = open_house.person("ann"), open_house.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    page = profile(elsewhere[0]).page("/")

    page.run(imported(open_house, ann.token, room_id))
    page.until("streamed.includes('stream.open')")
    bob.say(room_id, "from here")

    page.until("JSON.stringify(heard) === JSON.stringify(['from elsewhere', 'from here'])")
    page.until("streamed.includes('message.posted')")


def test_a_page_of_another_origin_cannot_import_it(
    house: House, elsewhere: tuple[str, Path], profile: Callable[[str], Profile]
) -> None:
    page = profile(elsewhere[0]).page("/")

    refused = page.run(f'import("{house.url}/client/index.js").then(() => "", error => error.name)')

    assert refused == "TypeError"
    page.forget_complaints()


def test_the_embedding_example_chats(
    open_house: House, elsewhere: tuple[str, Path], profile: Callable[[str], Profile]
) -> None:
    ann, bob = open_house.person("ann"), open_house.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    (elsewhere[1] / "embed.html").write_text(EXAMPLE.read_text())
    page: Page = profile(elsewhere[0]).page(f"/embed.html#server={open_house.url}&room={room_id}&token={ann.token}")

    bob.say(room_id, "hello, <b>page</b>")
    page.until("document.querySelector('li')?.textContent.endsWith('hello, <b>page</b>')")
    page.fill("input", "hello, server")
    page.press("Enter")

    page.until("document.querySelectorAll('li').length === 2")
    assert ann.get(f"/api/v1/rooms/{room_id}/messages")["items"][-1]["text"] == "hello, server"


def test_a_page_with_npm_centrifuge_chats_with_ours(
    open_house: House, elsewhere: tuple[str, Path], profile: Callable[[str], Profile]
) -> None:
    ann, bob = open_house.person("ann"), open_house.person("bob")
    room_id = ann.room()
    bob.join(room_id)
    built = package("centrifuge", "5.8.0") / "dist" / "centrifuge.js"
    (elsewhere[1] / "centrifuge.js").write_bytes(built.read_bytes())
    (elsewhere[1] / "theirs.html").write_text('<!doctype html><script src="/centrifuge.js"></script>')
    theirs = profile(elsewhere[0]).page("/theirs.html")
    ours = Visitor(profile(open_house.url)).log_in(bob).open(room_id)
    socket = json.dumps(ann.socket_url)

    theirs.run(f"""new Promise(done => {{
        window.heard = [];
        window.centrifuge = new Centrifuge({socket}, {{ token: "{ann.token}" }});
        const room = centrifuge.newSubscription("room:{room_id}");
        room.on("publication", ({{ data }}) => heard.push(data.message.text));
        room.on("subscribed", done);
        room.subscribe();
        centrifuge.connect();
    }}).then(() => 0)""")
    ours.say("from ours")
    theirs.until("heard.includes('from ours')")
    theirs.run(f'centrifuge.rpc("messages.post", {{ room_id: "{room_id}", text: "from theirs" }}).then(() => 0)')

    ours.sees("from ours", "from theirs")
    theirs.until("JSON.stringify(heard) === JSON.stringify(['from ours', 'from theirs'])")
