"""How far a bot is: a channel's position is that before its oldest unfinished event, whatever is finished behind it."""

from collections.abc import Mapping

from chat_server.client.delivery import Position


class Progress:
    """`starts`: where channels stood before anything was begun."""

    def __init__(self, starts: Mapping[str, Position]) -> None:
        self._positions = dict(starts)
        self._begun: dict[str, dict[Position, None]] = {}
        self._last: dict[str, Position] = {}

    def began(self, channel: str, position: Position) -> None:
        """In the order of the channel."""
        begun = self._begun.setdefault(channel, {})
        if begun and next(iter(begun)).epoch != position.epoch:
            begun.clear()  # of a time before a back-up was restored
        begun[position] = None
        self._last[channel] = position

    def finished(self, channel: str, position: Position) -> None:
        begun = self._begun[channel]
        begun.pop(position, None)
        oldest = next(iter(begun), None)
        self._positions[channel] = Position(oldest.epoch, oldest.offset - 1) if oldest else self._last[channel]

    def start(self, starts: Mapping[str, Position]) -> None:
        """Channels of which nothing was begun so far."""
        for channel, position in starts.items():
            self._positions.setdefault(channel, position)

    @property
    def positions(self) -> dict[str, Position]:
        return dict(self._positions)
