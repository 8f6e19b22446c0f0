"""Bad input through both doors: every field of every command with every kind of rubbish. The right code, no change.

Frames that are no commands at all are in gateway/test_websocket_frames.py, forged tokens in accounts/test_jwt.py.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from chat_server.accounts.identity import secret_of
from chat_server.commands import COMMANDS
from chat_server.store.schema import metadata
from chat_server.unit import Unit
from tests.accounts.asking import ask
from tests.accounts.test_jwt import BAD, Forge
from tests.house import House, Person, Wire
from tests.rooms.doors import API, ROUTES, Doors, doors, refused

__all__ = ["doors"]

VOLATILE = {"last_seen_at", "last_used_at"}  # stamps of who was here
STAMPED = {"jobs"}  # what the house does by itself

DEEP = "[" * 900 + "]" * 900
# By its grammar JSON.
NOT_STRICT = ["NaN", "Infinity", "-Infinity", '"\\ud800"', '"\\udc00x"', "1" * 400, "1e999", DEEP]
MALFORMED = ["01", "[1,]", "'x'", "undefined", "[" * 2000 + "]" * 2000]  # closes a socket, as no id can be read
OF_NO_TYPE = ['{"x": 1}', "[[1]]", '["x", 7]', '"a\\u0000b"', "1.5", "[" * 90 + "]" * 90]
NOT_A = {
    "string": ["7", "true", "false", "-1"],
    "integer": ['"x"', '""', "-1", "true", "1e3", "9" * 30, str(2**63), str(2**53)],
    "boolean": ['"x"', "7", '""'],
    "object": ["7", '"x"', "true", "[]"],
}
IN_AN_ADDRESS = ["%00", "a%0Ab", "%1F", "x" * 65]
IN_A_QUERY = {"integer": ["-1", "x", "1e3", "1.5", "NaN", "9" * 30, "", "%00"], "boolean": ["x", "7", "", "%00"]}


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    is_nullable: bool


def fields_of(method: str) -> list[Field]:
    """The fields that a command takes, by its own schema."""
    schema = COMMANDS[method].model.model_json_schema()
    found = []
    for name, described in schema.get("properties", {}).items():
        kinds = [
            schema["$defs"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
            for each in described.get("anyOf", [described])
        ]
        types = {kind["type"] for kind in kinds}
        found.append(Field(name, next(iter(types - {"null"})), "null" in types))
    return found


def rubbish_for(field: Field) -> list[tuple[str, str]]:
    """What the field may not be, as raw JSON, and the code of its refusal."""
    wrong = OF_NO_TYPE + NOT_A[field.type] + ([] if field.is_nullable else ["null"])
    return [(raw, "bad_json") for raw in NOT_STRICT] + [(raw, "invalid") for raw in wrong]


@dataclass(frozen=True)
class World:
    """What ann has, which every command could be about: a private room with a message, a notification. eve has none."""

    ann: Person
    eve: Person
    given: dict[str, dict[str, Any]]
    wire: Wire


@pytest.fixture(scope="module")
def world(house: House) -> Iterator[World]:
    ann, bob = house.person("ann"), house.person("bob")
    room_id = ann.room("den", "private")
    message_id = ann.say(room_id, "hello")["id"]
    bob.post("/api/v1/direct", {"user_id": ann.id}, status=200)
    direct = bob.get("/api/v1/rooms")["items"][0]["id"]
    bob.say(direct, "psst")
    (notification,) = ann.get("/api/v1/notifications")["items"]
    room, message = {"room_id": room_id}, {"room_id": room_id, "message_id": message_id}
    given: dict[str, dict[str, Any]] = {
        "users.get": {"user_id": bob.id},
        "users.update": {"display_name": "Ann"},
        "rooms.create": {"name": "new"},
        "rooms.update": {**room, "name": "changed"},
        "rooms.add_member": {**room, "user_id": bob.id},
        "rooms.remove_member": {**room, "user_id": bob.id},
        "direct.open": {"user_id": bob.id},
        "messages.post": {**room, "text": "changed"},
        "messages.get": message,
        "messages.edit": {**message, "text": "changed"},
        "messages.delete": message,
        "messages.read": {**room, "seq": 1},
        "notifications.update": {"notification_id": notification["id"], "read": True},
    }
    for method, command in COMMANDS.items():
        given.setdefault(method, room if "room_id" in command.model.model_fields else {})
    with ann.wire() as wire:
        wire.connect()
        yield World(ann, house.person("eve"), given, wire)


def stored(house: House) -> dict[str, list[str]]:
    """Everything in the database but stamps."""

    def read(unit: Unit) -> dict[str, list[str]]:
        return {
            table.name: sorted(
                str(tuple(row))
                for row in unit.all(select(*(column for column in table.c if column.name not in VOLATILE)))
            )
            for table in metadata.sorted_tables
            if table.name not in STAMPED
        }

    return house.write(read)


@pytest.fixture
def unchanged(house: House, world: World) -> Iterator[None]:
    """Around what must change nothing at all."""
    before = stored(house)
    yield
    assert stored(house) == before


def raw_body(given: dict[str, Any], name: str, raw: str) -> str:
    """The valid JSON body with one field's value replaced, or added, as it is."""
    kept = "".join(f"{json.dumps(key)}: {json.dumps(value)}, " for key, value in given.items() if key != name)
    return "{" + kept + f"{json.dumps(name)}: {raw}" + "}"


def over_rpc(world: World, method: str, body: str, command_id: int) -> tuple[int, str, set[str]]:
    """The error reply to a raw body: its code, reason, fields."""
    world.wire.socket.send(f'{{"id": {command_id}, "rpc": {{"method": "{method}", "data": {body}}}}}')
    found = world.wire.reply(command_id)
    assert "error" in found, f"{method} took {body[:200]}: {found}"
    error = found["error"]
    assert error["temporary"] is False
    return error["code"], error["reason"], {each["field"] for each in error.get("errors", ())}


def over_rest(world: World, method: str, body: str) -> tuple[int, str, set[str]]:
    """The same over HTTP; what stands in the path is there."""
    verb, template = ROUTES[method]
    path = API + template.format(**{name: quote(str(value)) for name, value in world.given[method].items()})
    return outcome(world, verb, path, content=body.encode(), headers={"Content-Type": "application/json"})


def outcome(world: World, verb: str, path: str, **options: Any) -> tuple[int, str, set[str]]:
    answer = world.ann.http.request(verb, path, **options)
    found = answer.json() if answer.content else {}
    assert answer.is_client_error, f"{verb} {path} {options}: {answer.status_code} {found}"
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, found["code"], {each["field"] for each in found.get("errors", ())}


STATUS = {"bad_json": 400, "invalid": 422}


def judged(field: str, raw: str, code: str, found: tuple[int, str, set[str]]) -> list[str]:
    """What is wrong with a refusal, if anything."""
    fits = found[:2] == (STATUS[code], code) and (
        code == "bad_json" or any(name.split(".")[0] == field for name in found[2])
    )
    return [] if fits else [f"{field} = {raw[:60]}: {found}, not {code}"]


@pytest.mark.parametrize("method", COMMANDS)
def test_every_field_of_every_rpc_refuses_rubbish(world: World, unchanged: None, method: str) -> None:
    wrong, command_id = [], int(time.monotonic() * 1000) % 10**9
    for field in fields_of(method):
        for raw, code in rubbish_for(field):
            command_id += 1
            body = raw_body(world.given[method], field.name, raw)
            wrong += judged(field.name, raw, code, over_rpc(world, method, body, command_id))

    assert wrong == []
    assert world.wire.rpc("users.me")["id"] == world.ann.id


@pytest.mark.parametrize("method", COMMANDS)
def test_no_rpc_takes_a_field_that_it_does_not_know(world: World, unchanged: None, method: str) -> None:
    body = raw_body(world.given[method], "surprise", "1")

    assert over_rpc(world, method, body, int(time.monotonic() * 1000) % 10**9) == (422, "invalid", {"surprise"})


BODIES = [method for method, (verb, _) in ROUTES.items() if verb in {"POST", "PUT", "PATCH"}]
WITHOUT_A_BODY = {"rooms.join", "rooms.leave", "notifications.read_all"}


@pytest.mark.parametrize("method", [method for method in BODIES if method not in WITHOUT_A_BODY])
def test_every_field_of_every_body_refuses_rubbish(world: World, unchanged: None, method: str) -> None:
    template, wrong = ROUTES[method][1], []
    given = {name: value for name, value in world.given[method].items() if f"{{{name}}}" not in template}
    for field in fields_of(method):
        if f"{{{field.name}}}" in template:
            continue
        for raw, code in [*rubbish_for(field), *((raw, "bad_json") for raw in MALFORMED)]:
            wrong += judged(field.name, raw, code, over_rest(world, method, raw_body(given, field.name, raw)))
    wrong += judged("surprise", "1", "invalid", over_rest(world, method, raw_body(given, "surprise", "1")))

    assert wrong == []


NO_BODIES = [
    b"{",
    b"\xff\xfe{}",
    b'{"text": "\xff"}',
    b'{"text": "\xed\xa0\x80"}',
    b"\xef\xbb\xbf{}",
    b"{} {}",
    b"nonsense",
]


@pytest.mark.parametrize("content", NO_BODIES, ids=repr)
@pytest.mark.parametrize("method", ["messages.post", "rooms.create", "users.update", "messages.read"])
def test_what_is_no_json_in_utf_8_is_said_to_be_none(
    world: World, unchanged: None, method: str, content: bytes
) -> None:
    verb, template = ROUTES[method]
    path = API + template.format(**world.given[method])

    found = outcome(world, verb, path, content=content, headers={"Content-Type": "application/json"})

    assert found[:2] == (400, "bad_json")


@pytest.mark.parametrize("content", [b"[]", b"null", b'"text"', b"7", b"true", b""], ids=repr)
def test_a_body_that_is_no_object_is_refused(world: World, unchanged: None, content: bytes) -> None:
    path = f"{API}/rooms/{world.given['rooms.get']['room_id']}/messages"

    assert outcome(world, "POST", path, content=content, headers={"Content-Type": "application/json"})[:2] == (
        422,
        "invalid",
    )


@pytest.mark.parametrize("method", ROUTES)
def test_every_id_in_a_path_refuses_what_is_none(world: World, unchanged: None, method: str) -> None:
    verb, template = ROUTES[method]
    wrong = []
    given = {name: value for name, value in world.given[method].items() if f"{{{name}}}" not in template}
    for field in fields_of(method):
        if f"{{{field.name}}}" in template:
            for raw in IN_AN_ADDRESS:
                path = API + template.format(**{**world.given[method], field.name: raw})
                found = outcome(world, verb, path, **({"json": given} if verb not in {"GET", "DELETE"} else {}))
                wrong += judged(field.name, raw, "invalid", found)

    assert wrong == []


@pytest.mark.parametrize("method", [method for method, (verb, _) in ROUTES.items() if verb == "GET"])
def test_every_parameter_of_a_query_refuses_rubbish(world: World, method: str) -> None:
    template, wrong = ROUTES[method][1], []
    path = API + template.format(**world.given[method])
    for field in fields_of(method):
        if f"{{{field.name}}}" not in template:
            for raw in IN_A_QUERY.get(field.type, IN_AN_ADDRESS):
                wrong += judged(field.name, raw, "invalid", outcome(world, "GET", f"{path}?{field.name}={raw}"))

    assert wrong == []


@pytest.mark.parametrize(
    "path", ["/users", "/rooms", "/rooms/{room_id}/members", "/rooms/{room_id}/messages", "/notifications"]
)
def test_no_list_takes_a_parameter_that_it_does_not_know(world: World, path: str) -> None:
    path = API + path.format(**world.given["rooms.get"])

    assert outcome(world, "GET", f"{path}?surprise=1") == (422, "invalid", {"surprise"})


@pytest.mark.parametrize(
    "method", [name for name, command in COMMANDS.items() if "room_id" in command.model.model_fields]
)
def test_the_private_room_of_others_is_not_there(doors: Doors, world: World, unchanged: None, method: str) -> None:
    if method in ROUTES:
        found = refused(doors(world.eve), method, **world.given[method])
    else:  # typing is not asked for over HTTP
        with world.eve.wire() as wire:
            error = wire.ask(rpc={"method": method, "data": world.given[method]})["error"]
        found = (error["code"], error["reason"])

    assert found == (404, "room_not_found")


@pytest.mark.parametrize("method", ["messages.get", "messages.edit", "messages.delete"])
def test_the_message_of_another_room_is_not_there(doors: Doors, house: House, world: World, method: str) -> None:
    room_id = world.eve.room()
    before = stored(house)

    found = refused(doors(world.eve), method, **{**world.given[method], "room_id": room_id})

    assert found == (404, "message_not_found")
    assert stored(house) == before


def test_the_notification_of_another_is_not_there(doors: Doors, world: World, unchanged: None) -> None:
    found = refused(doors(world.eve), "notifications.update", **world.given["notifications.update"])

    assert found == (404, "notification_not_found")


def test_the_login_of_another_is_not_there(world: World, unchanged: None) -> None:
    answer = world.eve.http.delete(f"/api/v1/auth/sessions/{world.ann.session_id}")

    assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")


# Of each kind of bad token one, through each way in; accounts/test_jwt.py has them all.
TOKENS: dict[str, Callable[[Forge], str]] = {
    **{name: BAD[name] for name in ("none", "no signature", "another secret", "another audience", "typ refresh")},
    "expired": lambda forge: forge.token(iat=forge.now - 900, exp=forge.now - 60),
}


@pytest.fixture
def forge(house: House, world: World) -> Forge:
    return Forge(secret_of(house.settings), world.ann.id, world.ann.session_id)


@pytest.mark.parametrize("name", TOKENS)
def test_a_bad_token_opens_nothing_whichever_way_it_comes(house: House, world: World, forge: Forge, name: str) -> None:
    token, code = TOKENS[name](forge), "token_expired" if name == "expired" else "token_invalid"
    bearer = {"Authorization": f"Bearer {token}"}

    answers = [
        ask(house, "GET", "/api/v1/users/me", headers=bearer),
        ask(house, "POST", "/api/v1/rooms", json={"name": "x"}, headers=bearer),
        ask(house, "GET", "/sse", headers=bearer),
        ask(house, "GET", f"/sse?token={token}"),
    ]
    with Wire(f"{world.ann.socket_url}?token={token}") as by_url:
        closed = by_url.closed()
    with Wire(world.ann.socket_url) as by_connect:
        by_connect.send(connect={"token": token})
        if name == "expired":
            assert by_connect.reply(1)["error"]["code"] == 109
        else:
            assert by_connect.closed() == (3500, "token_invalid")

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(401, code)] * 4
    assert closed == (3500, code)
