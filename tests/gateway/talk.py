"""A Session without a socket: what goes in, and what came out, as plain values."""

import json
from typing import Any

from chat_server.gateway.session import Answer, Ask, Close, Effect, Send, Session, Timing

TIMING = Timing(ping_s=25.0, pong_s=8.0, auth_timeout_s=10.0)
DONE = Answer(result={})


def session(*, is_known: bool = False, timing: Timing = TIMING, now: float = 0.0) -> Session:
    return Session("test", is_known=is_known, timing=timing, now=now)


def connected(*, timing: Timing = TIMING, expires_in_s: float | None = None) -> Session:
    """A session after an explicit connect at time 0."""
    found = session(timing=timing)
    found.receive('{"id": 1, "connect": {}}', 0.0)
    found.answered(Answer(result={}, expires_in_s=expires_in_s), 0.0)
    return found


def line(command_id: int | None = None, **command: Any) -> str:
    return json.dumps(({} if command_id is None else {"id": command_id}) | command)


def sent(effects: list[Effect]) -> list[Any]:
    """The objects that were sent."""
    return [json.loads(effect.data) for effect in effects if isinstance(effect, Send)]


def asked(effects: list[Effect]) -> list[tuple[str, int]]:
    """Name and id of what is to be carried out."""
    return [(effect.name, effect.command_id) for effect in effects if isinstance(effect, Ask)]


def closed(effects: list[Effect]) -> int:
    """The close code; 0 if there was none."""
    return next((effect.code.code for effect in effects if isinstance(effect, Close)), 0)
