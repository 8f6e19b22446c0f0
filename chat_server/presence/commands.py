"""Typing: judged like a message, told like a breath. Nothing is stored."""

from chat_server.events import Typing, TypingStarted, TypingStopped
from chat_server.presence.model import TypingIn
from chat_server.rooms.queries import standing_in
from chat_server.unit import Unit


def start_typing(command: TypingIn, unit: Unit) -> TypingStarted:
    """To be repeated while typing: receivers forget it after `expires_in` seconds."""
    standing_in(unit, command.room_id, to_change=True)
    return TypingStarted(room_id=command.room_id, at=unit.now, typing=Typing(user_id=unit.actor.user_id))


def stop_typing(command: TypingIn, unit: Unit) -> TypingStopped:
    standing_in(unit, command.room_id, to_change=True)
    return TypingStopped(room_id=command.room_id, at=unit.now, typing=Typing(user_id=unit.actor.user_id, expires_in=0))
