"""The bodies of the server API, as Centrifugo's clients send them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chat_server.errors import FORCE_NO_RECONNECT
from chat_server.shapes import JsonValue
from chat_server.wire import ChannelName, HistoryRequest, StreamPosition

BATCH_COMMANDS = 1000
BROADCAST_CHANNELS = 1000


class _Body(BaseModel):
    """Unknown fields are ignored: these bodies are another protocol's, and its clients send some more."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Publish(_Body):
    channel: ChannelName
    data: JsonValue
    skip_history: bool = False
    tags: dict[str, str] | None = None
    idempotency_key: Annotated[str, Field(max_length=255)] = ""


class Broadcast(_Body):
    channels: Annotated[list[ChannelName], Field(max_length=BROADCAST_CHANNELS)]
    data: JsonValue
    skip_history: bool = False
    tags: dict[str, str] | None = None
    idempotency_key: Annotated[str, Field(max_length=255)] = ""


class _Addressed(_Body):
    user: Annotated[str, Field(max_length=64)]
    client: Annotated[str, Field(max_length=64)] = ""


class Subscribe(_Addressed):
    channel: ChannelName
    recover_since: StreamPosition | None = None


class Unsubscribe(_Addressed):
    channel: Annotated[str, Field(max_length=255)] = ""


class CloseReason(_Body):
    code: Annotated[int, Field(ge=3000, le=4999)] = FORCE_NO_RECONNECT.code
    reason: Annotated[str, Field(max_length=32)] = FORCE_NO_RECONNECT.reason


class Disconnect(_Addressed):
    disconnect: CloseReason = CloseReason()
    whitelist: Annotated[list[str], Field(max_length=1000)] = []


class Refresh(_Addressed):
    expired: bool = False
    expire_at: Annotated[int, Field(ge=0, le=2**40)] | None = None


class InChannel(_Body):
    channel: ChannelName


class ListChannels(_Body):
    pattern: Annotated[str, Field(max_length=255)] = ""


class Nothing(_Body):
    pass


class ApiCommand(_Body):
    """One command of a batch, which may be a batch again: exactly one of the methods, with its body."""

    publish: Publish | None = None
    broadcast: Broadcast | None = None
    subscribe: Subscribe | None = None
    unsubscribe: Unsubscribe | None = None
    disconnect: Disconnect | None = None
    refresh: Refresh | None = None
    presence: InChannel | None = None
    presence_stats: InChannel | None = None
    history: HistoryRequest | None = None
    history_remove: InChannel | None = None
    channels: ListChannels | None = None
    info: Nothing | None = None
    batch: "Batch | None" = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len([name for name in self.model_fields_set if getattr(self, name) is not None]) != 1:
            raise ValueError("a command has exactly one method")
        return self


class Batch(_Body):
    commands: Annotated[list[ApiCommand], Field(max_length=BATCH_COMMANDS)]
    parallel: bool = False
