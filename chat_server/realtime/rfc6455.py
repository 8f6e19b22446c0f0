"""RFC 6455's frames as a server reads and writes them, without I/O."""

from typing import Final

from websockets.frames import apply_mask  # type: ignore[attr-defined]  # its C version, or the other

from chat_server.realtime import deflate

CONTINUATION: Final = 0
TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_FIN, _DEFLATED, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x40, 0x30, 0x0F, 0x80, 0x7F
_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})
_MESSAGES = frozenset({TEXT, BINARY})
_CONTROL_BYTES = 125
_NO_STATUS = frozenset({1004, 1005, 1006, 1015})  # never in a frame (RFC 6455 7.4.1)

PROTOCOL_ERROR, INVALID_PAYLOAD, TOO_BIG = 1002, 1007, 1009


class BadFrame(Exception):
    """The peer broke the framing. `code` is the status of the close that answers it."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def encoded(opcode: int, payload: bytes) -> bytes:
    """A whole frame from the server, which masks nothing."""
    return _with_header(_FIN | opcode, payload)


def encoded_small(opcode: int, payload: bytes) -> bytes:
    """The same for a client that agreed to deflate: deflated if that makes it smaller."""
    if len(payload) < deflate.WORTH_BYTES:
        return _with_header(_FIN | opcode, payload)
    small = deflate.deflated(payload)
    return (
        _with_header(_FIN | _DEFLATED | opcode, small)
        if len(small) < len(payload)
        else _with_header(_FIN | opcode, payload)
    )


def closing(code: int, reason: str) -> bytes:
    """A close frame. The reason is cut to what a control frame holds."""
    told = reason.encode()[: _CONTROL_BYTES - 2].decode(errors="ignore").encode()
    return encoded(CLOSE, code.to_bytes(2, "big") + told)


class FrameReader:
    """Takes a client's bytes in, and gives its messages and control frames out, one at a time.

    `inflates`: the client may deflate its messages. `max_bytes` is for what a message becomes, too.
    """

    __slots__ = ("_at", "_bytes", "_first", "_max_bytes", "_parts", "inflates")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes: bytes | bytearray = b""
        self._at = 0
        self._first = 0  # the first byte of the message whose fragments are `_parts`
        self._parts: bytearray | None = None
        self.inflates = False

    def feed(self, data: bytes) -> None:
        if self._at == len(self._bytes):
            self._bytes = data
        elif isinstance(self._bytes, bytearray):  # in place: a frame may come byte by byte
            del self._bytes[: self._at]
            self._bytes += data
        else:
            self._bytes = bytearray(self._bytes[self._at :]) + data
        self._at = 0

    def next(self) -> tuple[int, bytes] | None:
        """The next control frame, or TEXT or BINARY message with its fragments put together; None until more comes.

        BadFrame; then nothing that follows can be read.
        """
        while (frame := self._frame()) is not None:
            first, payload = frame
            opcode = first & _OPCODE
            if opcode >= CLOSE:
                return opcode, payload
            if (opcode == CONTINUATION) is (self._parts is None):
                raise BadFrame(PROTOCOL_ERROR)
            if first & _FIN and self._parts is None:
                return self._whole(first, payload)
            if self._parts is None:
                self._first, self._parts = first, bytearray()
            self._parts += payload
            if first & _FIN:
                whole, self._parts = bytes(self._parts), None
                return self._whole(self._first, whole)
        return None

    def _whole(self, first: int, payload: bytes) -> tuple[int, bytes]:
        """A message by the first byte of its first frame, inflated if that says so."""
        if first & _DEFLATED:
            try:
                payload = deflate.inflated(payload, self._max_bytes)
            except deflate.TooLong as error:
                raise BadFrame(TOO_BIG) from error
            except deflate.Broken as error:
                raise BadFrame(INVALID_PAYLOAD) from error
        return first & _OPCODE, payload

    def _frame(self) -> tuple[int, bytes] | None:
        """The next frame's first byte and its payload."""
        data, at = self._bytes, self._at
        if len(data) - at < 2:
            return None
        first, size = data[at], data[at + 1] & _LENGTH
        opcode = first & _OPCODE
        if first & _RESERVED or opcode not in _KNOWN or not data[at + 1] & _MASKED:
            raise BadFrame(PROTOCOL_ERROR)
        if first & _DEFLATED and (not self.inflates or opcode not in _MESSAGES):
            raise BadFrame(PROTOCOL_ERROR)
        if opcode >= CLOSE and (size > _CONTROL_BYTES or not first & _FIN):
            raise BadFrame(PROTOCOL_ERROR)
        start = at + 6
        if size >= 126:
            start = at + (8 if size == 126 else 14)
            if len(data) < start - 4:
                return None
            size = int.from_bytes(data[at + 2 : start - 4], "big")
        if opcode < CLOSE and size + len(self._parts or b"") > self._max_bytes:
            raise BadFrame(TOO_BIG)
        end = start + size
        if len(data) < end:
            return None
        self._at = end
        return first, apply_mask(data[start:end], data[start - 4 : start])


def status_in(payload: bytes) -> int:
    """The status of a peer's close frame, 0 when it has none. BadFrame when it may not be there."""
    if not payload:
        return 0
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or code < 1000 or code in _NO_STATUS or 1016 <= code < 3000 or code >= 5000:
        raise BadFrame(PROTOCOL_ERROR)
    try:
        payload[2:].decode()
    except UnicodeDecodeError as error:
        raise BadFrame(INVALID_PAYLOAD) from error
    return code


def _with_header(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big") + payload
    return bytes((first, 127)) + size.to_bytes(8, "big") + payload
