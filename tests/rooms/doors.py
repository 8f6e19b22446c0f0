"""The two doors to every chat command, REST and RPC. A test that takes `doors` runs once through each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Protocol
from urllib.parse import quote

import pytest

from tests.accounts.asking import problem
from tests.house import Person

API = "/api/v1"
ROUTES = {
    "users.me": ("GET", "/users/me"),
    "users.get": ("GET", "/users/{user_id}"),
    "users.list": ("GET", "/users"),
    "users.update": ("PATCH", "/users/me"),
    "rooms.create": ("POST", "/rooms"),
    "rooms.list": ("GET", "/rooms"),
    "rooms.get": ("GET", "/rooms/{room_id}"),
    "rooms.update": ("PATCH", "/rooms/{room_id}"),
    "rooms.archive": ("DELETE", "/rooms/{room_id}"),
    "rooms.join": ("POST", "/rooms/{room_id}/join"),
    "rooms.leave": ("POST", "/rooms/{room_id}/leave"),
    "rooms.members": ("GET", "/rooms/{room_id}/members"),
    "rooms.add_member": ("PUT", "/rooms/{room_id}/members/{user_id}"),
    "rooms.remove_member": ("DELETE", "/rooms/{room_id}/members/{user_id}"),
    "direct.open": ("POST", "/direct"),
    "messages.post": ("POST", "/rooms/{room_id}/messages"),
    "messages.list": ("GET", "/rooms/{room_id}/messages"),
    "messages.get": ("GET", "/rooms/{room_id}/messages/{message_id}"),
    "messages.edit": ("PATCH", "/rooms/{room_id}/messages/{message_id}"),
    "messages.delete": ("DELETE", "/rooms/{room_id}/messages/{message_id}"),
    "messages.read": ("POST", "/rooms/{room_id}/read"),
    "notifications.list": ("GET", "/notifications"),
    "notifications.update": ("PATCH", "/notifications/{notification_id}"),
    "notifications.read_all": ("POST", "/notifications/read-all"),
}


class Refused(Exception):
    """A command was refused: the HTTP status, the stable code, and the refused fields."""

    def __init__(self, method: str, status: int, code: str, fields: set[str]) -> None:
        super().__init__(f"{method}: {status} {code} {fields or ''}")
        self.status, self.code, self.fields = status, code, fields


class Door(Protocol):
    def __call__(self, method: str, **data: Any) -> Any:
        """The answer of a command. Refused."""


Doors = Callable[[Person], Door]


class RestDoor:
    def __init__(self, person: Person) -> None:
        self._http = person.http

    def __call__(self, method: str, **data: Any) -> Any:
        verb, template = ROUTES[method]
        path = API + template.format(**{name: quote(str(value), safe="") for name, value in data.items()})
        rest = {name: value for name, value in data.items() if f"{{{name}}}" not in template}
        body = {} if not rest and verb in {"GET", "DELETE"} else {"params" if verb == "GET" else "json": rest}
        answer = self._http.request(verb, path, **body)
        if answer.is_error:
            found = problem(answer, answer.status_code, answer.json()["code"])
            raise Refused(
                method, answer.status_code, found["code"], {each["field"] for each in found.get("errors", ())}
            )
        if answer.status_code == 204:
            assert answer.content == b""
            return {}
        return answer.json() | ({"duplicate": True} if is_repeat(method, answer.status_code) else {})


class RpcDoor:
    def __init__(self, person: Person, stack: ExitStack) -> None:
        self._wire = stack.enter_context(person.wire())

    def __call__(self, method: str, **data: Any) -> Any:
        found = self._wire.ask(rpc={"method": method, "data": data})
        if "error" not in found:
            return found["rpc"]["data"]
        error = found["error"]
        assert set(error) >= {"code", "message", "temporary", "reason", "request_id"}
        assert error["temporary"] is False
        raise Refused(method, error["code"], error["reason"], {each["field"] for each in error.get("errors", ())})


def is_repeat(method: str, status: int) -> bool:
    return method == "messages.post" and status == 200


@pytest.fixture(params=["rest", "rpc"])
def doors(request: pytest.FixtureRequest) -> Iterator[Doors]:
    """Each person's door, the same for all: `doors(ann)("rooms.get", room_id=room_id)`."""
    open_doors: dict[str, Door] = {}
    with ExitStack() as stack:

        def door_of(person: Person) -> Door:
            if person.token not in open_doors:
                is_rest = request.param == "rest"
                open_doors[person.token] = RestDoor(person) if is_rest else RpcDoor(person, stack)
            return open_doors[person.token]

        yield door_of


def refused(door: Door, method: str, **data: Any) -> tuple[int, str]:
    """The status and code of a command that must be refused."""
    with pytest.raises(Refused) as found:
        door(method, **data)
    return found.value.status, found.value.code


def refused_fields(door: Door, method: str, **data: Any) -> set[str]:
    """The fields of a command that must be refused for them."""
    with pytest.raises(Refused) as found:
        door(method, **data)
    assert (found.value.status, found.value.code) == (422, "invalid"), found.value
    return found.value.fields
