"""What axe-core has to say about every page in every state, light and dark: colour contrast, names, roles, order."""

from collections.abc import Callable

import pytest

from chat_server.shapes import Role
from tests.browser.chromium import Page
from tests.browser.conftest import Visits
from tests.browser.packages import package
from tests.house import House

SERIOUS = """axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations
    .filter(({impact}) => impact === 'serious' || impact === 'critical')
    .map(({id, nodes}) => [id, nodes.slice(0, 3).map(({html, any}) => [html.slice(0, 120), any[0]?.message ?? ''])]))"""


@pytest.fixture(scope="module")
def axe() -> str:
    return (package("axe-core", "4.14.1") / "axe.min.js").read_text()


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_serious_stands_in_anybodys_way(house: House, visit: Visits, axe: str, theme: str) -> None:
    ann, bob = house.person("ann", Role.OWNER), house.person("bob")
    room_id = ann.room("general")
    bob.join(room_id)
    visitor = visit(house.url)
    page = visitor.page
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    found = {}

    def look(state: str) -> None:
        page.run("Promise.all(document.getAnimations().map(one => one.finished.catch(() => 0))).then(() => 0)")
        if not page.run("'axe' in window"):
            page.run(f"{axe};0")
        if serious := page.run(SERIOUS):
            found[state] = serious

    page.shows("#log-in")
    look("log in")
    page.click("a[href='#register']")
    look("register")
    page.go("/")
    bob.say(room_id, f"@{ann.username} **look** `here` https://example.org\n> quoted\n```\ncode\n```")
    visitor.log_in(ann).open(room_id)
    visitor.say("an answer")
    ann.delete(f"/api/v1/rooms/{room_id}/messages/{bob.say(room_id, 'gone')['id']}")
    visitor.page.until("document.querySelector('#messages .deleted') !== null")
    house.person("cleo").join(room_id)
    page.until("document.querySelector('.comings') !== null")
    look("room")
    page.run("document.querySelector('#messages .more').click()")
    page.click("#message-menu [data-verb=reply]")
    page.ask("Input.insertText", text="@")
    page.shows("#names")
    look("reply and names")
    page.ask("Input.insertText", text="x" * 4001)
    page.shows("#too-long")
    look("too long")
    page.fill("#text", "an answer to that")
    page.press("Enter")
    page.until("document.querySelector('#messages .source:not([hidden])') !== null")
    look("a reply")
    page.press("ArrowUp")
    look("changing a message")
    page.press("Escape")
    for dialog in ("inbox", "new-room", "public-rooms", "people", "switcher", "about", "preferences", "keys"):
        page.run(f"document.querySelector('[data-dialog={dialog}]').click()")
        page.shows(f"#{dialog}")
        look(dialog)
        page.run(f"document.querySelector('#{dialog}').close()")
    page.run("document.querySelector('#messages .message').focus()")
    page.press("Enter")
    page.shows("#message-menu")
    look("menu")
    look_at_pages(page, look)

    assert found == {}


def look_at_pages(page: Page, look: Callable[[str], None]) -> None:
    page.go("/owner.html")
    page.shows("#people li")
    look("owner")
    page.go("/components.html")
    look("components")
