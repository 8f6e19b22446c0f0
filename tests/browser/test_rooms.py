"""Rooms and logins, as they are looked after."""

import json

import pytest

from tests.browser.conftest import AtHome
from tests.browser.visitor import Visitor
from tests.house import Person

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_a_room_is_changed_left_and_members_are_added_and_removed(ann: Person, bob: Person, at_home: AtHome) -> None:
    room_id = ann.room("plans", "private")
    visitor = at_home(ann).open(room_id)
    page = visitor.page

    page.click("[data-dialog=about]")
    page.fill("#add-member-name", bob.username)
    page.press("Enter")
    page.until("document.querySelectorAll('#members li').length === 2")
    page.fill("#change-room-topic", "what we do next")
    page.press("Enter")
    page.until("document.querySelector('#room-topic').textContent === 'what we do next'")
    page.click(f'#members [data-id="{bob.id}"]')
    page.until("document.querySelectorAll('#members li').length === 1")

    bob.get(f"/api/v1/rooms/{room_id}", status=404)


def test_an_ended_session_elsewhere_is_told_by_its_place_in_the_list(ann: Person, at_home: AtHome) -> None:
    one, other = at_home(ann), at_home(ann)

    one.page.click("[data-dialog=preferences]")
    one.page.until("document.querySelectorAll('#sessions li').length === 3")
    one.page.run("[...document.querySelectorAll('#sessions button:not([hidden])')].forEach(one => one.click())")

    other.page.shows("#log-in")
    one.page.until("document.querySelectorAll('#sessions li').length === 1")


def test_a_room_is_left_and_gone_from_the_list(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(bob).open(room_id)

    visitor.page.click("[data-dialog=about]")
    visitor.page.click("#leave-room")
    visitor.page.click("#sure-yes")

    visitor.page.until("document.querySelectorAll('#rooms li').length === 0")
    visitor.page.shows("#joining")
    assert ann.get(f"/api/v1/rooms/{room_id}/members")["items"][0]["user_id"] == ann.id


def test_a_log_out_leaves_nothing_behind_in_any_tab(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    other = Visitor(visitor.profile).online()
    visitor.page.fill("#text", "half a thought")

    visitor.page.click("[data-verb=log-out]")

    visitor.page.shows("#log-in")
    other.page.shows("#log-in")
    kept = [key for key in visitor.page.run("Object.keys(localStorage)") if key != "chat:preferences"]
    assert kept == []


def test_a_link_and_the_text_of_a_message_are_copied(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.say("take me along")
    visitor.sees("take me along")
    page = visitor.page

    for verb, copied in (("copy-text", "take me along"), ("copy-link", f"{page.run('origin')}/?room={room_id}&seq=1")):
        page.run("document.querySelector('#messages .message').focus()")
        page.press("Enter")
        page.click(f"#message-menu [data-verb={verb}]")
        page.until(f"navigator.clipboard.readText().then(text => text === {json.dumps(copied)})")


def test_what_is_typed_while_a_dialog_opens_stays(ann: Person, room_id: str, at_home: AtHome) -> None:
    page = at_home(ann).open(room_id).page

    for dialog, field in (("about", "change-room-topic"), ("preferences", "profile-name")):
        typed = f"((one) => {{ one.value = 'typed at once'; return one; }})(document.querySelector('#{field}'))"
        page.run(f"document.querySelector('[data-dialog={dialog}]').click(); {typed}; 0")
        page.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.run(f"document.querySelector('#{field}').value") == "typed at once"
        page.press("Escape")
        page.hides(f"#{dialog}")
