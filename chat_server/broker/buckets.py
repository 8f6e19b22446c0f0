"""Token buckets in this process."""

from collections import OrderedDict
from collections.abc import Callable

from chat_server.settings import Rate

KEPT = 100_000  # buckets; a full one is the same as none, so the longest untouched go first


class Buckets:
    """Each bucket holds `rate.count` and fills up within `rate.per_s`. An unknown bucket is full."""

    __slots__ = ("_clock_s", "_levels")

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, bucket: str, rate: Rate) -> float:
        """0 and one is taken, or the seconds until there is one."""
        if not rate:
            return 0.0
        level, now = self._level(bucket, rate)
        if level < 1.0:
            self._put(bucket, level, now)
            return (1.0 - level) * rate.per_s / rate.count
        self._put(bucket, level - 1.0, now)
        return 0.0

    def give_back(self, bucket: str, rate: Rate) -> None:
        if rate:
            level, now = self._level(bucket, rate)
            self._put(bucket, min(level + 1.0, float(rate.count)), now)

    def _level(self, bucket: str, rate: Rate) -> tuple[float, float]:
        now = self._clock_s()
        level, at = self._levels.get(bucket, (float(rate.count), now))
        return min(float(rate.count), level + (now - at) * rate.count / rate.per_s), now

    def _put(self, bucket: str, level: float, now: float) -> None:
        self._levels[bucket] = (level, now)
        self._levels.move_to_end(bucket)
        if len(self._levels) > KEPT:
            self._levels.popitem(last=False)
