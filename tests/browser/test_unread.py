import pytest

from tests.browser.conftest import AtHome
from tests.browser.visitor import Visitor
from tests.house import Person

pytestmark = pytest.mark.long


@pytest.fixture
def rooms(ann: Person, bob: Person) -> tuple[str, str]:
    """Two rooms that both are in."""
    first, second = ann.room("first"), ann.room("second")
    bob.join(first)
    bob.join(second)
    return first, second


def test_unread_goes_up_in_another_room_and_down_in_all_windows_when_it_is_opened(
    ann: Person, bob: Person, rooms: tuple[str, str], at_home: AtHome
) -> None:
    first, second = rooms
    visitor = at_home(ann).open(first)
    window = Visitor(visitor.profile, f"/?room={first}").online()

    bob.say(second, "one")
    bob.say(second, "two")
    visitor.sees_unread(second, "2")
    window.sees_unread(second, "2")
    visitor.open(second)

    visitor.sees_unread(second, "")
    window.sees_unread(second, "")
    assert ann.get(f"/api/v1/rooms/{second}")["unread"] == 0


def test_unread_is_there_after_a_reload_and_in_the_title(
    ann: Person, bob: Person, rooms: tuple[str, str], at_home: AtHome
) -> None:
    first, second = rooms
    bob.say(second, "one")
    visitor = at_home(ann).open(first)
    visitor.sees_unread(second, "1")

    visitor.page.reload()

    visitor.sees_unread(second, "1")
    assert visitor.page.run("document.title").startswith("(1) first ")


def test_ones_own_messages_are_never_unread(ann: Person, rooms: tuple[str, str], at_home: AtHome) -> None:
    first, second = rooms
    visitor = at_home(ann).open(first)

    ann.say(second, "from another device")
    ann.say(first, "here")
    visitor.sees("here")

    assert (visitor.unread(first), visitor.unread(second)) == ("", "")


def test_a_hidden_page_reads_nothing_until_it_is_looked_at(
    ann: Person, bob: Person, rooms: tuple[str, str], at_home: AtHome
) -> None:
    first, _ = rooms
    visitor = at_home(ann).open(first)
    visitor.page.bring_to_front()
    visitor.page.look_away()
    visitor.profile.page("/icon.svg", window=False)
    visitor.page.until("document.visibilityState === 'hidden'")

    bob.say(first, "are you there?")
    visitor.sees_unread(first, "1")
    assert ann.get(f"/api/v1/rooms/{first}")["unread"] == 1
    visitor.page.bring_to_front()

    visitor.sees_unread(first, "")
    visitor.page.until("document.visibilityState === 'visible'")
