import pytest

from tests.browser.conftest import AtHome
from tests.browser.visitor import Visitor
from tests.house import House, Person

pytestmark = pytest.mark.long


def test_a_mention_and_a_direct_message_arrive_and_are_marked_read_one_by_one(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    direct_id = bob.post("/api/v1/direct", {"user_id": ann.id}, status=200)["id"]

    bob.say(room_id, f"look here, @{ann.username}")
    visitor.sees_notified("1")
    bob.say(direct_id, "psst")
    visitor.sees_notified("2")
    visitor.page.click("[data-dialog=inbox]")
    assert visitor.page.texts(".notification .text") == ["psst", f"look here, @{ann.username}"]
    assert visitor.page.texts(".notification .title") == ["bob", "bob in #general"]
    visitor.page.click(".notification.unread button")

    visitor.sees_notified("1")
    visitor.page.until("document.querySelectorAll('.notification.unread').length === 1")
    assert ann.get("/api/v1/notifications")["unread"] == 1


def test_all_notifications_are_marked_read_at_once_and_in_all_windows(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    window = Visitor(visitor.profile)
    for number in range(3):
        bob.say(room_id, f"@{ann.username} {number}")
    visitor.sees_notified("3")
    window.sees_notified("3")

    visitor.page.click("[data-dialog=inbox]")
    visitor.page.click("#read-all")

    visitor.sees_notified("")
    window.sees_notified("")
    assert ann.get("/api/v1/notifications")["unread"] == 0


def test_a_notification_leads_to_its_message_which_is_then_read(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    bob.say(room_id, f"@{ann.username} come")
    visitor.sees_notified("1")

    visitor.page.click("[data-dialog=inbox]")
    visitor.page.click(".notification .title")

    visitor.sees(f"@{ann.username} come")
    visitor.sees_notified("")
    assert visitor.page.texts("dialog[open]") == []
    assert visitor.page.texts(".calls-me .text") == [f"@{ann.username} come"]


def test_notifications_come_by_the_stream_and_go_on_after_it_was_lost(
    house: House, ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    is_stream = "performance.getEntriesByType('resource').some(e => e.name.includes('/sse'))"
    streams = [
        one for one in house.on_loop(lambda: house.worker.manager.connections_of(ann.id)) if not hasattr(one, "outlet")
    ]
    assert len(streams) == 1

    house.on_loop(lambda: streams[0].overrun())
    bob.say(room_id, f"@{ann.username} first")
    visitor.sees_notified("1")
    bob.say(room_id, f"@{ann.username} second")

    visitor.sees_notified("2")
    assert visitor.page.run(is_stream) is not None


def test_a_message_that_is_deleted_takes_its_notification_along(
    ann: Person, bob: Person, room_id: str, at_home: AtHome
) -> None:
    visitor = at_home(ann)
    message = bob.say(room_id, f"@{ann.username} never mind")
    visitor.sees_notified("1")

    bob.delete(f"/api/v1/rooms/{room_id}/messages/{message['id']}")

    visitor.sees_notified("")
    visitor.page.click("[data-dialog=inbox]")
    assert visitor.page.texts(".notification") == []
