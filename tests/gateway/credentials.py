"""Credentials of every kind and state, and how a server receives them."""

from dataclasses import dataclass
from typing import Any

import httpx2
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from chat_server.shapes import Role
from tests.house import PATIENCE_S, TLS, House, Person, Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    id: str
    key_id: str
    key: str
    owner: Person


def new_bot(house: House, **key: Any) -> Bot:
    """A bot of an owner called ann, with one key: `new_bot(house, scopes=["stream"], channels=["topic:deploys"])`."""
    ann = house.person("ann", Role.OWNER)
    bot = ann.post("/api/v1/bots", {"username": f"bot-{ann.username}"})
    minted = ann.post(f"/api/v1/bots/{bot['id']}/keys", key)
    return Bot(id=bot["id"], key_id=minted["id"], key=minted["key"], owner=ann)


def token_for(house: House, person: Person, ttl_s: int) -> str:
    """An access token of the person's own login that is good for so long; a negative time is over already."""
    tokens = house.app.state.identity.tokens
    found: str = tokens.access(person.id, person.session_id, ["chat", "stream"], ttl_s)
    return found


def ticket_of(person: Person) -> str:
    return str(person.post("/api/v1/auth/tickets")["ticket"])


def cookie_of(person: Person) -> str:
    """The Cookie header of a browser that holds the person's login."""
    answer = httpx2.post(
        f"{person.url}/api/v1/auth/cookie",
        headers={"Authorization": f"Bearer {person.token}"},
        timeout=PATIENCE_S,
        verify=TLS,
    )
    assert answer.status_code == 204, answer.text
    return answer.headers["set-cookie"].partition(";")[0]


def refused(url: str, **options: Any) -> Any:
    """The HTTP answer to a WebSocket handshake that must be refused."""
    try:
        with connect(url, proxy=None, **options):
            pass
    except InvalidStatus as error:
        return error.response
    raise AssertionError("the handshake was accepted")


def closed_at_once(url: str, **options: Any) -> tuple[int, str]:
    """The code and reason with which the server closes a socket that sends nothing."""
    with Wire(url, **options) as wire:
        return wire.closed()
