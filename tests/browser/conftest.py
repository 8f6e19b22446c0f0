"""A real browser for these tests: one for all of them, a profile of its own for each person."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest

from tests.browser.cable import Cable
from tests.browser.chromium import Chromium, Profile
from tests.browser.visitor import Visitor
from tests.house import House, Person, house_with

Visits = Callable[..., Visitor]
AtHome = Callable[[Person], Visitor]


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    binary = os.environ.get("CHAT_CHROMIUM") or shutil.which("chromium")
    if not binary:
        reason = "NO BROWSER: install chromium or set CHAT_CHROMIUM to one; nothing of the page is tested"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    browser = Chromium(binary, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def profile(chromium: Chromium) -> Iterator[Callable[[str], Profile]]:
    """Browsers with nothing in them, at a server's address. At the end none may have found a fault in the page."""
    made: list[Profile] = []

    def make(url: str) -> Profile:
        made.append(Profile(chromium, url))
        return made[-1]

    yield make
    faults = [fault for one in made for page in one.pages for fault in page.faults]
    for one in made:
        one.close()
    assert faults == []


@pytest.fixture
def visit(profile: Callable[[str], Profile]) -> Visits:
    """Somebody comes to a server's page, with a browser of their own: `visit(house.url)`."""

    def come(url: str, path: str = "/", width: int = 1280) -> Visitor:
        return Visitor(profile(url), path, width)

    return come


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for all of these tests."""
    with house_with(tmp_path_factory.mktemp("house") / "data") as found:
        yield found


@pytest.fixture
def at_home(house: House, profile: Callable[[str], Profile]) -> Callable[[Person], Visitor]:
    """Somebody of the house, logged in at its page since an earlier visit: by a login and a cookie of their own."""

    def come(person: Person) -> Visitor:
        login = house.login(person.id, person.username)
        browser = profile(house.url)
        browser.hold_cookies(login.http.post("/api/v1/auth/cookie").cookies)
        return Visitor(browser).online()

    return come


@pytest.fixture
def room_id(ann: Person, bob: Person) -> str:
    """A room of ann's that bob is in too."""
    found = ann.room("general")
    bob.join(found)
    return found


@pytest.fixture
def cable(house: House) -> Iterator[Cable]:
    """A line to the house that can be cut."""
    found = Cable(house.port)
    yield found
    found.cut()
