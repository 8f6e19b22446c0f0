"""Time: milliseconds since 1970 inside and in tables, aware UTC datetimes in what people see."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]  # milliseconds since 1970, UTC


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def moment_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)


def millis(at: datetime) -> int:
    return round(at.timestamp() * 1000)
