"""How the page looks and speaks."""

import json
from datetime import datetime, timedelta

import pytest

from tests.browser.conftest import AtHome
from tests.house import Person

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


def test_dark_and_light_are_there_before_the_first_paint_and_can_be_chosen(ann: Person, at_home: AtHome) -> None:
    page = at_home(ann).page
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    light = page.run(ground)

    page.click("[data-dialog=preferences]")
    page.click("#likes [name=theme][value=dark]")
    dark = page.until(f"({ground} !== {json.dumps(light)}) && {ground}")
    page.ask(
        "Page.addScriptToEvaluateOnNewDocument",
        source=f"addEventListener('readystatechange', () => window.first ??= {ground}, true)",
    )
    page.reload()

    assert page.run("window.first") == dark


def test_the_page_speaks_german_to_who_likes_it(ann: Person, at_home: AtHome) -> None:
    page = at_home(ann).page

    page.click("[data-dialog=preferences]")
    page.click("#likes [name=language][value=de]")

    page.until("document.documentElement?.lang === 'de' && document.querySelector('nav h2')?.textContent === 'Räume'")
    page.click("[data-verb=log-out]")
    page.shows("#log-in")
    assert "Anmelden" in page.texts("#log-in h2")


def test_times_are_local_with_the_exact_one_on_hover_and_words_go_their_own_way(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann).open(room_id)
    visitor.page.ask("Emulation.setTimezoneOverride", timezoneId="Asia/Kolkata")
    visitor.page.reload()
    visitor.online()
    for text in ("\u05e9\u05dc\u05d5\u05dd", "hello", "\U0001f389"):
        visitor.say(text)
    visitor.sees("\u05e9\u05dc\u05d5\u05dd", "hello", "\U0001f389")
    page = visitor.page
    stored = ann.get(f"/api/v1/rooms/{room_id}/messages")["items"][0]["created_at"]

    told = page.run("(one => [one.textContent, one.title, one.dateTime])(document.querySelector('#messages time'))")
    assert told[2] == stored
    local = (datetime.fromisoformat(stored) + timedelta(hours=5, minutes=30)).strftime("%I:%M").lstrip("0")
    assert local in told[0].lstrip("0")
    assert local in told[1]
    direction = "[...document.querySelectorAll('#messages .text')].map(one => getComputedStyle(one).direction)"
    assert page.run(direction)[:2] == ["rtl", "ltr"]
    size = "[...document.querySelectorAll('#messages .text')].map(one => parseFloat(getComputedStyle(one).fontSize))"
    assert page.run(f"({size})[2] > 1.5 * ({size})[1]")


def test_nothing_moves_for_who_does_not_like_it(ann: Person, room_id: str, at_home: AtHome) -> None:
    page = at_home(ann).open(room_id).page
    page.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])

    page.click("[data-dialog=preferences]")
    page.shows("#preferences")

    lengths = "document.getAnimations().map(one => one.effect.getComputedTiming().duration)"
    assert set(page.run(lengths)) <= {0}
    assert page.run("getComputedStyle(document.querySelector('#log')).scrollBehavior") == "auto"


def test_a_finger_hits_everything_and_a_phone_does_not_zoom_into_a_field(
    ann: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    page = visitor.page
    page.resize(320, 640)
    page.ask("Emulation.setTouchEmulationEnabled", enabled=True)
    page.until("matchMedia('(pointer: coarse)').matches")
    visitor.open(room_id)
    visitor.say("first")
    visitor.sees("first")

    # 44 px where there is room for that; a row's own button, which would cover its neighbours, 32.
    small = """[...document.querySelectorAll('#chat :is(button, .places a, textarea)')]
        .filter(one => one.checkVisibility()).map(one => [one, one.getBoundingClientRect()])
        .filter(([one, {width, height}]) => Math.min(width, height) < (one.matches('.more') ? 32 : 44))
        .map(([one, {width, height}]) => `${one.outerHTML.slice(0, 60)} ${width} ${height}`)"""
    assert page.run(small) == []
    assert page.run("parseFloat(getComputedStyle(document.querySelector('#text')).fontSize)") >= 16
    assert page.run("getComputedStyle(document.querySelector('.more')).opacity") == "1"
    assert page.run("getComputedStyle(document.documentElement).overscrollBehaviorY") == "none"


def test_the_message_box_stays_above_an_on_screen_keyboard(ann: Person, room_id: str, at_home: AtHome) -> None:
    page = at_home(ann).open(room_id).page
    assert "interactive-widget=resizes-content" in page.run("document.querySelector('[name=viewport]').content")

    page.resize(320, 280)  # what a keyboard leaves of a phone

    bottom = page.until(
        "document.querySelector('#composer').getBoundingClientRect().bottom <= innerHeight && 'in sight'"
    )
    assert bottom == "in sight"
    assert page.run("document.querySelector('#log').clientHeight") > 0
