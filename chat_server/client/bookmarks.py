"""Positions in a file, so that a bot goes on where it was, over its own restarts and crashes."""

import os
from collections.abc import Mapping
from pathlib import Path

from chat_server.client.delivery import Position
from chat_server.wire import encode, parse


class Bookmarks:
    """One file a bot. It is replaced whole, so a crash leaves the old one or the new one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> dict[str, Position]:
        """Nothing before the first save. ValueError when the file is not one of these."""
        try:
            found = parse(self._path.read_bytes())
            return {channel: Position(str(epoch), int(offset)) for channel, (epoch, offset) in found.items()}
        except FileNotFoundError:
            return {}
        except Exception as error:
            raise ValueError(f"{self._path} has no positions in it: mend it, or delete it to start from now") from error

    def save(self, positions: Mapping[str, Position]) -> None:
        told = {channel: [position.epoch, position.offset] for channel, position in positions.items()}
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        with beside.open("wb") as file:
            file.write(encode(told))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
