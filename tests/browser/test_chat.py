import pytest

from tests.browser.conftest import AtHome
from tests.browser.visitor import say_all
from tests.house import Person

pytestmark = pytest.mark.long


def test_two_people_see_every_message_once_and_in_order(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    one, other = at_home(ann).open(room_id), at_home(bob).open(room_id)
    texts = []

    for number in range(5):
        one.say(f"ann {number}")
        other.say(f"bob {number}")
        texts += [f"ann {number}", f"bob {number}"]
    one.all_sent()
    other.all_sent()

    stored = [message["text"] for message in ann.get(f"/api/v1/rooms/{room_id}/messages")["items"]]
    assert sorted(stored) == sorted(texts)
    assert one.sees(*stored) == other.sees(*stored)
    assert one.page.texts("#messages .name") == other.page.texts("#messages .name")


def test_a_reload_keeps_the_login_and_shows_the_room_as_it_was(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.say("first")
    visitor.say("second")
    before = visitor.sees("first", "second")

    visitor.page.reload()

    assert visitor.sees("first", "second") == before
    assert visitor.page.texts("#room-name") == ["general"]
    assert visitor.page.texts("nav a[aria-current=page] .name") == ["general"]


def test_a_room_is_made_and_written_in_with_the_keyboard_alone(ann: Person, at_home: AtHome) -> None:
    page = at_home(ann).page

    for _ in range(20):
        page.press("Tab")
        if page.run("document.activeElement.dataset.dialog") == "new-room":
            break
    page.press("Enter")
    page.until("document.activeElement.id === 'new-room-name'")
    page.ask("Input.insertText", text="made by keyboard")
    page.press("Enter")
    page.until("document.activeElement.id === 'text'")
    page.ask("Input.insertText", text="typed")
    page.press("Enter")

    page.until("document.querySelector('#messages li .text')?.textContent === 'typed'")
    assert page.texts("#room-name") == ["made by keyboard"]


def test_a_public_room_is_found_and_joined(ann: Person, bob: Person, at_home: AtHome) -> None:
    room_id = ann.room("a public place")
    ann.say(room_id, "welcome")
    visitor = at_home(bob)

    visitor.page.click("[data-dialog=public-rooms]")
    visitor.page.click(f'#public-room-list button[data-id="{room_id}"]')

    visitor.sees("welcome")
    visitor.say("thanks")
    visitor.sees("welcome", "thanks")
    ann.say(room_id, "live")
    visitor.sees("welcome", "thanks", "live")


def test_a_link_to_a_public_room_offers_to_join_it(ann: Person, bob: Person, at_home: AtHome) -> None:
    room_id = ann.room("linked")
    ann.say(room_id, "welcome")
    visitor = at_home(bob)
    visitor.page.go(f"/?room={room_id}")

    visitor.page.click("[data-verb=join-room]")

    assert visitor.sees("welcome") == ["welcome"]


def test_a_link_to_somebody_elses_private_room_shows_nothing_of_it(ann: Person, bob: Person, at_home: AtHome) -> None:
    room_id = ann.room("hidden", "private")
    visitor = at_home(bob)

    visitor.page.go(f"/?room={room_id}")

    visitor.page.until("document.querySelector('#room-problem').textContent !== ''")
    assert "hidden" not in visitor.page.run("document.body.innerText")
    assert visitor.page.texts("#composer, [role=log]") == []


def test_a_direct_room_opens_for_both_and_is_called_after_the_other(ann: Person, bob: Person, at_home: AtHome) -> None:
    one, other = at_home(ann), at_home(bob)

    one.page.click("[data-dialog=people]")
    one.page.fill("#people-query", bob.username)
    one.page.press("Enter")
    one.page.until("document.querySelectorAll('#people-list li').length === 1")
    one.page.click("#people-list button")
    one.page.until("document.querySelector('#room-name').textContent === 'bob'")
    one.say("just for you")

    other.page.until("document.querySelector('#directs .name')?.textContent === 'ann'")
    other.page.click("#directs a")
    assert other.sees("just for you") == ["just for you"]


def test_edits_and_deletions_are_shown(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    wrong, kept, gone = (bob.say(room_id, text) for text in ("teh cat", "the dog", "oops"))
    visitor = at_home(ann).open(room_id)
    visitor.sees("teh cat", "the dog", "oops")

    bob.patch(f"/api/v1/rooms/{room_id}/messages/{wrong['id']}", {"text": "the cat"})
    bob.delete(f"/api/v1/rooms/{room_id}/messages/{gone['id']}")

    after = visitor.sees("the cat", "the dog", "This message was deleted.")
    assert visitor.page.texts("#messages .edited") == ["edited"]
    visitor.page.reload()
    assert visitor.sees("the cat", kept["text"], "This message was deleted.") == after


def test_history_is_loaded_to_its_beginning(ann: Person, room_id: str, at_home: AtHome) -> None:
    texts = [f"number {number}" for number in range(120)]
    say_all(ann, room_id, texts)
    visitor = at_home(ann).open(room_id)
    assert visitor.sees(*texts[-50:])[0] == "number 70"

    visitor.page.click("#earlier")

    assert visitor.sees(*texts) == texts
    assert visitor.page.texts("#earlier") == []


def test_a_link_to_an_old_message_shows_it_and_leads_on_to_the_newest(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    texts = [f"number {number}" for number in range(120)]
    say_all(ann, room_id, texts)
    visitor = at_home(bob)
    visitor.page.go(f"/?room={room_id}&seq=11")
    visitor.sees(*texts[:50])
    assert visitor.page.texts(".linked .text") == ["number 10"]
    ann.say(room_id, "live meanwhile")

    visitor.page.run("document.querySelector('#later').scrollIntoView()")

    assert visitor.sees(*texts, "live meanwhile")[-1] == "live meanwhile"
    assert visitor.page.texts("#later") == []


def test_somebody_who_is_added_and_removed_sees_the_room_come_and_go(ann: Person, bob: Person, at_home: AtHome) -> None:
    room_id = ann.room("private place", "private")
    visitor = at_home(bob)

    ann.put(f"/api/v1/rooms/{room_id}/members/{bob.id}")
    visitor.open(room_id)
    ann.say(room_id, "hello bob")
    visitor.sees("hello bob")
    ann.delete(f"/api/v1/rooms/{room_id}/members/{bob.id}")

    visitor.page.until(f"document.querySelector('nav a[href=\"/?room={room_id}\"]') === null")
    visitor.page.hides("#composer")
    assert visitor.page.texts("#room-problem") != []


def test_a_draft_stays_in_its_room(ann: Person, room_id: str, at_home: AtHome) -> None:
    other_id = ann.room("other")
    visitor = at_home(ann).open(room_id)
    visitor.page.fill("#text", "half a thought")

    visitor.open(other_id)
    assert visitor.page.run("document.querySelector('#text').value") == ""
    visitor.open(room_id)

    assert visitor.page.run("document.querySelector('#text').value") == "half a thought"


def test_a_message_that_is_refused_stays_with_the_reason(ann: Person, room_id: str, at_home: AtHome) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.run("document.querySelector('#text').setCustomValidity = () => {}")

    visitor.page.fill("#text", "x" * 4001)
    visitor.page.press("Enter")

    visitor.page.until("document.querySelector('#messages .refused') !== null")
    assert "4000" in visitor.page.texts("#messages .refused .fate")[0]
    visitor.say("the next one goes")
    visitor.sees("the next one goes")
    visitor.page.until("document.querySelectorAll('#messages .pending').length === 1")
    visitor.page.click("#messages .fate [data-verb=discard-post]")
    visitor.all_sent()
