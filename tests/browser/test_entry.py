import re

import pytest

from chat_server.shapes import Role
from tests.browser.chromium import Page
from tests.browser.conftest import Visits
from tests.house import PASSWORD, House
from tests.process import Process

pytestmark = pytest.mark.long

HAS_NAMES = "document.querySelector('#me').textContent"


@pytest.fixture
def first_link(process: Process) -> str:
    """The path of the set-up link that the console prints."""
    assert process.process is not None
    assert process.process.stdout is not None
    line = process.process.stdout.readline()
    return line.split(process.url, 1)[1].strip()


def refused(page: Page, form: str) -> list[str]:
    page.until(f"document.querySelector('#{form} .refused, #{form} .refusal:not([hidden])') !== null")
    return page.texts(f"#{form} .refused, #{form} .refusal")


def test_the_printed_link_makes_the_owner_and_logs_in(process: Process, first_link: str, visit: Visits) -> None:
    ann = visit(process.url, first_link)

    ann.page.fill("#set-up-username", "ann")
    ann.page.fill("#set-up-password", PASSWORD)
    ann.page.press("Enter")

    ann.online()
    assert ann.page.run("location.pathname + location.search") == "/"
    assert process.log_in("ann").get("/api/v1/users/me")["role"] == "owner"


def test_a_wrong_set_up_code_is_told_in_the_form(process: Process, visit: Visits) -> None:
    ann = visit(process.url, "/setup?code=wrong")

    ann.page.fill("#set-up-username", "ann")
    ann.page.fill("#set-up-password", PASSWORD)
    ann.page.press("Enter")

    assert "code" in refused(ann.page, "set-up")[0]


def test_a_registration_logs_in_and_a_reload_keeps_the_login(house: House, visit: Visits) -> None:
    ann = visit(house.url)

    ann.register("ann-registers", display_name="Ann")
    ann.online()
    ann.page.reload()

    ann.online()
    assert ann.page.run(HAS_NAMES) == "Ann"


def test_a_registration_shows_the_servers_errors_beside_their_fields(house: House, visit: Visits) -> None:
    ann = visit(house.url)

    ann.register("Ann Smith", password="short")

    assert len(refused(ann.page, "register")) == 2
    for field in ("username", "password"):
        note = ann.page.run(f"document.querySelector('#register-{field}').getAttribute('aria-describedby')")
        assert ann.page.texts(f"#register-{field}[aria-invalid=true] + #{note}") != []


def test_a_taken_username_is_told_beside_it(house: House, visit: Visits) -> None:
    taken = house.person("ann").username
    bob = visit(house.url)

    bob.register(taken)

    assert "taken" in refused(bob.page, "register")[0]
    assert bob.page.run("document.querySelector('#register-username').ariaInvalid") == "true"


def test_a_wrong_password_is_told_and_the_right_one_logs_in(house: House, visit: Visits) -> None:
    person = house.person("ann")
    ann = visit(house.url)

    ann.page.fill("#log-in-username", person.username)
    ann.page.fill("#log-in-password", "wrong-horse")
    ann.page.press("Enter")

    assert refused(ann.page, "log-in") == ["The username or the password is wrong."]
    ann.log_in(person)
    assert ann.page.run(HAS_NAMES) == "ann"


def test_an_invite_link_registers_where_an_invite_is_needed(new_house, visit: Visits) -> None:
    house = new_house(registration="invite")
    owner = house.person("ann", Role.OWNER)
    room_id = owner.room("welcome", "private")
    invite = owner.post("/api/v1/invites", {"room_id": room_id})
    bob = visit(house.url, invite["url"])

    bob.page.fill("#register-username", "bob")
    bob.page.fill("#register-password", PASSWORD)
    bob.page.press("Enter")

    bob.online().open(room_id)
    assert bob.page.texts("#room-name") == ["welcome"]


def test_a_registration_without_an_invite_is_refused_where_one_is_needed(new_house, visit: Visits) -> None:
    house = new_house(registration="invite")
    bob = visit(house.url)

    bob.register("bob")

    assert refused(bob.page, "register") == ["Registration here needs a valid invite."]


def test_no_script_can_read_what_holds_the_login(house: House, visit: Visits) -> None:
    ann = visit(house.url).log_in(house.person("ann"))

    ann.page.run("dispatchEvent(new Event('pagehide'))")  # now the page has kept what it keeps
    readable = ann.page.run("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])")

    assert "chat:me" in readable
    assert not re.search(r"eyJ|ey[A-Za-z0-9_-]{20}|[ct]k_|token", readable), readable


def test_the_access_token_is_renewed_before_it_expires(new_house, visit: Visits) -> None:
    house = new_house(access_ttl_s=2)
    person = house.person("ann")
    ann = visit(house.url).log_in(person)

    ann.page.until("performance.getEntriesByType('resource').filter(e => e.name.endsWith('/refresh')).length >= 2")

    assert ann.page.run("document.querySelector('#chat').checkVisibility()")
    ann.page.click("[data-verb=log-out]")
    ann.page.shows("#log-in")


def test_logging_out_in_one_window_ends_the_other(house: House, visit: Visits) -> None:
    person = house.person("ann")
    ann = visit(house.url).log_in(person)
    other = ann.profile.page("/")
    other.until("document.querySelector('#connection').dataset.state === 'online'")

    ann.page.click("[data-verb=log-out]")

    other.shows("#log-in")
    assert other.texts("#farewell") == ["Your login has ended. Log in again."]
    assert house.on_loop(lambda: house.worker.manager.connections_of(person.id)) == []
