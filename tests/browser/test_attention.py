"""What calls somebody, and what leaves them alone."""

import pytest

from chat_server.shapes import Role
from tests.browser.conftest import AtHome
from tests.browser.visitor import Visitor, say_all
from tests.house import House, Person, until

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_new_messages_are_read_out_politely_and_in_bursts(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.until("document.querySelector('#beginning').checkVisibility()")

    bob.say(room_id, "hello")
    visitor.page.until("document.querySelector('#announcer').textContent === 'bob: hello'")
    say_all(bob, room_id, [f"burst {number}" for number in range(5)])

    visitor.page.until("document.querySelector('#announcer').textContent === '5 new messages'")
    assert visitor.page.run("document.querySelector('#announcer').ariaLive") == "polite"


def test_unread_is_in_the_title_and_in_the_icon(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann)
    assert visitor.page.run("document.querySelector('link[rel=icon]').getAttribute('href')") == "/icon.svg"

    bob.say(room_id, "one")

    visitor.page.until("document.title.startsWith('(1)')")
    assert visitor.page.run("document.querySelector('link[rel=icon]').getAttribute('href')") == "/icon-unread.svg"


def test_a_mention_is_counted_apart_in_the_room_list(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann)

    bob.say(room_id, f"@{ann.username} come")
    bob.say(room_id, "please")

    visitor.page.until("document.querySelector('nav .mentions:not([hidden])')?.textContent === '@1'")
    visitor.sees_unread(room_id, "2")


def test_one_notification_over_all_tabs_and_none_for_who_is_looking(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    pages = [visitor.page, Visitor(visitor.profile).online().page]
    for page in pages:
        page.run(
            "window.shown = []; window.Notification = class extends EventTarget {"
            "static permission = 'granted'; constructor(title, {body}) { super(); shown.push(body); } close() {} }"
        )
        page.run("localStorage.setItem('chat:preferences', JSON.stringify({desktop: true}))")
    bob.say(room_id, f"@{ann.username} while looking")
    visitor.sees_notified("1")
    for page in pages:
        page.run("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")

    bob.say(room_id, f"@{ann.username} come")

    until(lambda: [text for page in pages for text in page.run("shown")] == [f"@{ann.username} come"])


def test_a_page_beside_another_window_reads_nothing_but_still_hears_of_mentions(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.run("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")

    bob.say(room_id, f"@{ann.username} look")

    visitor.sees_notified("1")
    visitor.sees_unread(room_id, "1")
    visitor.page.run("delete document.hasFocus; dispatchEvent(new Event('focus'))")
    visitor.sees_unread(room_id, "")
    visitor.sees_notified("")


def test_the_notification_centre_can_be_narrowed_down(house: House, ann: Person, at_home: AtHome) -> None:
    owner = house.person("owner", Role.OWNER)
    for text, priority in (("calm", 2), ("hurry", 5)):
        owner.post("/api/v1/notifications", {"user_ids": [ann.id], "text": text, "priority": priority})
    visitor = at_home(ann)
    visitor.sees_notified("2")
    visitor.page.click("[data-dialog=inbox]")
    assert visitor.page.texts(".notification .text") == ["hurry", "calm"]

    visitor.page.click("#only-urgent")
    visitor.page.until("document.querySelectorAll('.notification').length === 1")

    assert visitor.page.texts(".notification .text") == ["hurry"]
    assert visitor.page.texts(".notification .priority") == ["urgent"]


def test_the_app_badge_shows_what_is_unread(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    page = at_home(ann).page
    page.run("window.badges = []; navigator.setAppBadge = async count => void badges.push(count)")

    bob.say(room_id, "one")

    page.until("badges.at(-1) === 1")


def test_permission_to_notify_is_asked_for_by_a_click_and_a_block_is_explained(ann: Person, at_home: AtHome) -> None:
    page = at_home(ann).page
    page.run(
        "window.asked = 0; Notification.requestPermission = async () => { asked++; return 'denied'; };"
        "Object.defineProperty(Notification, 'permission', {get: () => asked ? 'denied' : 'default'})"
    )
    page.click("[data-dialog=preferences]")
    page.until("document.querySelector('#desktop-help').textContent.startsWith('For mentions')")
    assert page.run("asked") == 0

    page.click("#likes [name=desktop]")

    page.until("document.querySelector('#desktop-help').textContent.startsWith('The browser blocks')")
    assert page.run("asked") == 1
    assert page.run("document.querySelector('#likes [name=desktop]').checked") is False
