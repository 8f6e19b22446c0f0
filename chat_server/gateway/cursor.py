"""What a stream's `id:` says: where each of its channels stands. One is `<epoch>:<offset>`, several are base64url."""

import base64
import binascii
from collections.abc import Mapping

from chat_server.errors import BadJson
from chat_server.realtime.resume import Asked
from chat_server.wire import MAX_OFFSET, encode, parse

CURSOR_CHARS = 16_384  # longer ones are refused before
NOWHERE = Asked("-", 0)  # no epoch is called so


def single(epoch: str, offset: int) -> bytes:
    return b"%s:%d" % (epoch.encode(), offset)


def several(positions: Mapping[str, Asked]) -> bytes:
    found = encode({channel: [asked.epoch, asked.offset] for channel, asked in positions.items()})
    return base64.urlsafe_b64encode(found).rstrip(b"=")


def read(text: str, channels: list[str]) -> dict[str, Asked]:
    """The positions of the channels that the cursor names. What cannot be read is a position that nothing recovers
    from, in every channel: the client is told so.
    """
    if not text:
        return {}
    try:
        found = _positions(text, channels)
    except (BadJson, binascii.Error, ValueError):
        return dict.fromkeys(channels, NOWHERE)
    return {channel: _asked(found[channel]) for channel in channels if channel in found}


def _positions(text: str, channels: list[str]) -> Mapping[str, object]:
    """ValueError, or what decoding raises, for a cursor that is none of ours."""
    epoch, colon, offset = text.rpartition(":")
    if colon:
        if len(channels) != 1 or not (offset.isascii() and offset.isdecimal()):
            raise ValueError(text)
        return {channels[0]: [epoch, int(offset[:20])]}
    found = parse(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    if not isinstance(found, dict):
        raise ValueError(text)
    return found


def _asked(value: object) -> Asked:
    match value:
        case [str(epoch), int(offset)] if type(offset) is int and 0 <= offset <= MAX_OFFSET:
            return Asked(epoch, offset)
        case _:
            return NOWHERE
