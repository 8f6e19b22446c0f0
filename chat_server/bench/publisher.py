"""Who publishes: a back end by the server API's key, or a client where its namespace lets clients publish."""

import http.client
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import InvalidStatus, WebSocketException
from websockets.sync.client import connect

from chat_server.bench import LOGIN_AGAIN, CannotBench, Plan
from chat_server.errors import BadJson
from chat_server.wire import encode, parse

TIMEOUT_S = 10.0
NOBODY_MAY, UNAUTHORIZED = 103, 401

Publish = Callable[[bytes], None]


@contextmanager
def publisher(plan: Plan) -> Iterator[Publish]:
    """A function that publishes one JSON text and waits until it is acknowledged. CannotBench."""
    try:
        with _as_back_end(plan) if plan.api_key else _as_client(plan) as publish:
            yield publish
    except CannotBench:
        raise
    except (http.client.HTTPException, WebSocketException, OSError) as error:
        refused = isinstance(error, InvalidStatus) and error.response.status_code == UNAUTHORIZED
        raise CannotBench(LOGIN_AGAIN if refused else f"{plan.url}: {error or type(error).__name__}") from error


def publish_for(plan: Plan, publish: Publish) -> tuple[int, float]:
    """At the plan's rate for its time. How many were acknowledged, and within how many seconds."""
    pad = "x" * max(0, plan.size_bytes - len(_stamped(plan, "")))
    began = time.monotonic()
    number = 0
    while (spent := time.monotonic() - began) < plan.seconds:
        due = number / plan.rate if plan.rate else spent
        if due > spent:
            time.sleep(min(due, plan.seconds) - spent)
            continue
        publish(_stamped(plan, pad))
        number += 1
    return number, time.monotonic() - began


def _stamped(plan: Plan, pad: str) -> bytes:
    return encode({plan.stamp_name(): time.monotonic_ns(), "pad": pad})


@contextmanager
def _as_back_end(plan: Plan) -> Iterator[Publish]:
    parts = urlsplit(plan.url)
    assert parts.hostname is not None
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        if parts.scheme == "wss"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    )
    headers = {"Content-Type": "application/json", "X-API-Key": plan.api_key}
    path = parts.path.removesuffix("/ws").removesuffix("/connection/websocket") + "/api/publish"
    head = b'{"channel":' + encode(plan.channel) + b',"data":'

    def publish(data: bytes) -> None:
        connection.request("POST", path, head + data + b"}", headers)
        response = connection.getresponse()
        body = response.read()
        if response.status == UNAUTHORIZED:
            raise CannotBench("the server API refuses the key: it wants the server's CHAT_API_KEY")
        if response.status != 200:
            raise CannotBench(f"the server API answers {response.status} {response.reason}")
        _see(plan, parse(body))

    try:
        yield publish
    finally:
        connection.close()


@contextmanager
def _as_client(plan: Plan) -> Iterator[Publish]:
    headers = {"Authorization": f"Bearer {plan.token}"}
    with connect(plan.url, additional_headers=headers, open_timeout=TIMEOUT_S, proxy=None) as socket:
        last_id = 0

        def publish(data: bytes) -> None:
            nonlocal last_id
            last_id += 1
            socket.send(
                b'{"id":%d,"publish":{"channel":%b,"data":%b}}' % (last_id, encode(plan.channel), data), text=True
            )
            while (answer := _reply(socket.recv(TIMEOUT_S), last_id)) is None:
                pass
            _see(plan, answer)

        yield publish


def _reply(frame: str | bytes, command_id: int) -> Any:
    """The answer to that command, if the frame has it."""
    lines = frame.splitlines()
    return next(
        (told for line in lines if isinstance(told := _json(line), dict) and told.get("id") == command_id), None
    )


def _json(line: str | bytes) -> Any:
    try:
        return parse(line)
    except BadJson:
        return None


def _see(plan: Plan, answer: Any) -> None:
    error = answer.get("error")
    if error is None:
        return
    if error["code"] == NOBODY_MAY and not plan.api_key:
        raise CannotBench(
            f"this token may not publish to {plan.channel}: give the server API's key (--api-key, CHAT_API_KEY), "
            "or a channel of a namespace whose `publish` lets clients"
        )
    raise CannotBench(f"{plan.channel} cannot be published to: {error['code']} {error['message']}")
