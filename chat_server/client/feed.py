"""One channel as a follower hears it: every publication once, in the order of its offset.

One law serves recovery, holes and full inboxes alike: a publication that is not the next one is not taken; instead the
channel's `history` is paged from the position until the position has reached it.
"""

from collections.abc import Mapping
from typing import Any, Literal

from chat_server.client.delivery import Delivery, Missed, Position
from chat_server.client.inbox import Inbox
from chat_server.client.permit import Permit

PAGE = 300  # the most that the server answers


class Feed:
    """`inbox` None: only the position is kept. `by_server`: the server subscribed, and does so again.

    `permit`: where a subscription needs a token.
    """

    def __init__(
        self, channel: str, inbox: Inbox | None, position: Position | None = None, permit: Permit | None = None
    ) -> None:
        self.channel = channel
        self.inbox = inbox
        self.permit = permit
        self.position = self.start = position
        self.by_server = False
        self._asked = 0  # a page of so many is on its way
        self._top = 0  # the highest offset known to be there
        self._was_live = False
        self._has_dropped = False

    @property
    def is_behind(self) -> bool:
        return self.position is not None and self.position.offset < self._top

    def next_page(self) -> dict[str, Any] | None:
        """The history request that is needed now, if any: it is on its way from here until `page` or `settle`."""
        if self.position is None or self.inbox is None or not self.is_behind or self._asked:
            return None
        if not self.inbox.is_half_free:
            self.inbox.was_full = True
            return None
        self._asked = max(1, min(PAGE, self.inbox.room - self.inbox.reserved))
        self.inbox.reserved += self._asked
        since = {"epoch": self.position.epoch, "offset": self.position.offset}
        return {"channel": self.channel, "since": since, "limit": self._asked}

    def settle(self) -> None:
        """No page is on its way any more."""
        if self.inbox is not None:
            self.inbox.reserved -= self._asked
        self._asked = 0

    def rewind(self, since: Position) -> None:
        """A follower came who wants more than the present."""
        here = self.position
        self.position = self.start = since
        if here is not None:
            self.started({"recoverable": True, "epoch": here.epoch, "offset": here.offset})

    def started(self, result: Mapping[str, Any]) -> None:
        """A subscription began: what a subscribe answer says."""
        self.settle()
        was_live, self._was_live = self._was_live, True
        if not result.get("recoverable"):
            self.position = None
            if was_live:
                self._miss(None)
            return
        here = Position(str(result["epoch"]), int(result["offset"]))
        if self.position is None or self.inbox is None:
            self._jump(here)
            self.start = here
        elif here.epoch != self.position.epoch or here.offset < self.position.offset:
            self._miss(here)
        else:
            self._top = here.offset
        for publication in result.get("publications", ()):
            self.hear(publication)

    def hear(self, publication: Mapping[str, Any]) -> None:
        """A publication came: live, recovered, or from a page."""
        offset = int(publication.get("offset", 0))
        if self.position is None or not offset:
            self._hear_unnumbered(publication)
            return
        self._top = max(self._top, offset)
        if self.inbox is None:
            self.position = Position(self.position.epoch, self._top)
            return
        if offset != self.position.offset + 1:
            return  # had it already, or some before it are missing: `next_page`
        if not self.inbox.room:
            self.inbox.was_full = True
            return
        self.position = Position(self.position.epoch, offset)
        self._deliver(publication)

    def hear_passage(self, kind: Literal["join", "leave"], info: dict[str, Any]) -> None:
        """A connection came or went. What there is no room for is dropped, and the lack of it told."""
        if self.inbox is None:
            return
        if not self.inbox.room:
            self._has_dropped = True
            return
        self._tell_dropped()
        self.inbox.put(Delivery(channel=self.channel, kind=kind, info=info))

    def page(self, result: Mapping[str, Any]) -> None:
        """The answer to `next_page`."""
        self.settle()
        assert self.position is not None
        here = Position(str(result.get("epoch", "")), int(result.get("offset", 0)))
        publications = result.get("publications", ())
        if here.epoch != self.position.epoch or not publications:
            self._miss(here)  # what was there is gone
            return
        first = int(publications[0]["offset"])
        if first > self.position.offset + 1:
            self._miss(Position(here.epoch, first - 1))
        self._top = max(self._top, here.offset)
        for publication in publications:
            self.hear(publication)

    def unreadable(self, here: Position | None) -> None:
        """The page cannot be had: go on at `here`, or at the highest that was heard of."""
        self.settle()
        assert self.position is not None
        self._miss(here or Position(self.position.epoch, self._top))

    def _hear_unnumbered(self, publication: Mapping[str, Any]) -> None:
        if self.inbox is not None and not self.inbox.room:
            self._has_dropped = True
            return
        self._tell_dropped()
        self._deliver(publication)

    def _tell_dropped(self) -> None:
        if self._has_dropped and self.inbox is not None:
            self._has_dropped = False
            self.inbox.put_missed(Missed(channel=self.channel, after=self.position, position=self.position))

    def _deliver(self, publication: Mapping[str, Any]) -> None:
        if self.inbox is not None:
            data, info = publication.get("data"), publication.get("info")
            self.inbox.put(Delivery(channel=self.channel, position=self.position, data=data, info=info))

    def _miss(self, here: Position | None) -> None:
        if self.inbox is not None:
            self.inbox.put_missed(Missed(channel=self.channel, after=self.position, position=here))
        if here is not None:
            self._jump(here)

    def _jump(self, here: Position) -> None:
        self.position, self._top = here, here.offset
