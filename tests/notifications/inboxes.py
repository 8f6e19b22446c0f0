"""What the tests of notifications share: a publisher, and reading somebody's inbox."""

from typing import Any

from chat_server.ids import new_id
from chat_server.shapes import Role
from tests.house import House, Person

NOTIFICATION = {
    "id",
    "kind",
    "topic",
    "title",
    "text",
    "priority",
    "tags",
    "click",
    "room_id",
    "message_id",
    "sender_id",
    "created_at",
    "expires_at",
    "read_at",
}


def publisher_of(house: House, **key: Any) -> Person:
    """A bot that may publish, as a back end has one."""
    owner = house.person("olga", Role.OWNER)
    bot = owner.post("/api/v1/bots", {"username": f"publisher-{new_id()[-8:]}"})
    made = owner.post(f"/api/v1/bots/{bot['id']}/keys", {"scopes": ["notify:publish"], **key})
    return Person(house.url, bot["id"], bot["username"], made["key"])


def publish(publisher: Person, text: str = "done", **body: Any) -> dict[str, Any]:
    found: dict[str, Any] = publisher.post("/api/v1/notifications", {"text": text, **body})
    return found


def inbox(person: Person, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = person.get("/api/v1/notifications", params=params)["items"]
    return found


def unread(person: Person) -> int:
    return int(person.get("/api/v1/notifications")["unread"])


def texts(person: Person) -> list[str]:
    return [each["text"] for each in inbox(person)]
