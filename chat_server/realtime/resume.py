"""Recovery: from the position a client has to what it gets. All or nothing, never a silent part."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chat_server.metrics import RECOVERIES
from chat_server.realtime.frames import Frame

RECOVER_PUBLICATIONS = 300
RECOVER_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """The position a client says it has. An empty epoch stands for whatever the channel's is."""

    epoch: str
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a join found: the channel's position, and the missed publications when they could be recovered.

    `recovered` with no frames: nothing was missed. `was_recovering` is false when nothing was asked for.
    """

    epoch: str
    top: int
    was_recovering: bool = False
    recovered: bool = False
    frames: tuple[Frame, ...] = ()

    @property
    def size_bytes(self) -> int:
        return sum(frame.size for frame in self.frames)

    def given_up(self) -> "Joined":
        """The same position without what was missed: there was no room for it."""
        return replace(self, recovered=False, frames=())


def is_within_reach(asked: Asked, epoch: str, top: int, floor: int) -> bool:
    """Whether it is worth reading: same epoch, not beyond the top, not from before `floor`, not too far back."""
    return asked.epoch in {"", epoch} and floor <= asked.offset <= top and top - asked.offset <= RECOVER_PUBLICATIONS


def resumed(asked: Asked | None, *, epoch: str, top: int, found: Sequence[Frame] | None, source: str) -> Joined:
    """The verdict. `found` is what was read after the asked offset; None when that was out of reach.

    Recovered only if it runs without a hole from the asked offset to the top, within the bounds.
    """
    if asked is None:
        return Joined(epoch=epoch, top=top)
    is_whole = (
        found is not None
        and len(found) == top - asked.offset
        and all(frame.offset == asked.offset + index for index, frame in enumerate(found, 1))
        and sum(frame.size for frame in found) <= RECOVER_BYTES
    )
    RECOVERIES.labels("recovered" if is_whole else "not_recovered", source).inc()
    frames = tuple(found) if is_whole and found is not None else ()
    return Joined(epoch=epoch, top=top, was_recovering=True, recovered=is_whole, frames=frames)
