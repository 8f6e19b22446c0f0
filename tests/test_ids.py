"""Names of things."""

import pytest

from chat_server.ids import is_event_channel


@pytest.mark.parametrize(
    ("channel", "expected"),
    [("room:a", True), ("user:a", True), ("topic:a", True), ("presence:a", True), ("live:a", False), ("rooms", False)],
)
def test_the_houses_own_channels_carry_events(channel: str, expected: bool) -> None:
    assert is_event_channel(channel) is expected
