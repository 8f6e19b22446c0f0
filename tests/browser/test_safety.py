import re

import pytest

from chat_server.accounts.commands import add_user
from chat_server.accounts.model import NewUser
from chat_server.shapes import Kind, Role
from tests.browser.conftest import Visits
from tests.browser.payloads import PAYLOADS
from tests.browser.visitor import say_all
from tests.house import House

pytestmark = pytest.mark.long

SCRIPTS = (
    "<script>pwned = 1</script>",
    "<img src=x onerror='pwned = 1'>",
    '"><svg onload=pwned=1>',
    "javascript:pwned=1",
    "</p></li><a href='javascript:pwned=1'>click</a>",
)


def test_markup_in_names_rooms_and_messages_stays_text(house: House, visit: Visits) -> None:
    name = "<img src=x onerror=pwned=1>"
    ann, bob = visit(house.url), house.person("bob")
    ann.register("ann-with-markup", display_name=name)
    ann.online()
    ann.page.click("[data-dialog=new-room]")
    ann.page.fill("#new-room-name", SCRIPTS[1])
    ann.page.fill("#new-room-topic", SCRIPTS[0])
    ann.page.press("Enter")
    ann.page.shows("#composer")
    room_id = ann.page.run("new URL(location.href).searchParams.get('room')")

    for script in SCRIPTS:
        ann.say(script)
    bob.join(room_id)
    bob.say(room_id, f"@ann-with-markup {SCRIPTS[2]}")
    ann.page.click("[data-dialog=inbox]")

    ann.sees(*SCRIPTS, f"@ann-with-markup {SCRIPTS[2]}")
    assert ann.page.texts("#room-name") == [SCRIPTS[1]]
    assert ann.page.texts("#room-topic") == [SCRIPTS[0]]
    assert ann.page.texts("#me") == [name]
    assert ann.page.texts("#messages .name")[0] == name
    assert ann.page.run("typeof pwned") == "undefined"
    assert (
        ann.page.run(
            "document.querySelectorAll(`body :is(script, iframe, svg:not(.icon), img:not([src^='/icon']))`).length"
        )
        == 0
    )


def test_the_page_runs_under_its_strict_policy(house: House, visit: Visits) -> None:
    ann = visit(house.url).log_in(house.person("ann"))

    refused = ann.page.run(
        "(() => { try { document.body.innerHTML = '<b>no</b>'; return ''; } catch (error) { return error.name; } })()"
    )

    assert refused == "TypeError"
    ann.page.forget_complaints()


def test_normal_use_leaves_the_console_empty(house: House, visit: Visits) -> None:
    person, bob = house.person("ann"), house.person("bob")
    room_id = bob.room()
    person.join(room_id)
    ann = visit(house.url)
    ann.page.shows("#log-in")
    first_visit = ann.page.complaints

    ann.log_in(person).open(room_id).say("hello")
    bob.say(room_id, "hi")
    ann.sees("hello", "hi")
    ann.page.click("[data-dialog=inbox]")
    ann.page.press("Escape")
    ann.page.click("[data-dialog=public-rooms]")
    ann.page.press("Escape")
    ann.page.reload()
    ann.sees("hello", "hi")
    ann.online()

    assert all("401" in line and line.endswith("/refresh") for line in first_visit)  # nobody was logged in
    assert ann.page.complaints == first_visit


STRANGERS = """[...document.querySelectorAll('body *')].filter(e =>
    e.matches('script, iframe, object, embed, style, link, base, meta, math, video, audio, marquee, svg:not(.icon)')
    || (e.matches('img') && !e.getAttribute('src').startsWith('/icon'))
    || [...e.attributes].some(({name}) => name.startsWith('on'))
    || (e.matches('a, area') && e.href && !/^https?:/.test(e.href))
).map(e => e.outerHTML.slice(0, 100))"""


def test_two_hundred_payloads_in_every_field_that_people_fill_stay_text(house: House, visit: Visits) -> None:
    ann, owner = house.person("ann"), house.person("owner", Role.OWNER)
    one_line = [payload.replace("\n", " ").replace("\t", " ")[:60] for payload in PAYLOADS]
    for index, payload in enumerate(one_line):
        new = NewUser(username=f"person-{index}", password_hash="", display_name=payload)
        house.write(lambda unit, new=new: add_user(unit, new, Kind.HUMAN, Role.MEMBER))
    rooms = [ann.post("/api/v1/rooms", {"name": payload, "topic": payload})["id"] for payload in one_line]
    say_all(ann, rooms[0], list(PAYLOADS))
    for payload in PAYLOADS:
        note = {"user_ids": [ann.id], "title": payload.replace("\n", " ").replace("\t", " "), "text": payload}
        owner.post("/api/v1/notifications", note)
    ann.patch("/api/v1/users/me", {"display_name": one_line[0]})
    assert len(set(PAYLOADS)) >= 200
    visitor = visit(house.url).log_in(ann).open(rooms[0])
    page = visitor.page

    page.click("#earlier")
    page.until(f"document.querySelectorAll('#messages .message').length >= {len(PAYLOADS) - 60}")
    shown = "".join(page.run("[...document.querySelectorAll('#messages .text')].map(e => e.textContent)"))
    missing = [payload for payload in PAYLOADS[60:] if _bare(payload) not in _bare(shown)]
    assert missing == []
    assert set(page.run("[...document.querySelectorAll('#rooms .name')].map(e => e.textContent)")) == set(one_line)
    for dialog in ("inbox", "people", "public-rooms", "switcher"):
        page.click(f"[data-dialog={dialog}]")
        page.until(f"document.querySelectorAll('#{dialog} li').length > 1")
        assert page.run(STRANGERS) == []
        page.press("Escape")
    for source in ann.get(f"/api/v1/rooms/{rooms[0]}/messages", params={"limit": 20})["items"]:
        ann.say(rooms[0], "so what", reply_to=source["id"])
    page.until("document.querySelectorAll('#messages .source:not([hidden])[href]').length === 20")
    assert page.run(STRANGERS) == []
    page.fill("#text", PAYLOADS[1])
    page.reload()
    visitor.online()

    assert page.run(STRANGERS) == []
    assert page.run("typeof pwned") == "undefined"


def _bare(text: str) -> str:
    """Without what markup takes away."""
    return re.sub(r"[*_~`>\s]|^- |\[|\]\(|html", "", text)
