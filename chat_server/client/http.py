"""The few things that go over HTTP: logging in, notifications, the server API. Nothing but the standard library."""

import asyncio
import http.client
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from chat_server.client.backoff import Backoff
from chat_server.client.link import address_of, seconds_in
from chat_server.client.problems import Refused, Unreachable
from chat_server.errors import BadJson
from chat_server.ids import new_id
from chat_server.wire import encode, parse

TIMEOUT_S = 10.0
TRIES = 5


async def post(url: str, path: str, body: object, headers: Mapping[str, str], *, tries: int = TRIES) -> Any:
    """POST JSON; the answer's JSON. Refused, Unreachable, ValueError.

    Repeated while the server is away or asks to wait; an Idempotency-Key makes the repeats one.
    """
    sent = {"Content-Type": "application/json", "Idempotency-Key": new_id(), **headers}
    backoff = Backoff()
    for tries_left in range(tries - 1, -1, -1):
        try:
            return await asyncio.to_thread(_post, url, path, encode(body), sent)
        except (Unreachable, Refused) as error:
            if not tries_left or (isinstance(error, Refused) and not error.temporary):
                raise
            await asyncio.sleep(backoff.next(getattr(error, "retry_after_s", None) or 0.0))
    raise AssertionError("the last try returns or raises")


class Login:
    """A `token` for Client from a username and a password: renewed by the refresh token while that is good.

    `async with Client(url, Login(url, "ann", "correct-horse")) as client: ...`
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        self._url = url
        self._credentials = {"username": username, "password": password}
        self._refresh_token = ""

    async def __call__(self) -> str:
        return await asyncio.to_thread(self._token)

    def _token(self) -> str:
        if self._refresh_token:
            try:
                return self._kept(_post(self._url, "/refresh", encode({"refresh_token": self._refresh_token}), _JSON))
            except Refused as error:
                if error.temporary:
                    raise
        return self._kept(_post(self._url, "/token", urlencode(self._credentials).encode(), _FORM))

    def _kept(self, answer: Mapping[str, str]) -> str:
        self._refresh_token = answer["refresh_token"]
        return answer["access_token"]


_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def _post(url: str, path: str, body: bytes, headers: Mapping[str, str]) -> Any:
    parts = address_of(url, ("http", "https"))
    assert parts.hostname is not None
    connection = (
        http.client.HTTPSConnection(parts.hostname, parts.port, timeout=TIMEOUT_S, context=ssl.create_default_context())
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.hostname, parts.port, timeout=TIMEOUT_S)
    )
    try:
        connection.request("POST", parts.path.rstrip("/") + path, body, dict(headers))
        response = connection.getresponse()
        content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{parts.netloc}: {error}") from error
    finally:
        connection.close()
    answer = _json(content)
    if response.status >= 400:
        raise _refused(response, answer)
    return answer


def _json(content: bytes) -> Any:
    try:
        return parse(content) if content else {}
    except BadJson:
        return {}


def _refused(response: http.client.HTTPResponse, problem: Any) -> Refused:
    told: Mapping[str, Any] = problem if isinstance(problem, dict) else {}
    return Refused(
        response.status,
        str(told.get("code", "")),
        str(told.get("detail") or response.reason),
        temporary=response.status in {429, 502, 503, 504},
        request_id=told.get("request_id", ""),
        retry_after_s=seconds_in(response.headers.get("Retry-After", "")) or None,
        fields=told.get("errors", ()),
    )
