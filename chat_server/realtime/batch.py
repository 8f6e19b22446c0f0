"""What the subscribers of one channel hear together: its next publications, joined once for each transport."""

from functools import cached_property

from chat_server.realtime.frames import Frame
from chat_server.settings import Slow

PIECE_BYTES = 64 * 1024  # what is written at once, so that a burst does not make a good reader look slow


class Batch:
    """Some publications of a channel, in their order; at least one. What it answers is shared: leave it as it is.

    `epoch` is the channel's; `offset` the last one's, 0 without history. `is_plain`: it may be written at once as a
    whole, to whoever has nothing waiting.
    """

    def __init__(self, channel: str, frames: list[Frame], slow: Slow, epoch: str) -> None:
        self.channel = channel
        self.frames = frames
        self.slow = slow
        self.epoch = epoch
        self.count = len(frames)
        self.is_plain = slow == "close" and (len(frames) == 1 or sum(frame.size for frame in frames) <= PIECE_BYTES)
        self.offset = max(frame.offset for frame in frames)

    @cached_property
    def singles(self) -> list["Batch"]:
        """Each on its own."""
        if self.count == 1:
            return [self]
        return [Batch(self.channel, [frame], self.slow, self.epoch) for frame in self.frames]

    @cached_property
    def publications(self) -> list[Frame]:
        """Without joins and leaves, which are for sockets."""
        return [frame for frame in self.frames if frame.envelope.kind == "pub"]

    @cached_property
    def websocket(self) -> bytes:
        frames = self.frames
        return frames[0].websocket if len(frames) == 1 else b"".join([frame.websocket for frame in frames])

    @cached_property
    def websocket_small(self) -> bytes:
        """The same for those who agreed to deflate."""
        frames = self.frames
        return frames[0].websocket_small if len(frames) == 1 else b"".join([frame.websocket_small for frame in frames])

    @cached_property
    def events(self) -> bytes:
        """For a stream of this one channel: whole, with their ids."""
        return b"".join(
            [frame.sse_at(self.epoch) if frame.offset else frame.sse + b"\n" for frame in self.publications]
        )

    @cached_property
    def chunk(self) -> bytes:
        """The events as a chunk of HTTP/1.1; nothing if there are none."""
        return as_chunk(self.events) if self.events else b""


def as_chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
