from collections.abc import Callable

import pytest

from chat_server.shapes import Role
from tests.browser.chromium import Page, Profile
from tests.browser.conftest import Visits
from tests.house import House, Person

pytestmark = pytest.mark.long  # the quick suite keeps one browser test in two


@pytest.fixture
def owner(house: House) -> Person:
    return house.person("ann", Role.OWNER)


@pytest.fixture
def page(house: House, owner: Person, visit: Visits) -> Page:
    """The owner's page, reached from the chat."""
    visitor = visit(house.url).log_in(owner)
    visitor.page.click("#to-owner")
    visitor.page.shows("#owner")
    return visitor.page


FETCHED = "performance.getEntriesByType('resource').map(({name}) => new URL(name).pathname)"
SHOWN = "Object.fromEntries([...document.querySelectorAll('.chart')].map(one => one.innerText.split('\\n')))"


def test_the_owner_sees_the_servers_figures_move_over_one_stream(owner: Person, page: Page) -> None:
    with owner.wire() as one, owner.wire() as other:
        for wire in (one, other):
            wire.connect()
        page.until(f"Number(({SHOWN})['Sockets']) >= 2")
        page.until("document.querySelector('#figures polyline').getAttribute('points')?.split(' ').length >= 2")

    page.until(f"Number(({SHOWN})['Streams']) >= 1")
    assert page.texts("#workers") == ["1 worker"]
    fetched = page.run(FETCHED)
    assert fetched.count("/sse") <= 1
    assert "/metrics" not in fetched


def test_the_figures_rest_while_nobody_sees_the_page(page: Page) -> None:
    page.until("document.querySelector('#figures polyline').getAttribute('points')")
    page.run(
        "window.followed = 0; EventSource = class extends EventSource { constructor(url) { super(url); followed++; } }"
    )

    page.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.run("document.dispatchEvent(new Event('visibilitychange'))")
    page.run("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")

    page.until("followed === 1")


def test_the_owner_disables_somebody_and_changes_a_role(house: House, page: Page) -> None:
    bob = house.person("bob")
    page.fill("#people-query", bob.username)
    page.press("Enter")
    page.until("document.querySelectorAll('#people li').length === 1")

    page.run(
        "(select => { select.value = 'guest'; select.dispatchEvent(new Event('change', {bubbles: true})); })"
        "(document.querySelector('#people select'))"
    )
    page.click("#people [data-verb=disable]")
    page.shows("#people [data-verb=enable]")

    bob.get("/api/v1/users/me", status=401)
    page.click("#people [data-verb=enable]")
    page.shows("#people [data-verb=disable]")
    assert page.run("document.querySelector('#people select').value") == "guest"


def test_an_invite_link_is_made_and_lets_somebody_in(
    house: House, page: Page, profile: Callable[[str], Profile]
) -> None:
    page.click("[data-verb=invite] button")
    page.shows("#new-invite")
    link = page.texts("#new-invite code")[0]

    guest = profile(house.url).page(link.removeprefix(house.url))

    guest.shows("#invited")
    assert guest.run("document.querySelector('#register-invite').value") != ""


def test_a_bot_gets_a_key_that_is_shown_once_and_can_be_revoked(house: House, page: Page) -> None:
    page.fill("#bot-name", "deployer")
    page.press("Enter")
    page.click(".bot [data-verb=new-key]")
    page.shows("#new-secret-key")
    bot = Person(house.url, "me", "deployer", page.texts("#new-secret-key code")[0])
    assert bot.get("/api/v1/users/me")["kind"] == "bot"

    page.click("[data-verb=revoke-key]")
    page.shows(".no-keys")

    bot.get("/api/v1/users/me", status=401)


def test_others_see_nothing_of_the_owners_page(house: House, visit: Visits) -> None:
    visitor = visit(house.url).log_in(house.person("bob"))
    assert visitor.page.texts("#to-owner") == []

    visitor.page.go("/owner.html")

    visitor.page.shows("#trouble")
    assert visitor.page.texts("#owner") == []
