"""What is written, and how it is sent."""

import pytest

from tests.browser.conftest import AtHome
from tests.browser.visitor import ON_SCREEN, VALUE, say_all
from tests.house import Person, until

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_enter_sends_shift_enter_breaks_the_line_and_an_unfinished_composition_is_not_sent(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    page = at_home(ann).open(room_id).page

    page.ask("Input.insertText", text="one")
    page.press("Enter", modifiers=8)
    page.ask("Input.insertText", text="two")
    page.ask("Input.imeSetComposition", text="three", selectionStart=5, selectionEnd=5)
    page.run(
        "document.querySelector('#text').dispatchEvent("
        "new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
    )
    assert page.run(VALUE) == "one\ntwothree"
    page.ask("Input.insertText", text="three")
    page.press("Enter", modifiers=2)

    page.until(f"{VALUE} === ''")
    until(lambda: [one["text"] for one in ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]] == ["one\ntwothree"])


def test_up_in_an_empty_box_changes_the_last_own_message_and_escape_gives_that_up(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.say("teh cat")
    visitor.sees("teh cat")
    bob.say(room_id, "hm?")
    visitor.sees("teh cat", "hm?")

    visitor.page.press("ArrowUp")
    assert visitor.page.run(VALUE) == "teh cat"
    visitor.page.press("Escape")
    assert visitor.page.run(VALUE) == ""
    visitor.page.press("ArrowUp")
    visitor.page.fill("#text", "the cat")
    visitor.page.press("Enter")

    visitor.sees("the cat", "hm?")
    assert visitor.page.texts("#messages .edited") == ["edited"]
    visitor.page.until(f"{VALUE} === ''")


def test_typing_anywhere_goes_into_the_message_box(ann: Person, room_id: str, at_home: AtHome) -> None:
    page = at_home(ann).open(room_id).page
    page.run("document.activeElement.blur()")

    page.ask("Input.dispatchKeyEvent", type="keyDown", key="h", text="h")

    assert page.run(VALUE) == "h"


def test_a_draft_survives_a_reload_and_escape_and_is_marked_in_the_room_list(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    other_id = ann.room("other")
    visitor = at_home(ann).open(room_id)
    visitor.page.fill("#text", "half a thought")
    visitor.page.press("Escape")

    visitor.page.reload()
    visitor.online()
    visitor.page.until(f"{VALUE} === 'half a thought'")
    visitor.open(other_id)

    visitor.page.shows(f'nav a[href="/?room={room_id}"] .draft')
    visitor.open(room_id).page.press("Enter")
    visitor.sees("half a thought")
    visitor.open(other_id)
    visitor.page.hides(f'nav a[href="/?room={room_id}"] .draft')


def test_the_message_box_is_focused_when_a_room_opens_but_not_on_a_touch_screen(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    page = at_home(ann).open(room_id).page
    page.until("document.activeElement.id === 'text'")

    page.ask("Emulation.setTouchEmulationEnabled", enabled=True)
    page.until("matchMedia('(pointer: coarse)').matches")
    page.reload()
    page.until("document.querySelector('#connection').dataset.state === 'online'")
    page.shows("#beginning")

    assert page.run("document.activeElement.id") == ""


def test_too_long_a_text_is_told_before_it_is_sent_and_nothing_of_it_is_lost(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.fill("#text", "x" * 4001)

    visitor.page.shows("#too-long")
    visitor.page.press("Enter")
    assert visitor.page.run(f"{VALUE}.length") == 4001
    assert visitor.messages == []
    visitor.page.press("Backspace")
    visitor.page.hides("#too-long")
    visitor.page.press("Enter")

    visitor.sees("x" * 4000)


def test_pasted_markup_comes_as_its_text(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.run(
        "navigator.clipboard.write([new ClipboardItem({'text/plain': 'plain & <i>simple</i>',"
        " 'text/html': '<b>plain</b> & simple<img src=x>'})])"
    )

    visitor.page.ask("Input.dispatchKeyEvent", type="keyDown", key="v", modifiers=2, commands=["paste"])
    visitor.page.until(f"{VALUE} === 'plain & <i>simple</i>'")
    visitor.page.press("Enter")

    visitor.sees("plain & <i>simple</i>")


def test_what_is_typed_while_an_edit_is_on_its_way_is_not_lost(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.say("teh cat")
    visitor.sees("teh cat")
    visitor.page.press("ArrowUp")
    visitor.page.fill("#text", "the cat")
    visitor.page.run(
        "window.held = []; window.send = WebSocket.prototype.send;"
        "WebSocket.prototype.send = function (data) { held.push(() => send.call(this, data)); }"
    )
    visitor.page.press("Enter")

    visitor.page.ask("Input.insertText", text=" sat")
    visitor.page.run("WebSocket.prototype.send = send; held.forEach(one => one())")

    visitor.sees("the cat")
    visitor.page.until("document.querySelector('#composer').ariaBusy === null")
    assert visitor.page.run(VALUE) == "the cat sat"


def test_a_reply_shows_what_it_is_to_and_leads_there(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    say_all(bob, room_id, ["which one?", *[f"number {number}" for number in range(60)]])
    visitor = at_home(ann).open(room_id)
    page = visitor.page
    page.go(f"/?room={room_id}&seq=1")
    page.until(f"{ON_SCREEN}.includes('which one?')")

    page.run("document.querySelector('#messages .message').focus()")
    page.press("Enter")
    page.click("#message-menu [data-verb=reply]")
    page.shows("#replying")
    assert page.texts("#replying b, #replying .snippet") == ["bob", "which one?"]
    visitor.page.ask("Input.insertText", text="the second")
    page.press("Enter")

    page.hides("#replying")
    page.until(f"{ON_SCREEN}.includes('the second')")
    reply = ann.get(f"/api/v1/rooms/{room_id}/messages")["items"][-1]
    assert reply["reply_to"] == ann.get(f"/api/v1/rooms/{room_id}/messages?limit=1&after=0")["items"][0]["id"]
    page.until("document.querySelector('#messages .source:not([hidden])')?.innerText === 'bob which one?'")
    page.click("#messages .source")
    page.until(f"{ON_SCREEN}.includes('which one?')")
    page.until("document.querySelector('.linked .text')?.textContent === 'which one?'")


def test_a_reply_to_what_is_on_screen_goes_there_without_loading_anything(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    source = bob.say(room_id, "which one?")
    say_all(ann, room_id, [f"number {number}" for number in range(30)])
    bob.say(room_id, "still open", reply_to=source["id"])
    page = at_home(ann).open(room_id).page
    page.until(f"{ON_SCREEN}.includes('still open')")
    page.run("window.isSame = document.querySelector('#messages li')")

    page.run("document.querySelector('#messages .source:not([hidden])').focus()")
    page.press("Enter")

    page.until("document.activeElement.querySelector('.text')?.textContent === 'which one?'")
    page.until(f"{ON_SCREEN}.includes('which one?')")
    assert page.run("isSame.isConnected")
    bob.patch(f"/api/v1/rooms/{room_id}/messages/{source['id']}", {"text": "which of them?"})
    page.until("document.querySelector('#messages .source:not([hidden]) span').textContent === 'which of them?'")


def test_a_reply_that_was_begun_survives_a_reload_and_can_be_given_up(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    bob.say(room_id, "which one?")
    visitor = at_home(ann).open(room_id)
    visitor.sees("which one?")
    page = visitor.page
    page.run("document.querySelector('#messages .more').click()")
    page.click("#message-menu [data-verb=reply]")
    page.ask("Input.insertText", text="the second")
    page.reload()
    visitor.online()
    page.shows("#replying")

    page.click("#text")
    page.press("Escape")
    page.hides("#replying")
    assert page.run(VALUE) == "the second"
    page.press("Enter")

    visitor.sees("which one?", "the second")
    assert ann.get(f"/api/v1/rooms/{room_id}/messages")["items"][-1]["reply_to"] is None


def test_behind_an_at_sign_members_are_offered_and_taken_by_keys(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    page = visitor.page
    visitor.page.shows("#beginning")

    page.ask("Input.insertText", text="look @")
    page.shows("#names")
    chosen = "document.getElementById(document.querySelector('#text').getAttribute('aria-activedescendant'))"
    assert page.run(f"{chosen}.innerText.includes('@{bob.username}') && {chosen}.ariaSelected") == "true"
    page.press("Escape")
    page.hides("#names")
    assert page.run(VALUE) == "look @"
    page.ask("Input.insertText", text=bob.username[:2])
    page.shows("#names")
    page.press("Enter")
    assert page.run(VALUE) == f"look @{bob.username} "
    page.hides("#names")
    page.press("Enter")

    visitor.sees(f"look @{bob.username} ")
    until(lambda: bob.get("/api/v1/notifications")["items"])


def test_an_offered_member_is_taken_by_the_mouse_and_the_caret_stays_in_the_text(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    page = at_home(ann).open(room_id).page
    page.shows("#beginning")
    page.ask("Input.insertText", text="@")
    page.shows("#names")

    page.click("#names li")

    assert page.run(VALUE) == f"@{bob.username} "
    assert page.run("document.activeElement.id") == "text"
