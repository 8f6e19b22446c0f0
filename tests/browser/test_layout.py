from collections.abc import Callable

import pytest

from chat_server.shapes import Role
from tests.browser.chromium import Page
from tests.browser.conftest import Visits
from tests.browser.visitor import Visitor
from tests.house import House, Person

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two

DIALOGS = ("inbox", "new-room", "public-rooms", "people", "switcher", "about", "preferences", "keys")

# What sticks out at the side, or shows a part of its words only without saying so by an ellipsis.
FAULTS = """(() => {
    const all = [...document.querySelectorAll('body *')];
    const shown = all.filter(e => e.checkVisibility() && !e.closest('.unseen, pre'));
    const isCut = e => e && (getComputedStyle(e).textOverflow === 'ellipsis' || isCut(e.parentElement));
    const outside = shown.filter(e => {
        const {left, right, width} = e.getBoundingClientRect();
        return width && !isCut(e.parentElement) && (right > innerWidth + 0.5 || left < -0.5);
    });
    const clipped = shown.filter(e => {
        const {overflowX, overflowY, textOverflow} = getComputedStyle(e);
        const hasWords = [...e.childNodes].some(one => one.nodeType === 3 && one.data.trim());
        return hasWords && (
            (overflowX === 'hidden' && textOverflow !== 'ellipsis' && e.scrollWidth > e.clientWidth + 1)
            || (overflowY === 'hidden' && e.scrollHeight > e.clientHeight + 2)
        );
    });
    const wide = document.documentElement.scrollWidth > innerWidth ? [document.documentElement] : [];
    return [...wide, ...outside, ...clipped].map(e => e.outerHTML.slice(0, 100));
})()"""
STILL = "Promise.all(document.getAnimations().map(one => one.finished.catch(() => 0))).then(() => 0)"


def overflow_of(page: Page) -> list[str]:
    page.run(STILL)
    found: list[str] = page.run(FAULTS)
    return found


@pytest.fixture
def narrow(house: House, visit: Visits) -> Callable[[Person], Visitor]:
    return lambda person: visit(house.url, width=320).log_in(person)


def test_the_way_in_fits_a_narrow_screen(house: House, visit: Visits) -> None:
    ann = visit(house.url, width=320)

    ann.register("no such name!", password="short")
    ann.page.until("document.querySelector('.refused') !== null")

    assert overflow_of(ann.page) == []


def test_a_room_with_long_words_fits_a_narrow_screen_and_leads_back_to_the_list(
    ann: Person, bob: Person, narrow: Callable[[Person], Visitor]
) -> None:
    word = "w" * 79
    room_id = ann.room(word)
    bob.join(room_id)
    bob.say(room_id, f"{word}{word}{word} https://example.org/{word}")
    visitor = narrow(ann)
    assert overflow_of(visitor.page) == []

    visitor.open(room_id)
    visitor.page.until("document.querySelectorAll('#messages .message').length === 1")
    assert overflow_of(visitor.page) == []
    assert visitor.page.texts("nav") == []
    visitor.page.click(".back")

    visitor.page.shows("nav")
    assert visitor.page.texts("#room") == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("width", [320, 768, 1440])
def test_nothing_sticks_out_or_is_cut_off_in_any_state(house: House, visit: Visits, width: int) -> None:
    word = "w" * 79
    ann, bob = house.person("ann", Role.OWNER), house.person("bob")
    room_id = ann.room(word)
    bob.join(room_id)
    bob.patch("/api/v1/users/me", {"display_name": word[:60]})
    bob.say(room_id, f"@{ann.username} {word}{word} https://example.org/{word}\n```\n{word}{word}\n```")
    visitor = visit(house.url, width=width)
    page = visitor.page
    found = {}

    def look(state: str) -> None:
        if faults := overflow_of(page):
            found[state] = faults

    page.shows("#log-in")
    look("log in")
    visitor.log_in(ann)
    visitor.sees_notified("1")
    look("rooms")
    visitor.open(room_id)
    visitor.say(f"{word} {word}")
    page.until("document.querySelectorAll('#messages li.message:not(.pending)').length === 2")
    house.person("cleo").join(room_id)
    page.until("document.querySelector('.comings') !== null")
    look("room")
    page.run("document.querySelector('#messages .message').focus()")
    page.press("Enter")
    page.shows("#message-menu")
    look("menu")
    page.click("[data-verb=reply]")
    page.ask("Input.insertText", text="@")
    page.shows("#names")
    look("reply and names")
    page.ask("Input.insertText", text="x" * 4001)
    page.shows("#too-long")
    look("too long")
    page.fill("#text", "to the point")
    page.press("Enter")
    page.until("document.querySelector('#messages .source:not([hidden])') !== null")
    look("a reply")
    page.press("ArrowUp")
    page.shows("#editing")
    look("changing a message")
    page.press("Escape")
    for dialog in DIALOGS:
        page.run(f"document.querySelector('[data-dialog={dialog}]').click()")
        page.shows(f"#{dialog}")
        page.run("new Promise(done => requestIdleCallback(done, {timeout: 300})).then(() => 0)")
        look(dialog)
        page.run(f"document.querySelector('#{dialog}').close()")
    page.run("document.querySelector('#leave-room').click()")
    page.shows("#sure")
    look("a question")
    page.go("/owner.html")
    page.shows("#people li")
    page.until("document.querySelector('#workers').textContent !== ''")
    look("owner")
    page.go("/components.html")
    page.shows("article .message")
    look("components")

    assert found == {}
