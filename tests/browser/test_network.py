"""What people write while the network or the server is away arrives once, and they miss nothing."""

import pytest

from tests.browser.cable import Cable
from tests.browser.conftest import AtHome, Visits
from tests.browser.visitor import say_all
from tests.house import House, Person, until
from tests.process import Process

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def stored_in(room_id: str, person: Person) -> list[str]:
    items = person.get(f"/api/v1/rooms/{room_id}/messages", params={"limit": 200})["items"]
    return [message["text"] for message in items]


def test_a_cut_line_loses_and_doubles_nothing_on_either_side(
    ann: Person, bob: Person, room_id: str, cable: Cable, visit: Visits, at_home: AtHome
) -> None:
    one, other = visit(cable.url).log_in(ann).open(room_id), at_home(bob).open(room_id)
    one.say("before")
    other.sees("before")

    cable.cut()
    one.offline()
    for number in range(4):
        one.say(f"ann {number}")
        other.say(f"bob {number}")
    assert one.waiting == 4
    cable.mend()
    one.online().all_sent()
    other.all_sent()

    stored = stored_in(room_id, ann)
    assert sorted(stored) == sorted(["before", *(f"{name} {number}" for name in ("ann", "bob") for number in range(4))])
    assert [text for text in stored if text.startswith("ann")] == [f"ann {number}" for number in range(4)]
    assert one.sees(*stored) == other.sees(*stored)


def test_a_browser_that_goes_offline_comes_back_with_everything(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    one, other = at_home(ann).open(room_id), at_home(bob).open(room_id)
    one.page.ask("Network.enable")
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}

    one.page.ask("Network.emulateNetworkConditions", offline=True, **network)
    one.offline()
    one.say("from ann")
    other.say("from bob")
    other.sees("from bob")
    one.page.ask("Network.emulateNetworkConditions", offline=False, **network)

    other.sees("from bob", "from ann")
    assert one.sees("from bob", "from ann") == stored_in(room_id, ann)


def test_a_post_whose_answer_was_lost_is_stored_once(ann: Person, room_id: str, cable: Cable, visit: Visits) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)

    cable.is_deaf = True
    visitor.say("only once")
    until(lambda: stored_in(room_id, ann) == ["only once"])
    assert visitor.messages == []
    cable.cut()
    visitor.offline()
    cable.mend()
    visitor.online().all_sent()

    assert visitor.sees("only once") == stored_in(room_id, ann)


def test_a_line_that_breaks_again_and_again_loses_nothing(
    ann: Person, room_id: str, cable: Cable, visit: Visits
) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)
    texts = [f"number {number}" for number in range(12)]

    for number, text in enumerate(texts):
        visitor.say(text)
        if number % 4 == 1:
            cable.cut()
        if number % 4 == 3:
            cable.mend()
    visitor.online().all_sent()

    assert stored_in(room_id, ann) == texts
    assert visitor.sees(*texts) == texts


def test_what_is_missed_beyond_recovery_is_loaded_anew(
    ann: Person, bob: Person, room_id: str, cable: Cable, visit: Visits
) -> None:
    texts = [f"number {number}" for number in range(310)]
    other_id = ann.room("other")
    visitor = visit(cable.url).log_in(ann).open(room_id)
    visitor.say("before")
    visitor.sees("before")

    cable.cut()
    visitor.offline()
    say_all(bob, room_id, texts)
    cable.mend()

    visitor.sees(*texts[-50:])
    visitor.page.click("#earlier")
    visitor.sees(*texts[-150:])
    visitor.open(other_id)
    assert visitor.unread(room_id) == ""


def test_a_server_that_is_killed_and_started_again_loses_and_doubles_nothing(process: Process, visit: Visits) -> None:
    ann, bob = process.person("ann"), process.person("bob")
    room_id = ann.room("general")
    bob.join(room_id)
    one, other = (visit(process.url).log_in(person).open(room_id) for person in (ann, bob))

    for number in range(12):
        one.say(f"ann {number}")
        other.say(f"bob {number}")
        if number == 4:
            process.kill()
            close_output(process)
        if number == 8:
            process.start()
    one.online().all_sent()
    other.online().all_sent()

    stored = stored_in(room_id, process.log_in("ann"))
    for name in ("ann", "bob"):
        assert [text for text in stored if text.startswith(name)] == [f"{name} {number}" for number in range(12)]
    assert len(stored) == 24
    assert one.sees(*stored) == other.sees(*stored)


def test_somebody_who_is_put_out_for_good_stays_out_until_they_ask(
    house: House, ann: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)

    house.api("disconnect", user=ann.id, disconnect={"code": 3503, "reason": "maintenance"})
    visitor.page.until("document.querySelector('#banner span').textContent === 'Disconnected: maintenance'")
    visitor.page.click("#try-now")

    visitor.online().say("back")
    assert visitor.sees("back") == ["back"]


def test_somebody_whose_login_ends_keeps_what_they_wrote_and_sends_it_after_a_new_login(
    ann: Person, room_id: str, cable: Cable, visit: Visits
) -> None:
    visitor = visit(cable.url).log_in(ann).open(room_id)
    cable.cut()
    visitor.offline()
    visitor.say("not lost")
    for session in ann.get("/api/v1/auth/sessions")["items"]:
        if not session["current"]:
            ann.delete(f"/api/v1/auth/sessions/{session['id']}")

    cable.mend()
    visitor.page.shows("#log-in")
    visitor.log_in(ann).all_sent()

    assert visitor.sees("not lost") == stored_in(room_id, ann)


def close_output(process: Process) -> None:
    """Of the process that was killed, before another one takes its place."""
    assert process.process is not None
    assert process.process.stdout is not None
    process.process.stdout.close()
