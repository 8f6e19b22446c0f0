"""What a publication becomes: an event that this version knows, or what it is."""

from typing import Any

import pytest

from chat_server.client import Delivery, Published, UnknownEvent
from chat_server.events import TypingStopped

AT = "2026-11-22T19:04:10.961000Z"
TYPING = {"type": "typing.stopped", "room_id": "r", "at": AT, "typing": {"user_id": "ann"}}


def test_a_known_event_is_typed_and_new_fields_of_it_are_ignored() -> None:
    event = Delivery(channel="presence:r", data={**TYPING, "mood": "good"}).event

    assert isinstance(event, TypingStopped)
    assert event.typing.user_id == "ann"


@pytest.mark.parametrize(
    "data",
    [
        {"type": "reaction.added", "room_id": "r", "at": AT, "reaction": {"emoji": "+1"}},
        {**TYPING, "at": "later"},
        {"no": "type"},
    ],
)
def test_an_event_of_a_later_server_survives_as_what_it_is(data: dict[str, Any]) -> None:
    event = Delivery(channel="room:r", data=data).event

    assert event == UnknownEvent(type=data.get("type", ""), data=data)


def test_data_of_a_configured_channel_is_never_taken_for_an_event() -> None:
    assert Delivery(channel="live:x", data=TYPING).event == Published(channel="live:x", data=TYPING)
