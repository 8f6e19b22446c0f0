"""One publication as the bytes that every transport writes: encoded once each, shared by all connections."""

from chat_server.broker import Envelope
from chat_server.ids import is_event_channel
from chat_server.realtime.rfc6455 import TEXT, encoded, encoded_small
from chat_server.wire import decoded, encode, publication, push, raw

_TYPE_AT = len(b'{"type":"')


class Frame:
    """`text` is the WebSocket message, `websocket` the same as a frame with its header, `websocket_small` that frame
    for those who agreed to deflate, `sse` an event without its id and end, `publication` an entry of a recovery.
    """

    __slots__ = ("_publication", "_sse", "_sse_at", "_text", "_websocket", "_websocket_small", "envelope", "offset")

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.offset = envelope.offset
        self._publication: bytes | None = None
        self._text: str | None = None
        self._websocket: bytes | None = None
        self._websocket_small: bytes | None = None
        self._sse: bytes | None = None
        self._sse_at: bytes | None = None

    @property
    def size(self) -> int:
        return len(self.envelope.payload)

    @property
    def publication(self) -> bytes:
        if self._publication is None:
            self._publication = as_publication(self.envelope.channel, self.offset, self.envelope.payload)
        return self._publication

    @property
    def text(self) -> str:
        if self._text is None:
            self._text = self._push().decode()
        return self._text

    @property
    def websocket(self) -> bytes:
        if self._websocket is None:
            self._websocket = encoded(TEXT, self._push())
        return self._websocket

    @property
    def websocket_small(self) -> bytes:
        if self._websocket_small is None:
            self._websocket_small = encoded_small(TEXT, self._push())
        return self._websocket_small

    @property
    def sse(self) -> bytes:
        if self._sse is None:
            self._sse = as_sse(self.envelope.channel, self.envelope.payload)
        return self._sse

    def sse_at(self, epoch: str) -> bytes:
        """The whole event for a stream of this one channel. The epoch is the channel's, so the bytes are shared."""
        if self._sse_at is None:
            self._sse_at = b"%sid: %s:%d\n\n" % (self.sse, epoch.encode(), self.offset)
        return self._sse_at

    def _push(self) -> bytes:
        return push(self.envelope.channel, self.envelope.kind, raw(self.publication))


def as_publication(channel: str, offset: int, payload: bytes) -> bytes:
    """`{"data": ..., "offset": ...}`: an event becomes its data, a foreign publication only gets its offset."""
    if is_event_channel(channel):
        return publication(offset, payload)
    return payload[:-1] + b',"offset":%d}' % offset if offset else payload


def as_sse(channel: str, payload: bytes) -> bytes:
    """`event:` and `data:`. An event's name is its type, which every event's JSON begins with."""
    if is_event_channel(channel):
        return b"event: %s\ndata: %s\n" % (payload[_TYPE_AT : payload.index(b'"', _TYPE_AT)], payload)
    data = encode({"type": "publication", "channel": channel, "data": decoded(payload).get("data")})
    return b"event: publication\ndata: %s\n" % data
