"""How long to wait before another try: full jitter, so that clients that were cut together do not return together."""

import random
from collections.abc import Callable

BASE_S = 0.5
CAP_S = 20.0


class Backoff:
    """`next` draws from 0 to BASE_S, doubled at each try up to CAP_S; what the server asked for comes on top."""

    def __init__(self, draw: Callable[[float, float], float] = random.uniform) -> None:
        self._draw = draw
        self._tries = 0

    def next(self, at_least_s: float = 0.0) -> float:
        found = at_least_s + self._draw(0.0, min(CAP_S, BASE_S * 2**self._tries))
        self._tries = min(self._tries + 1, 16)
        return found

    def reset(self) -> None:
        self._tries = 0
