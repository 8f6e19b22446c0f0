"""Retry-After as servers and proxies write it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from chat_server.client.link import seconds_in


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("", 0.0), ("soon", 0.0), ("-5", 0.0), ("999999999", 3600.0), ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0)],
)
def test_seconds_are_taken_within_reason(header: str, seconds: float) -> None:
    assert seconds_in(header) == seconds


@pytest.mark.parametrize("zone", [" GMT", " -0000", " +0000"])
def test_a_date_is_so_many_seconds_away(zone: str) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True).replace(" GMT", zone)

    assert 90.0 < seconds_in(at) <= 100.0


def test_a_date_far_away_is_no_silence_for_good() -> None:
    assert seconds_in("Fri, 31 Dec 9999 23:59:59 GMT") == 3600.0
