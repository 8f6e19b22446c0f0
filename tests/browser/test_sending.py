"""From the box to the log: at once, once, and in order."""

import pytest

from tests.browser.cable import Cable
from tests.browser.conftest import AtHome, Visits
from tests.house import Person

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_a_post_stands_in_the_log_at_once_and_its_row_stays_when_it_is_answered(
    ann: Person, room_id: str, cable: Cable, visit: Visits
) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)
    cable.is_deaf = True
    visitor.say("on its way")
    visitor.page.until("document.querySelectorAll('#messages .pending').length === 1")
    visitor.page.run("window.row = document.querySelector('#messages .pending')")
    assert visitor.page.texts("#messages .pending .name") == ["ann"]
    colours = "[...document.querySelectorAll('#messages .pending .text, #me')].map(one => getComputedStyle(one).color)"
    assert len(set(visitor.page.run(colours))) == 2  # it is dimmed

    cable.cut()
    cable.mend()
    visitor.all_sent()

    assert visitor.page.run("row.isConnected && row.dataset.seq === '1' && !row.classList.contains('pending')")


def test_a_refused_post_is_retried_as_the_same_message(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(bob).open(room_id)
    visitor.page.run("document.querySelector('#text').setCustomValidity = () => {}")
    visitor.page.fill("#text", "x" * 4001)
    visitor.page.press("Enter")
    visitor.page.shows("#messages .refused [data-verb=retry-post]")
    key = visitor.page.run("document.querySelector('#messages .refused').dataset.key")

    visitor.page.click("[data-verb=retry-post]")

    visitor.page.until("document.querySelector('#messages .refused') !== null")
    assert visitor.page.run("document.querySelector('#messages .refused').dataset.key") == key
    assert visitor.waiting == 1


def test_what_is_not_sent_survives_a_reload_and_goes_out_in_order_by_itself(
    ann: Person, room_id: str, cable: Cable, visit: Visits
) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)
    cable.is_deaf = True
    for text in ("one", "two", "three"):
        visitor.say(text)
    cable.cut()
    visitor.offline()
    assert visitor.waiting == 3
    cable.mend()
    visitor.page.reload()

    assert visitor.online().sees("one", "two", "three") == ["one", "two", "three"]
    visitor.all_sent()
    assert ann.get(f"/api/v1/rooms/{room_id}")["last_message_seq"] == 3
