"""What a stream's `id:` says: where each of its channels stands. One is `<epoch>:<offset>`, several are base64url."""

import base64
import binascii
from collections.abc import Mapping

from chat_server.errors import BadJson
from chat_server.realtime.resume import Asked
from chat_server.wire import MAX_OFFSET, encode, parse

CURSOR_CHARS = 16_384


def single(epoch: str, offset: int) -> bytes:
    return b"%s:%d" % (epoch.encode(), offset)


def several(positions: Mapping[str, Asked]) -> bytes:
    found = encode({channel: [asked.epoch, asked.offset] for channel, asked in positions.items()})
    return base64.urlsafe_b64encode(found).rstrip(b"=")


def read(text: str, channels: list[str]) -> dict[str, Asked]:
    """The positions of the channels that the cursor names; a cursor that is none of ours names none."""
    if not text or len(text) > CURSOR_CHARS:
        return {}
    epoch, colon, offset = text.rpartition(":")
    if colon:
        if len(channels) == 1 and offset.isascii() and offset.isdecimal() and int(offset[:20]) <= MAX_OFFSET:
            return {channels[0]: Asked(epoch, int(offset[:20]))}
        return {}
    try:
        found = parse(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (BadJson, binascii.Error, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {channel: asked for channel in channels if (asked := _asked(found.get(channel))) is not None}


def _asked(value: object) -> Asked | None:
    match value:
        case [str(epoch), int(offset)] if type(offset) is int and 0 <= offset <= MAX_OFFSET:
            return Asked(epoch, offset)
        case _:
            return None
