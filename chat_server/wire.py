"""Event, command and reply <-> JSON bytes: the only JSON in the house.

What goes out is encoded by orjson, once; a payload that is JSON already is embedded as it is (`raw`). What comes in is
parsed strictly: UTF-8, no NaN, no lone surrogates.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from chat_server.errors import BadJson, ChatError, FieldError, Invalid
from chat_server.events import Event
from chat_server.shapes import JsonValue

MAX_COMMAND_ID = 2**32 - 1
MAX_OFFSET = 2**63 - 1
CHANNEL_CHARS = 255
MAX_DEPTH = 100  # what is wrapped once more must still be encoded, and the encoder stops at 254
FLAG_REJECT_UNRECOVERED = 2  # subscribe flag: answer error 112 instead of `recovered: false`

M = TypeVar("M", bound=BaseModel)

_OPTIONS = orjson.OPT_UTC_Z
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)

ChannelName = Annotated[str, Field(min_length=1, max_length=CHANNEL_CHARS)]
Offset = Annotated[int, Field(strict=True, ge=0, le=MAX_OFFSET)]


class _Request(BaseModel):
    """An object of the realtime protocol. Unknown fields are ignored, as its newer clients send some."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class StreamPosition(_Request):
    offset: Offset = 0
    epoch: str = ""


class SubscribeOptions(_Request):
    recover: bool = False
    epoch: str = ""
    offset: Offset = 0


class ConnectRequest(_Request):
    token: str = ""
    data: JsonValue = None
    subs: dict[str, SubscribeOptions] = Field(default_factory=dict, max_length=1000)


class SubscribeRequest(SubscribeOptions):
    channel: ChannelName
    token: str = ""
    flag: int = 0


class ChannelRequest(_Request):
    channel: ChannelName


class PublishRequest(ChannelRequest):
    data: JsonValue


class HistoryRequest(ChannelRequest):
    limit: Annotated[int, Field(strict=True, ge=-1, le=2**31 - 1)] = 0
    since: StreamPosition | None = None
    reverse: bool = False


class RpcRequest(_Request):
    method: Annotated[str, Field(max_length=128)] = ""
    data: JsonValue = None


class SendRequest(_Request):
    data: JsonValue = None


class RefreshRequest(_Request):
    token: str = ""


class SubRefreshRequest(ChannelRequest):
    token: str = ""


class Command(_Request):
    """One command of a client: an id and exactly one of the requests. `request` is that one, `name` its key."""

    id: Annotated[int, Field(strict=True, ge=0, le=MAX_COMMAND_ID)] = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: HistoryRequest | None = None
    rpc: RpcRequest | None = None
    send: SendRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

    @property
    def names(self) -> list[str]:
        return [name for name in self.model_fields_set if name != "id" and getattr(self, name) is not None]


def encode(value: object) -> bytes:
    """Any answer, event or dict of them as JSON. A pydantic field that was not set is left out."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def raw(payload: bytes) -> orjson.Fragment:
    """JSON that is encoded already, to be embedded in another value."""
    return orjson.Fragment(payload)


def parse(body: bytes | str) -> Any:
    """A JSON value from outside. BadJson unless it is strict JSON in UTF-8, nested no deeper than MAX_DEPTH."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadJson() from error
    if _brackets(body) > MAX_DEPTH and _is_deep(value):
        raise BadJson()
    return value


def decoded(payload: bytes) -> Any:
    """JSON of our own making."""
    return orjson.loads(payload)


def id_of(value: object) -> int:
    """The id of a parsed command that does not fit otherwise; 0 when it has no usable one."""
    found = value.get("id") if isinstance(value, dict) else None
    return found if type(found) is int and 0 < found <= MAX_COMMAND_ID else 0


def id_in(line: bytes | str) -> int:
    """The id of a command that is JSON by its grammar but not by ours (NaN, a lone surrogate); else 0."""
    try:
        return id_of(json.loads(line))
    except (ValueError, RecursionError):
        return 0


def decode_event(payload: bytes) -> Event:
    return _EVENT.validate_json(payload)


def event_of(value: object) -> Event:
    """An event from JSON that is parsed already. pydantic's ValidationError when it is none that we know."""
    return _EVENT.validate_python(value)


def validated(model: type[M], value: object) -> M:
    """`value` as that model. Invalid, with one FieldError a refused field, when it does not fit."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise Invalid(fields=fields_of(error.errors(include_url=False, include_input=False))) from error


def fields_of(errors: Sequence[Mapping[str, Any]]) -> tuple[FieldError, ...]:
    """pydantic's list of errors as ours: dotted field, stable code, human message."""
    return tuple(
        FieldError(
            field=".".join(str(part) for part in error["loc"]),
            code=str(error["type"]),
            message=str(error["msg"]).removeprefix("Value error, "),
        )
        for error in errors
    )


def reply(command_id: int, name: str, result: object) -> bytes:
    return b'{"id":%d,"%s":%s}' % (command_id, name.encode(), encode(result))


def error_reply(command_id: int, error: ChatError, request_id: str) -> bytes:
    """The reply to a command that failed. Protocol errors have their own code, others their HTTP status."""
    told: dict[str, object] = {
        "code": error.status if error.protocol is None else error.protocol,
        "message": str(error),
        "temporary": error.temporary,
        "reason": error.code,
        "request_id": request_id,
    }
    if error.fields:
        told["errors"] = error.fields
    if error.retry_after_s is not None:
        told["retry_after"] = round(error.retry_after_s, 3)
    return b'{"id":%d,"error":%s}' % (command_id, encode(told))


def push(channel: str, name: str, content: object) -> bytes:
    """A message of the server's own: `{"push": {"channel": ..., "<name>": ...}}`."""
    return b'{"push":{"channel":%s,"%s":%s}}' % (orjson.dumps(channel), name.encode(), encode(content))


def publication(offset: int, data: bytes, info: bytes | None = None) -> bytes:
    """One publication. `offset` 0 is left out: a channel without history has no positions."""
    parts = [b'{"data":', data]
    if offset:
        parts.append(b',"offset":%d' % offset)
    if info is not None:
        parts += [b',"info":', info]
    parts.append(b"}")
    return b"".join(parts)


def _brackets(body: bytes | str) -> int:
    return body.count("[") + body.count("{") if isinstance(body, str) else body.count(b"[") + body.count(b"{")


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, (dict, list))
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return any(isinstance(item, (dict, list)) for item in level)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields if name in value.model_fields_set}
    raise TypeError(f"{type(value).__name__} cannot be sent")
