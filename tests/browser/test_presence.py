"""Who is there, who writes, who comes and goes."""

import pytest

from tests.browser.conftest import AtHome
from tests.house import House, Person

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_typing_is_seen_by_others_and_ends(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    one, other = at_home(ann).open(room_id), at_home(bob).open(room_id)
    other.page.until("document.querySelector('#room-presence').textContent !== ''")

    one.page.fill("#text", "I am just about to say")
    other.page.until("document.querySelector('#typing').textContent === 'ann is typing…'")
    assert one.page.texts("#typing") in ([""], [])
    one.page.press("Enter")

    other.page.until("document.querySelector('#typing').textContent === ''")


def test_who_is_there_is_told_in_words(ann: Person, bob: Person, at_home: AtHome) -> None:
    direct_id = ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)["id"]
    visitor = at_home(ann).open(direct_id)
    assert visitor.page.until("document.querySelector('#room-presence').textContent") in {"offline", "online"} or (
        visitor.page.texts("#room-presence")[0].startswith("last seen")
    )

    with bob.wire() as wire:
        wire.connect()
        visitor.page.until("document.querySelector('#room-presence').textContent === 'online'")

    visitor.page.until("document.querySelector('#room-presence').textContent.startsWith('last seen')")


def test_typing_ages_out_by_itself_moves_nothing_and_is_told_once_an_interval(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    page = at_home(ann).open(room_id).page
    page.until("document.querySelector('#room-presence').textContent !== ''")
    place = "JSON.stringify(['#log', '#composer'].map(one => document.querySelector(one).getBoundingClientRect()))"
    before = page.run(place)

    with bob.wire() as wire:
        wire.rpc("typing.start", room_id=room_id)
        page.until("document.querySelector('#typing').textContent === 'bob is typing…'")
        assert page.run(place) == before
        page.until("document.querySelector('#typing').textContent === ''")
        wire.subscribe(f"presence:{room_id}")
        for letter in "hello":
            page.ask("Input.insertText", text=letter)
        page.press("Enter")
        told = [wire.push(f"presence:{room_id}")["data"]["type"]]
        while told[-1] != "typing.stopped":
            told.append(wire.push(f"presence:{room_id}")["data"]["type"])

    assert told.count("typing.started") == 1


def test_typing_is_told_to_nobody_by_who_does_not_want_it(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.click("[data-dialog=preferences]")
    visitor.page.click("#likes [name=typing]")
    visitor.page.press("Escape")

    with bob.wire() as wire:
        wire.subscribe(f"presence:{room_id}")
        wire.subscribe(f"room:{room_id}")
        visitor.say("out of the blue")
        wire.event(f"room:{room_id}", "message.posted")
        told = [push["pub"]["data"]["type"] for push in wire.pushes if push["channel"].startswith("presence:")]

    assert "typing.started" not in told


def test_who_comes_goes_and_is_renamed_stands_quietly_in_the_log(
    house: House, ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.say("before")
    visitor.sees("before")
    cleo, dan = house.person("cleo"), house.person("dan")

    cleo.join(room_id)
    visitor.page.until("document.querySelector('#messages .comings')?.innerText === 'cleo joined'")
    ann.put(f"/api/v1/rooms/{room_id}/members/{dan.id}")
    visitor.page.until("document.querySelector('#messages .comings').innerText === 'cleo joined · ann added dan'")
    visitor.say("between")
    visitor.sees("before", "between")
    bob.patch("/api/v1/users/me", {"display_name": "Robert"})
    visitor.page.until(
        "[...document.querySelectorAll('#messages .comings')].at(-1).innerText === 'bob is now called Robert'"
    )
    cleo.post(f"/api/v1/rooms/{room_id}/leave", status=204)
    ann.delete(f"/api/v1/rooms/{room_id}/members/{dan.id}")

    many = "document.querySelectorAll('#messages .comings')[1]"
    visitor.page.until(f"{many}.innerText === '3 changes in who is here'")
    visitor.page.click("#messages .comings summary")
    visitor.page.until(f"{many}.innerText.includes('cleo left · ann removed dan')")
    assert visitor.unread(room_id) == ""


def test_a_new_name_is_shown_wherever_the_person_is(ann: Person, bob: Person, room_id: str, at_home: AtHome) -> None:
    ann.post("/api/v1/direct", {"user_id": bob.id}, status=200)
    bob.say(room_id, "hello")
    visitor = at_home(ann).open(room_id)
    visitor.sees("hello")
    visitor.page.until("document.querySelector('#directs .name')?.textContent === 'bob'")

    bob.patch("/api/v1/users/me", {"display_name": "Robert"})

    visitor.page.until("document.querySelector('#messages .message .name').textContent === 'Robert'")
    visitor.page.until("document.querySelector('#directs .name').textContent === 'Robert'")
