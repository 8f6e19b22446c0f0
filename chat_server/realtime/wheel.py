"""One coarse timer for all connections: pings, deadlines and expiry need no timer each."""

import asyncio
from collections.abc import Callable
from typing import Protocol

TICK_S = 0.1


class Sleeper(Protocol):
    """Something with a time to be woken at, in the loop's seconds."""

    @property
    def wake_at(self) -> float: ...

    def wake(self, now: float) -> None:
        """Called at or shortly after `wake_at`. Never awaits, never raises."""


class Wheel:
    """`watch` a sleeper whenever its `wake_at` may have become earlier; one that became later is simply put off."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._slots: dict[int, dict[Sleeper, None]] = {}
        self._slot_of: dict[Sleeper, int] = {}
        self._done_until = int(clock_s() / TICK_S)

    @property
    def now(self) -> float:
        return self._clock_s()

    def watch(self, sleeper: Sleeper) -> None:
        at = sleeper.wake_at
        known = self._slot_of.get(sleeper)
        if at == float("inf"):
            return
        slot = max(int(at / TICK_S) + 1, self._done_until + 1)
        if known is not None:
            if known <= slot:
                return
            self._slots.get(known, {}).pop(sleeper, None)
        self._slot_of[sleeper] = slot
        self._slots.setdefault(slot, {})[sleeper] = None

    def forget(self, sleeper: Sleeper) -> None:
        slot = self._slot_of.pop(sleeper, None)
        if slot is not None:
            self._slots.get(slot, {}).pop(sleeper, None)

    def turn(self) -> None:
        """Wake whoever is due."""
        now = self._clock_s()
        until = int(now / TICK_S)
        while self._done_until < until:
            self._done_until += 1
            for sleeper in self._slots.pop(self._done_until, {}):
                if self._slot_of.get(sleeper) != self._done_until:
                    continue  # forgotten, or put elsewhere, by the one before it
                if sleeper.wake_at <= now:
                    sleeper.wake(now)
                if self._slot_of.get(sleeper) == self._done_until:  # its waking did not forget it
                    del self._slot_of[sleeper]
                    self.watch(sleeper)

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.turn()
