"""Where one reads: what is new, what was read, and that nothing moves it."""

import json

import pytest
from sqlalchemy import update

from chat_server.store.schema import messages
from tests.browser.conftest import AtHome
from tests.browser.visitor import ON_SCREEN, say_all
from tests.house import House, Person, until

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_a_room_opens_at_the_first_unread_message_under_a_divider_that_stays(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    say_all(bob, room_id, [f"read {number}" for number in range(40)])
    ann.post(f"/api/v1/rooms/{room_id}/read", {"seq": 40}, status=200)
    say_all(bob, room_id, [f"new {number}" for number in range(60)])

    visitor = at_home(ann).open(room_id)
    visitor.page.shows(".divider")

    seen = visitor.page.until(f"(found => found.includes('new 0') && found)({ON_SCREEN})")
    assert "new 59" not in seen
    after = "document.querySelector('.divider').nextElementSibling.querySelector('.text').textContent"
    assert visitor.page.run(after) == "new 0"
    visitor.page.click("#to-newest")
    visitor.page.until(f"{ON_SCREEN}.includes('new 59')")
    until(lambda: ann.get(f"/api/v1/rooms/{room_id}")["unread"] == 0)
    visitor.page.run("document.querySelector('#log').scrollTop = 0")
    assert visitor.page.run(after) in {"new 0", "new 10"}


def test_only_what_was_on_screen_is_read(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    say_all(bob, room_id, [f"new {number}" for number in range(60)])

    visitor = at_home(ann).open(room_id)
    visitor.page.shows(".divider")
    until(lambda: ann.get(f"/api/v1/rooms/{room_id}")["last_read_seq"] > 0)

    assert 0 < ann.get(f"/api/v1/rooms/{room_id}")["unread"] < 60


def test_who_reads_further_up_is_not_moved_and_can_jump_to_the_newest(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    say_all(ann, room_id, [f"old {number}" for number in range(50)])
    visitor = at_home(ann).open(room_id)
    visitor.page.until(f"{ON_SCREEN}.includes('old 49')")
    visitor.page.run("document.querySelector('#log').scrollTop = 300")
    visitor.page.shows("#to-newest")
    before = visitor.page.run(ON_SCREEN)

    bob.say(room_id, "newest")
    visitor.page.until("document.querySelector('#to-newest .count').textContent === '1'")
    assert visitor.page.run(ON_SCREEN) == before
    visitor.page.click("#to-newest")

    visitor.page.until(f"{ON_SCREEN}.includes('newest')")
    visitor.page.hides("#to-newest")


def test_an_own_post_brings_its_writer_to_the_end(ann: Person, room_id: str, at_home: AtHome) -> None:
    say_all(ann, room_id, [f"old {number}" for number in range(50)])
    visitor = at_home(ann).open(room_id)
    visitor.page.until(f"{ON_SCREEN}.includes('old 49')")
    visitor.page.run("document.querySelector('#log').scrollTop = 0")

    visitor.say("here I am")

    visitor.page.until(f"{ON_SCREEN}.includes('here I am')")


def test_markdown_is_shown_and_links_are_safe(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)

    visitor.say("**bold** `code` https://example.org/x.")
    visitor.sees("bold code https://example.org/x.")

    assert visitor.page.texts("#messages .text strong") == ["bold"]
    assert visitor.page.texts("#messages .text code") == ["code"]
    link = "(({href, rel}) => [href, rel])(document.querySelector('#messages .text a'))"
    assert visitor.page.run(link) == ["https://example.org/x", "noopener noreferrer nofollow"]


def test_days_stand_over_their_messages_and_one_senders_messages_within_minutes_are_one_group(
    house: House, ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    say_all(bob, room_id, ["long ago", "yesterday", "now", "and now", "much later"])
    minute = 60_000
    ages = {1: 40 * 24 * 60 * minute, 2: 24 * 60 * minute, 3: 10 * minute, 4: 9 * minute, 5: 0}
    for seq, age in ages.items():
        house.write(
            lambda unit, seq=seq, age=age: unit.run(
                update(messages)
                .where(messages.c.room_id == room_id, messages.c.seq == seq)
                .values(created_at=unit.at_ms - age)
            )
        )

    page = at_home(ann).open(room_id).page
    page.until("document.querySelectorAll('#messages .message').length === 5")

    assert page.texts("#messages .day")[1:] == ["Yesterday", "Today"]
    assert page.texts("#messages .message:not(.grouped) .text") == ["long ago", "yesterday", "now", "much later"]
    assert page.texts("#messages .message.grouped .text") == ["and now"]


def test_back_leads_to_where_one_read(ann: Person, room_id: str, at_home: AtHome) -> None:
    say_all(ann, room_id, [f"number {number}" for number in range(200)])
    other_id = ann.room("other")
    visitor = at_home(ann).open(room_id)
    page = visitor.page
    page.until(f"{ON_SCREEN}.includes('number 199')")
    page.run("document.querySelector('#log').scrollTop = 300")
    page.until(f"!{ON_SCREEN}.includes('number 199')")
    seen = page.run(f"{ON_SCREEN}.at(0)")
    visitor.open(other_id)
    page.until("document.querySelector('#room-name').textContent === 'other'")

    page.run("history.back()")

    page.until("document.querySelector('#room-name').textContent === 'general'")
    page.until(f"{ON_SCREEN}.includes({json.dumps(seen)})")


def test_a_hole_loads_itself_before_it_is_reached(ann: Person, room_id: str, at_home: AtHome) -> None:
    say_all(ann, room_id, [f"number {number}" for number in range(200)])
    page = at_home(ann).open(room_id).page
    page.go(f"/?room={room_id}&seq=50")
    page.until(f"{ON_SCREEN}.includes('number 49')")
    page.until("!document.querySelector('#later').hidden")

    page.run("(log => (log.scrollTop = log.scrollHeight))(document.querySelector('#log'))")
    page.until("Number(document.querySelector('#messages .message:last-child').dataset.seq) > 100")
    page.run(
        "(log => { log.dispatchEvent(new WheelEvent('wheel')); log.scrollTop = 0; })(document.querySelector('#log'))"
    )

    page.until("document.querySelector('#messages .message').dataset.seq === '1'")


def test_all_rooms_are_marked_read_at_once(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    other_id = ann.room("other")
    bob.join(other_id)
    visitor = at_home(ann)
    for one in (room_id, other_id):
        bob.say(one, "hello")
        visitor.sees_unread(one, "1")
        weight = f"getComputedStyle(document.querySelector('nav a[href=\"/?room={one}\"]')).fontWeight"
        assert int(visitor.page.run(weight)) >= 600

    visitor.page.click("[data-dialog=preferences]")
    visitor.page.click("[data-verb=read-all-rooms]")

    for one in (room_id, other_id):
        visitor.sees_unread(one, "")
        until(lambda one=one: ann.get(f"/api/v1/rooms/{one}")["unread"] == 0)


def test_rooms_stay_where_they_are_whatever_is_said_in_them(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    for name in ("alpha", "omega"):
        bob.join(ann.room(name))
    last_id = ann.room("zulu")
    bob.join(last_id)
    visitor = at_home(ann)
    visitor.page.until("document.querySelectorAll('#rooms li').length === 4")

    bob.say(last_id, "first?")
    visitor.sees_unread(last_id, "1")

    assert visitor.page.texts("#rooms .name") == ["alpha", "general", "omega", "zulu"]


def test_code_is_copied_and_no_picture_of_elsewhere_is_fetched(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.fill("#text", "```\nlet it = be\n```\n![a cat](http://127.0.0.1:9/cat.png)")
    visitor.page.press("Enter")
    visitor.page.until("document.querySelectorAll('#messages li.message:not(.pending)').length === 1")

    visitor.page.click("#messages .code button")

    visitor.page.until("navigator.clipboard.readText().then(text => text === 'let it = be')")
    assert visitor.page.run("document.querySelectorAll('#messages img').length") == 0
