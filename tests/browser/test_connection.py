"""What is told of the connection, and what goes on without it."""

import pytest

from chat_server.ids import UserId
from tests.browser.cable import Cable
from tests.browser.conftest import AtHome, Visits
from tests.browser.visitor import VALUE
from tests.house import House, Person, until

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_a_short_break_is_passed_over_and_a_long_one_is_told(ann: Person, cable: Cable, visit: Visits) -> None:
    visitor = visit(cable.url).log_in(ann)
    cable.cut()
    visitor.offline()
    assert visitor.page.texts("#banner") == []

    visitor.page.shows("#banner")
    assert "Offline" in visitor.page.texts("#banner span")[0] or "Connecting" in visitor.page.texts("#banner span")[0]
    cable.mend()
    visitor.page.run("document.querySelector('#try-now').click()")

    visitor.online().page.hides("#banner")


def test_the_first_paint_is_what_the_last_visit_saw(ann: Person, room_id: str, cable: Cable, visit: Visits) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)
    visitor.say("remembered")
    visitor.sees("remembered")
    visitor.page.until("document.querySelector('nav .name') !== null")

    visitor.page.ask("Network.enable")
    visitor.page.ask("Network.setBlockedURLs", urls=["*/refresh"])
    visitor.page.hold_sockets()
    visitor.page.reload()

    assert visitor.sees("remembered") == ["remembered"]
    assert visitor.page.texts("nav [aria-current] .name") == ["general"]
    visitor.page.ask("Network.setBlockedURLs", urls=[])
    visitor.page.let_sockets_go()
    visitor.online()


def test_an_ended_login_is_asked_for_over_the_page_and_place_and_draft_stay(
    house: House, ann: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.fill("#text", "not yet said")

    for session in ann.get("/api/v1/auth/sessions")["items"]:
        if not session["current"]:
            ann.delete(f"/api/v1/auth/sessions/{session['id']}")
    visitor.page.shows("#log-in")
    assert visitor.page.run("document.querySelector('#chat').inert && !document.querySelector('#chat').hidden")
    visitor.log_in(ann)

    assert visitor.page.run(VALUE) == "not yet said"
    assert visitor.page.texts("#room-name") == ["general"]


def test_somebody_who_was_away_for_long_connects_anew_when_the_line_is_dead(
    ann: Person, bob: Person, room_id: str, cable: Cable, visit: Visits
) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)
    visitor.page.run("document.hasFocus = () => false; dispatchEvent(new Event('blur'))")
    cable.is_deaf = True
    bob.say(room_id, "while you slept")
    visitor.page.run("Date.now = (now => () => now() + 61_000)(Date.now)")

    visitor.page.run("delete document.hasFocus; dispatchEvent(new Event('focus'))")
    visitor.offline()
    cable.is_deaf = False

    assert visitor.online().sees("while you slept") == ["while you slept"]


def test_a_new_version_is_told_and_nothing_is_reloaded_unasked(ann: Person, at_home: AtHome) -> None:
    page = at_home(ann).page
    page.run("window.isSame = true")

    page.run(
        "WebSocket.prototype.addEventListener = (add => function (name, heard, how) {"
        " add.call(this, name, name === 'message' ? ({data}) =>"
        ' heard({data: data.replace(/"version":"[^"]*"/, \'"version":"9"\')}) : heard, how); })'
        "(WebSocket.prototype.addEventListener); dispatchEvent(new Event('offline'))"
    )

    page.shows("#new-version")
    assert page.run("window.isSame")


def test_a_first_visit_to_a_room_shows_where_messages_will_stand_never_a_blank_page(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    visitor.page.run("localStorage.clear()")
    visitor.page.hold_sockets()
    visitor.page.go(f"/?room={room_id}")

    visitor.page.shows("#skeleton li")
    visitor.page.let_sockets_go()

    visitor.online().page.hides("#skeleton")


def test_a_long_break_says_when_it_is_tried_again_and_one_can_go_on_writing(
    ann: Person, room_id: str, cable: Cable, visit: Visits
) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)
    visitor.page.run("Math.random = () => 1")  # the longest rest that may be

    cable.cut()
    visitor.page.until("/retrying in \\d+ s/.test(document.querySelector('#banner:not([hidden]) span')?.textContent)")
    visitor.say("written meanwhile")
    assert visitor.waiting == 1
    cable.mend()
    visitor.page.click("#try-now")

    visitor.online().sees("written meanwhile")


def test_a_browser_that_is_online_again_connects_at_once(ann: Person, cable: Cable, visit: Visits) -> None:
    visitor = visit(cable.url).log_in(ann)
    visitor.page.run(
        "Math.random = () => 1; window.setTimeout = (set => (work, ms) => set(work, ms > 300 ? 1e9 : ms))(setTimeout)"
    )
    cable.cut()
    visitor.offline()
    cable.mend()

    visitor.page.run("dispatchEvent(new Event('online'))")

    visitor.online()


def test_a_page_that_is_left_lets_its_connections_go_and_takes_them_up_again(
    house: House, ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.run("window.isSame = true")
    assert connections_of(house, ann)

    visitor.page.go("/components.html")
    until(lambda: not connections_of(house, ann), patience_s=10)
    bob.say(room_id, "while you were away")
    visitor.page.run("history.back()")
    visitor.page.until("document.querySelector('#connection') !== null")

    assert visitor.online().sees("while you were away") == ["while you were away"]
    assert visitor.page.run("window.isSame")  # it was kept, not loaded anew


def connections_of(house: House, person: Person) -> int:
    found: int = house.on_loop(lambda: len(house.worker.manager.connections_of(UserId(person.id))))
    return found
