"""What waits for one follower, within a bound of events.

When it is full nothing more is taken in. A channel with history then stands still at its position and is read on from
there once half of the inbox is free, so nothing is lost; of a channel without, the newest is dropped and Missed told.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace

from chat_server.client.delivery import Delivery, Missed
from chat_server.client.problems import ClientError

INBOX_EVENTS = 1000


class Inbox:
    """`stir` is called whenever there is something new to take, or the end."""

    def __init__(self, capacity: int, stir: Callable[[], None]) -> None:
        self.capacity = capacity
        self.end: ClientError | None = None
        self.was_full = False  # a channel stands still until there is room
        self.reserved = 0  # room for the pages that are on their way
        self._items: deque[Delivery] = deque()
        self._stir = stir

    @property
    def room(self) -> int:
        return max(0, self.capacity - len(self._items))

    @property
    def is_half_free(self) -> bool:
        return (len(self._items) + self.reserved) * 2 <= self.capacity

    def put(self, delivery: Delivery) -> None:
        """The caller looks for room first."""
        self._items.append(delivery)
        self._stir()

    def put_missed(self, missed: Missed) -> None:
        """It has its place in any case: two of a channel with nothing between them become one."""
        for index in range(len(self._items) - 1, -1, -1):
            item = self._items[index]
            if item.channel == missed.channel:
                if item.missed is not None:
                    missed = replace(missed, after=item.missed.after)
                    del self._items[index]
                break
        self.put(Delivery(channel=missed.channel, position=missed.position, missed=missed))

    def take(self) -> Delivery | None:
        return self._items.popleft() if self._items else None

    def close(self, error: ClientError) -> None:
        """Nothing more will come. What waits can still be taken."""
        if self.end is None:
            self.end = error
        self._stir()
