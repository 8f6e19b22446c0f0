"""What answers may never hold: hashes, keys, codes, tokens, other people's e-mail addresses.

First by the description of every answer, then by asking for everything there is on a server full of canaries.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from chat_server.app import create_app
from chat_server.commands import COMMANDS
from chat_server.ids import new_id
from chat_server.shapes import Role
from chat_server.store.schema import api_keys, invites, tickets, users
from tests.accounts.asking import log_in
from tests.house import API_KEY, House, Person, settings_for

# A field of such a name is told by these answers only, to whoever it belongs to.
TOLD = {
    ("Tokens", "access_token"),
    ("Tokens", "refresh_token"),
    ("Tokens", "token_type"),
    ("Ticket", "ticket"),
    ("Invite", "code"),
    ("MintedKey", "key"),
    ("User", "email"),
    ("FieldProblem", "code"),
}
SECRET_WORDS = ("password", "hash", "secret", "token", "ticket", "code", "email", "issuer", "subject")


@lru_cache
def described() -> dict[str, Any]:
    found: dict[str, Any] = create_app(settings_for(Path("unused"))).openapi()
    return found


def answers(api: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schema of each answer of each route."""
    for path, operations in api["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                if status != "422" and "application/json" in answer.get("content", {}):
                    yield f"{method.upper()} {path}", answer["content"]["application/json"]["schema"]


def fields_in(
    api: dict[str, Any], schema: dict[str, Any], name: str = "", seen: tuple[str, ...] = ()
) -> set[tuple[str, str]]:
    """All fields below a schema, as (model, field)."""
    found = set()
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in seen:
            return set()
        schema, seen = api["components"]["schemas"][name], (*seen, name)
    for field, below in schema.get("properties", {}).items():
        found |= {(name, field)} | fields_in(api, below, name, seen)
    for key in ("anyOf", "allOf", "oneOf", "prefixItems"):
        for below in schema.get(key, ()):
            found |= fields_in(api, below, name, seen)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found |= fields_in(api, schema[key], name, seen)
    return found


def test_no_answer_has_a_field_for_a_secret() -> None:
    api = described()

    found = {pair for _, schema in answers(api) for pair in fields_in(api, schema)}

    assert len(found) > 60
    named = {pair for pair in found if any(word in pair[1] for word in SECRET_WORDS) or pair[1] == "key"}
    assert named - TOLD == set()


# Answers that describe no model: a page, figures, a file, a back end's channel.
UNDESCRIBED = {"GET /metrics", "GET /livez", "GET /sse"}


def test_every_answer_is_described_by_a_model() -> None:
    """An answer without one would be whatever the code happened to have at hand."""
    api = described()

    bare = {route for route, schema in answers(api) if not fields_in(api, schema)}

    assert {
        route for route in bare if not route.startswith("POST /api/") or route.startswith("POST /api/v1/")
    } <= UNDESCRIBED


@dataclass(frozen=True)
class Town:
    """A server on which everything was done once; `canaries` are what nobody may be told."""

    owner: Person
    admin: Person
    member: Person
    bot: Person
    ids: dict[str, str]
    canaries: dict[str, str]


@pytest.fixture(scope="module")
def town(house: House) -> Town:
    owner, admin = house.person("olga", Role.OWNER), house.person("adam", Role.ADMIN)
    ann, member = house.person("ann"), house.person("bob")
    ann.patch("/api/v1/users/me", {"email": "canary-ann@example.org"})
    robot = owner.post("/api/v1/bots", {"username": f"robot-{new_id()[-8:]}"})
    minted = owner.post(f"/api/v1/bots/{robot['id']}/keys", {"scopes": ["chat", "stream", "notify:publish"]})
    bot = Person(house.url, robot["id"], robot["username"], minted["key"])
    room_id = ann.room()
    for person in (owner, admin, member, bot):
        person.join(room_id)
    message = ann.say(room_id, f"hello @{member.username}")
    ann.post("/api/v1/direct", {"user_id": member.id}, status=200)
    invite = owner.post("/api/v1/invites", {"room_id": room_id})
    ticket = ann.post("/api/v1/auth/tickets")["ticket"]
    bot.post("/api/v1/notifications", {"topic": "deploys", "text": "done"})
    tokens = log_in(house, ann.username).json()
    (notification, *_) = member.get("/api/v1/notifications")["items"]

    def hashes(unit: Any) -> list[str]:
        columns = (users.c.password_hash, api_keys.c.hash, invites.c.hash, tickets.c.hash)
        return [row[0] for column in columns for row in unit.all(select(column)) if row[0]]

    secrets = {f"hash {number}": found for number, found in enumerate(house.write(hashes))}
    assert len(secrets) >= 7
    return Town(
        owner=owner,
        admin=admin,
        member=member,
        bot=bot,
        ids={
            "room_id": room_id,
            "user_id": ann.id,
            "message_id": message["id"],
            "notification_id": notification["id"],
            "bot_id": robot["id"],
            "key_id": minted["id"],
            "session_id": ann.session_id,
            "name": "deploys",
        },
        canaries={
            **secrets,
            "e-mail": "canary-ann@example.org",
            "key": minted["key"].rpartition("_")[2],
            "invite": invite["code"],
            "ticket": ticket,
            "access token": tokens["access_token"],
            "refresh token": tokens["refresh_token"],
            "api key": API_KEY,
            "secret": (house.settings.data_dir / "secret").read_text().strip(),
        },
    )


def leaks(town: Town, text: str) -> list[str]:
    return [name for name, canary in town.canaries.items() if canary in text]


@pytest.mark.parametrize("who", ["owner", "admin", "member", "bot"])
def test_nobody_is_told_a_secret_by_any_route(house: House, town: Town, who: str) -> None:
    person: Person = getattr(town, who)
    asked, found = 0, {}
    for path in described()["paths"]:
        if path != "/sse":
            answer = person.http.get(path.format(**town.ids))
            asked += answer.status_code == 200
            found[path] = leaks(town, answer.text + str(answer.headers))

    assert {path: names for path, names in found.items() if names} == {}
    assert asked >= 15


ENDING = {"rooms.leave", "rooms.archive", "rooms.remove_member"}  # answer nothing, and end what the others need


@pytest.mark.parametrize("who", ["owner", "member", "bot"])
def test_nobody_is_told_a_secret_by_an_rpc_or_what_it_publishes(town: Town, who: str) -> None:
    person: Person = getattr(town, who)
    bodies: dict[str, dict[str, Any]] = {
        "rooms.create": {"name": "another"},
        "rooms.update": {"topic": "changed"},
        "rooms.add_member": {"user_id": town.ids["user_id"]},
        "messages.post": {"text": "hello"},
        "messages.edit": {"text": "changed"},
        "messages.read": {"seq": 1},
        "notifications.update": {"read": True},
        "users.update": {"display_name": "Somebody"},
    }
    heard = []
    with person.wire("&subscribe=rooms") as wire:
        heard.append(wire.connect())
        for method, command in COMMANDS.items():
            if method in ENDING:
                continue
            ids = {name: value for name, value in town.ids.items() if name in command.model.model_fields}
            heard.append(wire.ask(rpc={"method": method, "data": {**ids, **bodies.get(method, {})}}))
        heard += wire.quiet()

    assert len(heard) > len(COMMANDS) / 2
    assert leaks(town, json.dumps(heard)) == []


def test_a_stream_replays_no_secret(house: House, town: Town) -> None:
    channels = f"user:me,topic:deploys,room:{town.ids['room_id']}"
    query = f"/sse?channels={channels}&last_event_id="
    events = ""
    with town.member.http.stream("GET", query) as stream:
        for line in stream.iter_lines():
            events += line
            if "stream.open" in line:
                town.member.say(town.ids["room_id"], "the last")
            if "the last" in line:
                break

    assert "the last" in events
    assert leaks(town, events) == []
