"""By keyboard alone."""

import pytest

from tests.browser.chromium import Page
from tests.browser.conftest import AtHome
from tests.browser.visitor import VALUE
from tests.house import Person

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_a_message_is_walked_to_quoted_copied_and_deleted_by_keys(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    for text in ("first", "second"):
        visitor.say(text)
    page = visitor.page
    visitor.sees("first", "second")

    page.run("document.querySelector('#log').focus()")
    page.press("ArrowUp")
    page.press("ArrowUp")
    assert page.run("document.activeElement.querySelector('.text').textContent") == "first"
    page.press("Enter")
    page.until("document.activeElement.dataset.verb === 'reply'")
    page.press("ArrowDown")
    page.press("Enter")
    page.until(f"{VALUE} === '> first\\n'")
    page.run("document.querySelector('#log').focus()")
    page.press("ArrowUp")
    page.press("Enter")
    page.until("document.activeElement.dataset.verb === 'reply'")
    page.press("ArrowUp")
    page.press("Enter")
    page.shows("#sure")
    page.click("#sure-yes")

    visitor.sees("first", "This message was deleted.")


def test_ctrl_k_goes_to_a_room_by_a_part_of_its_name_and_alt_arrows_to_the_next(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    ann.room("accounting")
    visitor = at_home(ann).open(room_id)
    page = visitor.page

    page.press("k", modifiers=2)
    page.until("document.activeElement.id === 'switcher-query'")
    page.ask("Input.insertText", text="ount")
    page.until("document.querySelectorAll('#switcher-list li').length === 1")
    page.press("Enter")
    page.until("document.querySelector('#room-name').textContent === 'accounting'")
    page.press("ArrowDown", modifiers=1)

    page.until("document.querySelector('#room-name').textContent === 'general'")


def test_focus_returns_to_where_it_was_when_a_dialog_or_a_menu_closes(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.say("first")
    visitor.sees("first")
    page = visitor.page

    for dialog in ("inbox", "people", "about", "preferences"):
        opener = f"document.querySelector('[data-dialog={dialog}]')"
        page.run(f"{opener}.focus()")
        page.press("Enter")
        page.until(f"document.querySelector('#{dialog}').open")
        page.press("Escape")
        page.until(f"document.activeElement === {opener}")
    page.run("document.querySelector('#messages .message').focus()")
    page.press("Enter")
    page.until("document.activeElement.role === 'menuitem'")
    page.press("Escape")

    page.until("document.activeElement.matches('#messages .message')")


def test_a_question_mark_lists_the_keys_but_not_while_one_writes(ann: Person, room_id: str, at_home: AtHome) -> None:
    page = at_home(ann).open(room_id).page
    question = {"key": "?", "text": "?", "modifiers": 8}

    page.ask("Input.dispatchKeyEvent", type="keyDown", **question)
    assert page.run(VALUE) == "?"
    page.run("document.querySelector('#log').focus()")
    page.ask("Input.dispatchKeyEvent", type="keyDown", **question)

    page.shows("#keys")
    assert page.run(VALUE) == "?"


def test_alt_shift_down_goes_to_the_next_unread_room(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    names = {name: ann.room(name) for name in ("hall", "kitchen", "library")}
    bob.join(names["library"])
    visitor = at_home(ann).open(room_id)
    bob.say(names["library"], "psst")
    visitor.sees_unread(names["library"], "1")

    visitor.page.press("ArrowDown", modifiers=1 + 8)

    visitor.page.until("document.querySelector('#room-name').textContent === 'library'")


MOST_TABS = 1000  # lists of people and rooms are long
NAME = (
    "(one => one.id || one.dataset.verb || one.dataset.dialog || one.name || one.getAttribute('href') || one.className)"
)


def unreached(page: Page, place: str) -> list[str]:
    """What can be clicked there but not be reached by Tab, and what does not show that it is."""
    wanted: set[str] = set(
        page.run(
            f"[...document.querySelectorAll('{place} :is(button, a[href], textarea, input, summary)')]"
            ".filter(one => one.checkVisibility() && !one.disabled && (one.type !== 'radio' || one.checked))"
            f".map({NAME})"
        )
    )
    hidden = []
    reached = set()
    for _ in range(MOST_TABS):
        page.press("Tab")
        reached.add(page.run(f"{NAME}(document.activeElement)"))
        style = "getComputedStyle(document.activeElement)"
        if not page.run(f"{style}.outlineStyle !== 'none' || document.activeElement.matches('#text, body')"):
            hidden.append(page.run("document.activeElement.outerHTML.slice(0, 80)"))
        if wanted <= reached:
            break
    return [*(wanted - reached), *hidden]


def test_everything_that_can_be_clicked_is_reached_by_tab_and_shows_that_it_is(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.say("first")
    visitor.sees("first")
    bob.say(room_id, f"@{ann.username} look")
    visitor.sees("first", f"@{ann.username} look")
    page = visitor.page
    page.run("document.activeElement.blur()")

    assert unreached(page, "#chat") == []
    for dialog in ("inbox", "new-room", "public-rooms", "people", "about", "preferences", "keys"):
        page.run(f"document.querySelector('[data-dialog={dialog}]').click()")
        page.shows(f"#{dialog}")
        assert unreached(page, f"#{dialog}") == []
        page.press("Escape")
        page.hides(f"#{dialog}")
