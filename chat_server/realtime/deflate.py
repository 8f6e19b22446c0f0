"""permessage-deflate (RFC 7692) as this server speaks it: each message by itself, so no connection keeps a window.

Without context takeover a publication is deflated once for all who agreed to it, and what a client sends is inflated by
an object that lives as long as the message.
"""

import zlib
from typing import Final

WORTH_BYTES = 256  # below that a header and a Huffman table eat what is saved, and a packet is a packet
WINDOW_BITS = 12  # 4 KiB: a publication is rarely larger, and zlib allocates and clears by it
MEMORY_LEVEL = 5
_NAME: Final = "permessage-deflate"
_TAIL: Final = b"\x00\x00\xff\xff"  # each message ends with it, unsent (RFC 7692 7.2.1)
_ANSWER: Final = f"{_NAME}; server_no_context_takeover; client_no_context_takeover"
_BITS = frozenset(str(bits) for bits in range(8, 16))
_FLAGS = frozenset({"server_no_context_takeover", "client_no_context_takeover"})


class TooLong(Exception):
    """It would inflate to more than was allowed."""


class Broken(Exception):
    """It does not inflate."""


def agreed(offers: str) -> str:
    """The answer to a client's `Sec-WebSocket-Extensions`: the first offer that can be taken; "" for none."""
    for offer in offers.split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        bits = _window_bits(parameters) if name == _NAME else None
        if bits is not None:
            return f"{_ANSWER}; server_max_window_bits={WINDOW_BITS}" if bits else _ANSWER
    return ""


def deflated(payload: bytes) -> bytes:
    """As the payload of a frame with RSV1."""
    work = zlib.compressobj(zlib.Z_DEFAULT_COMPRESSION, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)
    return (work.compress(payload) + work.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)


def inflated(payload: bytes, max_bytes: int) -> bytes:
    """The message; never more than `max_bytes` of it are made. TooLong, Broken."""
    work = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        found = work.decompress(payload + _TAIL, max_bytes + 1)
    except zlib.error as error:
        raise Broken() from error
    if len(found) > max_bytes:
        raise TooLong()
    return found


def _window_bits(parameters: list[str]) -> int | None:
    """What an offer limits our window to, 0 for nothing. None for an offer that cannot be taken."""
    given: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = (part.strip() for part in parameter.partition("="))
        if name in given:
            return None
        given[name] = value.strip('"')
    bits = given.pop("server_max_window_bits", None)
    client_bits = given.pop("client_max_window_bits", "")
    if not given.keys() <= _FLAGS or any(given.values()) or client_bits not in _BITS | {""}:
        return None
    if bits is None:
        return 0
    return int(bits) if bits in _BITS and int(bits) >= WINDOW_BITS else None
