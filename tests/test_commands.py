"""The table of commands: what REST does, RPC does, by the same function and with the same answer."""

import inspect
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chat_server.accounts import user_routes
from chat_server.app import create_app
from chat_server.commands import COMMANDS
from chat_server.messages import routes as message_routes
from chat_server.notifications import routes as notification_routes
from chat_server.rooms import routes as room_routes
from chat_server.shapes import Role
from tests.house import House, Person, settings_for
from tests.rooms.doors import API, ROUTES, Door, Refused, RestDoor, RpcDoor

REALTIME_ONLY = {"typing.start", "typing.stop"}
# What is asked for over HTTP only: it gives or ends logins, or belongs to operators and back ends.
HTTP_ONLY = {
    ("POST", "/users/me/password"),
    ("PATCH", "/users/{user_id}"),
    ("POST", "/bots"),
    ("GET", "/bots"),
    ("POST", "/bots/{bot_id}/keys"),
    ("DELETE", "/bots/{bot_id}/keys/{key_id}"),
    ("GET", "/rooms/{room_id}/members/{user_id}"),
    ("GET", "/rooms/{room_id}/presence"),  # over the socket the protocol's own `presence`
    ("POST", "/notifications"),
    ("GET", "/topics"),
    ("GET", "/topics/{name}"),
    ("PUT", "/topics/{name}"),
}
ID = re.compile(r"\b[0-9a-z]{20,32}\b")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z$")


def routes_of(tmp: Any) -> set[tuple[str, str]]:
    """Every chat route that the API describes."""
    paths = create_app(settings_for(tmp)).openapi()["paths"]
    login = ("/auth/", "/invites")
    return {
        (method.upper(), path.removeprefix(API))
        for path, operations in paths.items()
        for method in operations
        if path.startswith(API) and not path.removeprefix(API).startswith(login)
    }


def test_every_chat_route_is_an_rpc_method_too(tmp_path: Any) -> None:
    assert routes_of(tmp_path) - set(ROUTES.values()) == HTTP_ONLY
    assert set(COMMANDS) - set(ROUTES) == REALTIME_ONLY


@pytest.mark.parametrize("method", ROUTES)
def test_a_route_calls_the_function_of_its_rpc_method(method: str) -> None:
    """Two functions that mean the same would not for long."""
    verb, path = ROUTES[method]
    run = COMMANDS[method].run
    (endpoint,) = [
        route.endpoint
        for module in (user_routes, room_routes, message_routes, notification_routes)
        for route in module.router.routes
        if route.path == API + path and verb in route.methods
    ]

    source = inspect.getsource(endpoint)

    called = "user_of" if method == "users.me" else run.__name__
    assert re.search(rf"\b{called}\b", source), source


class Town:
    """People in one situation, and what they did in order. A twin of it went through the other door."""

    def __init__(self, house: House, kind: str, stack: ExitStack) -> None:
        people = [house.person("person") for _ in range(3)]
        self.ann, self.bob, self.cleo = sorted(people, key=lambda person: person.id)  # members are listed by id
        self.owner = house.person("olga", Role.OWNER)
        self.log: list[Any] = []
        self._names: dict[str, str] = {
            value: name
            for name in ("ann", "bob", "cleo", "owner")
            for value in (getattr(self, name).id, getattr(self, name).username)
        }
        self._doors: dict[str, Door] = {
            person.id: RestDoor(person) if kind == "rest" else RpcDoor(person, stack) for person in (self.ann, self.bob)
        }

    def do(self, who: Person, method: str, **data: Any) -> Any:
        try:
            answer = self._doors[who.id](method, **data)
        except Refused as error:
            answer = {"refused": (error.status, error.code, sorted(error.fields))}
        self.log.append((method, self._neutral(answer)))
        return answer

    def _neutral(self, value: Any) -> Any:
        """The answer with ids by their order of appearance, and times without their moment."""
        if isinstance(value, dict):
            return {name: self._neutral(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._neutral(each) for each in value]
        if not isinstance(value, str):
            return value
        if TIME.match(value):
            return "<time>"
        if value in self._names:
            return self._names[value]
        return ID.sub(lambda found: self._names.setdefault(found[0], f"<{len(self._names)}>"), value)


def live(town: Town) -> list[Any]:
    """Every command once or more, with success and without."""
    ann, bob, cleo = town.ann, town.bob, town.cleo
    town.do(ann, "users.me")
    town.do(ann, "users.update", display_name="Ann A.", email="ann@example.org")
    town.do(ann, "users.update", display_name=None)
    town.do(bob, "users.list", query=ann.username)
    town.do(bob, "users.get", user_id=ann.id)
    town.do(ann, "users.get", user_id=ann.id)
    town.do(ann, "users.get", user_id="nobody")
    room = {"room_id": town.do(ann, "rooms.create", name="general", topic="all")["id"]}
    den = {"room_id": town.do(ann, "rooms.create", name="den", kind="private")["id"]}
    town.do(ann, "rooms.create", name="", kind="secret")
    town.do(bob, "rooms.get", **room)
    town.do(bob, "messages.list", **room)
    town.do(bob, "rooms.join", **room)
    town.do(bob, "rooms.join", **den)
    town.do(ann, "rooms.add_member", **room, user_id=cleo.id, role="moderator")
    town.do(ann, "rooms.members", **room, limit=2)
    town.do(bob, "rooms.update", **room, name="mine")
    town.do(ann, "rooms.update", **room, name="town", topic="talk")
    first = town.do(ann, "messages.post", **room, text="hello @nobody")
    town.do(ann, "messages.post", **room, text="once", client_msg_id="the-one")
    town.do(ann, "messages.post", **room, text="again", client_msg_id="the-one")
    town.do(ann, "messages.post", **den, text="there", client_msg_id="the-one")
    second = town.do(bob, "messages.post", **room, text="hi", reply_to=first["id"], mentions={"user_ids": [ann.id]})
    town.do(bob, "messages.get", **room, message_id=second["id"])
    town.do(bob, "messages.edit", **room, message_id=second["id"], text="hi there")
    town.do(bob, "messages.edit", **room, message_id=first["id"], text="yo")
    town.do(bob, "messages.list", **room, limit=2)
    town.do(bob, "messages.list", **room, around=2, limit=1)
    town.do(ann, "messages.read", **room, seq=2)
    town.do(ann, "messages.delete", **room, message_id=first["id"])
    town.do(ann, "messages.list", **room, after=0)
    town.do(bob, "direct.open", user_id=ann.id)
    direct = {"room_id": town.do(ann, "direct.open", user_id=bob.id)["id"]}
    town.do(bob, "messages.post", **direct, text="psst")
    town.do(bob, "rooms.leave", **direct)
    inbox = town.do(ann, "notifications.list", limit=10)
    town.do(ann, "notifications.update", notification_id=inbox["items"][0]["id"], read=True)
    town.do(bob, "notifications.update", notification_id=inbox["items"][0]["id"], read=True)
    town.do(ann, "notifications.list", unread=True)
    town.do(ann, "notifications.read_all")
    town.do(ann, "rooms.remove_member", **room, user_id=cleo.id)
    town.do(ann, "rooms.remove_member", **room, user_id=cleo.id)
    town.do(bob, "rooms.leave", **room)
    town.do(bob, "rooms.archive", **room)
    town.do(ann, "rooms.archive", **room)
    town.do(bob, "rooms.join", **room)
    town.do(ann, "rooms.list")
    town.do(ann, "rooms.list", scope="public", limit=0)
    return town.log


@pytest.fixture(scope="module")
def logs(house: House) -> Iterator[dict[str, list[Any]]]:
    with ExitStack() as stack:
        yield {kind: live(Town(house, kind, stack)) for kind in ("rest", "rpc")}


def test_the_same_life_gets_the_same_answers_through_both_doors(logs: dict[str, list[Any]]) -> None:
    for rest, rpc in zip(logs["rest"], logs["rpc"], strict=True):
        assert rest == rpc, rest[0]


def test_that_life_has_every_command_in_it_with_success(logs: dict[str, list[Any]]) -> None:
    done = {method for method, answer in logs["rest"] if "refused" not in answer}

    assert done == set(COMMANDS) - REALTIME_ONLY
