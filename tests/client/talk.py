"""The server's side of a conversation with a client's Protocol, word by word."""

import json
from typing import Any

from chat_server.client.backoff import Backoff
from chat_server.client.calls import Call, Fate, Result
from chat_server.client.inbox import Inbox
from chat_server.client.problems import ClientError
from chat_server.client.protocol import Drop, Effect, Protocol, Send

ME = "ann-id"


def protocol(*, is_renewable: bool = False) -> Protocol:
    """Its back-off always waits as long as it may."""
    return Protocol(is_renewable=is_renewable, backoff=Backoff(lambda least, most: most))


def sent(effects: list[Effect]) -> list[Any]:
    return [json.loads(effect.data) for effect in effects if isinstance(effect, Send)]


def is_dropped(effects: list[Effect]) -> bool:
    return any(isinstance(effect, Drop) for effect in effects)


def line(**said: Any) -> bytes:
    return json.dumps(said).encode()


def connected(client: Protocol, now: float = 0.0, token: str = "t", **answer: Any) -> list[Any]:
    """Open the socket and let the client in; the commands that it sends then."""
    (connect,) = sent(client.opened(token, now))
    reply = {"client": "c", "ping": 25, "pong": True, "data": {"user": {"id": ME}}, "subs": {}, **answer}
    return sent(client.receive(line(id=connect["id"], connect=reply), now))


class Asked:
    """An RPC and what became of it."""

    def __init__(self, client: Protocol, fate: Fate = Fate.FAIL, now: float = 0.0, method: str = "rooms.get") -> None:
        self.outcomes: list[Result | ClientError] = []
        self.call = Call("rpc", {"method": method, "data": {}}, self.outcomes.append, fate)
        self.effects = client.ask(self.call, now)

    @property
    def outcome(self) -> Result | ClientError:
        (found,) = self.outcomes
        return found


def inbox(capacity: int = 1000) -> Inbox:
    return Inbox(capacity, lambda: None)


def taken(box: Inbox) -> list[Any]:
    """What waits, as data; "missed" for what is not there."""
    found = []
    while (item := box.take()) is not None:
        found.append("missed" if item.missed is not None else item.data)
    return found


def standing(offset: int, *, epoch: str = "e", **more: Any) -> dict[str, Any]:
    """A subscribe answer of a channel with history."""
    return {"recoverable": True, "positioned": True, "epoch": epoch, "offset": offset, "recovered": False, **more}


def pub(offset: int) -> dict[str, Any]:
    return {"offset": offset, "data": offset}


def pushed(channel: str, offset: int) -> bytes:
    return line(push={"channel": channel, "pub": pub(offset)})
