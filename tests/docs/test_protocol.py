"""docs/protocol.md is whole and true: every command, event, error and code is in it, and nothing that is not there."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, get_args

import pytest

from chat_server.app import create_app
from chat_server.commands import COMMANDS
from chat_server.errors import CLOSE_CODES, UNSUBSCRIBE_CODES, ChatError, ProtocolError
from chat_server.events import Event
from chat_server.gateway.api import METHODS
from chat_server.ids import EVENT_NAMESPACES
from chat_server.settings import Settings
from chat_server.shapes import Scope
from chat_server.wire import Command
from tests.docs.pages import PROTOCOL, prose, rows, section, ticked
from tests.house import settings_for
from tests.rooms.doors import API, ROUTES


def kinds_of(error: type[ChatError]) -> Iterator[type[ChatError]]:
    yield error
    for kind in error.__subclasses__():
        yield from kinds_of(kind)


def table(title: str) -> dict[str, list[str]]:
    """The rows of a section by their first cell's words in backticks."""
    return {name: cells for cells in rows(section(PROTOCOL, title)) for name in ticked(cells[0])}


def test_every_command_of_the_protocol_is_there() -> None:
    assert set(table("Commands")) == set(Command.model_fields) - {"id"}


def test_every_rpc_method_is_there_with_its_fields_and_its_route() -> None:
    documented = table("RPC methods")

    assert set(documented) == set(COMMANDS)
    for method, command in COMMANDS.items():
        _, data, rest = documented[method]
        told = {word.strip() for each in ticked(data) for word in each.split(",")} - {"mine", "public"}
        assert told == set(command.model.model_fields), method
        verb, path = ROUTES.get(method, ("", ""))
        assert ticked(rest) == ([f"{verb} {API}{path}"] if verb else []), method


def types_of(union: Any) -> set[str]:
    members = get_args(union) if isinstance(union, UnionType) or get_args(union) else (union,)
    found = set()
    for member in members:
        if hasattr(member, "__dataclass_fields__"):
            found.add(member.__dataclass_fields__["type"].default)
        elif get_args(member):
            found |= types_of(member)
    return found


def test_every_event_is_there() -> None:
    streams = {name for name in table("Streams: server-sent events") if name.startswith("stream.")}

    assert len(types_of(Event)) > 12
    assert set(table("Events")) == types_of(Event)
    assert streams == {"stream.open", "stream.lost", "stream.expired", "stream.revoked"}


@pytest.mark.parametrize("error", sorted(set(kinds_of(ChatError)), key=lambda error: error.__name__))
def test_every_error_is_there_with_its_codes(error: type[ChatError]) -> None:
    documented = table("Errors")
    cells = documented.get(error.code)

    assert cells is not None, f"{error.__name__}: {error.code} is missing"
    if error is ProtocolError:  # the protocol's own words for what the server failed at
        return
    _, status, protocol, retry, _ = cells
    assert int(status) == error.status
    assert int(protocol) == (error.status if error.protocol is None else error.protocol)
    assert not (error.temporary and retry == "no")


def test_no_error_is_there_that_does_not_exist() -> None:
    assert set(table("Errors")) - {"reason"} == {error.code for error in kinds_of(ChatError)}


def test_every_close_code_is_there_and_says_whether_to_reconnect() -> None:
    documented = {int(cells[0]): cells for cells in rows(section(PROTOCOL, "Close codes"))}

    assert set(documented) == {code.code for code in CLOSE_CODES}
    for code in CLOSE_CODES:
        _, reason, reconnect, _ = documented[code.code]
        assert reason.startswith(code.reason)
        assert reconnect.startswith("yes") is code.reconnect


def test_every_unsubscribe_code_is_there_and_says_whether_to_resubscribe() -> None:
    documented = {int(cells[0]): cells for cells in rows(section(PROTOCOL, "Unsubscribe codes"))}

    assert set(documented) == {code.code for code in UNSUBSCRIBE_CODES}
    for code in UNSUBSCRIBE_CODES:
        _, reason, resubscribe = documented[code.code]
        assert reason == code.reason
        assert resubscribe.startswith("yes") is code.resubscribe


def test_every_scope_is_there() -> None:
    assert set(table("Scopes")) == set(Scope)


def test_every_namespace_of_the_house_is_there() -> None:
    named = {name.partition(":")[0] for name in table("Channels")}

    assert named == {*EVENT_NAMESPACES, "live"}


def test_every_method_of_the_server_api_is_there() -> None:
    named = set(ticked(section(PROTOCOL, "The server API")))

    assert set(METHODS) <= named


def endpoints(text: str) -> set[tuple[str, str]]:
    """`GET, PATCH /path` and `POST /path` in backticks."""
    found = set()
    for each in ticked(text):
        verbs, slash, path = each.partition("/")
        if slash and verbs.strip() and verbs.replace(",", "").replace(" ", "").isupper():
            found |= {(verb.strip(), f"/{path}") for verb in verbs.split(",")}
    return found


def test_every_endpoint_is_there(tmp_path: Any) -> None:
    paths = create_app(settings_for(tmp_path)).openapi()["paths"]
    real = {
        (method.upper(), path.partition("?")[0])
        for path, operations in paths.items()
        for method in operations
        if not (path.startswith("/api/") and not path.startswith("/api/v1/"))  # the server API, above
    }
    documented = {(verb, path.partition("?")[0]) for verb, path in endpoints(prose(PROTOCOL))}

    assert real - documented == set()
    assert documented - real - {("POST", "/api/<method>")} == set()


def test_the_limits_are_those_of_the_settings() -> None:
    settings = Settings(_env_file=None)
    documented = {cells[0]: cells[1] for cells in rows(section(PROTOCOL, "Limits"))}

    assert documented["a frame to the server"] == f"{settings.frame_bytes // 1024} KiB"
    assert documented["an HTTP body"] == f"{settings.body_bytes // 1024} KiB"
    assert documented["commands a second, a user"].startswith(f"{settings.rate_commands.count:,}")
    assert documented["HTTP requests a second, an address"].startswith(f"{settings.rate_http.count:,}")
    assert documented["bytes waiting for one connection"].startswith(f"{settings.slow_bytes // 1024**2} MiB")
    failed = f"{settings.rate_login.count} a minute an account, {settings.rate_login_address.count} a minute an address"
    assert documented["failed logins"].startswith(failed)
