"""The server API: what a trusted back end asks for with `X-API-Key`. Bodies and answers are Centrifugo's."""

import hmac
import time
from collections.abc import Callable, Coroutine
from fnmatch import fnmatchcase
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from chat_server.errors import (
    UNSUBSCRIBED_BY_SERVER,
    BadJson,
    BadRequest,
    ChatError,
    NotAvailable,
    PermissionDenied,
    Unauthorized,
    UnknownChannel,
)
from chat_server.gateway.admission import FIXED_RULES, ROOM_RULES, Admission
from chat_server.gateway.api_bodies import (
    Batch,
    Broadcast,
    Disconnect,
    InChannel,
    ListChannels,
    Nothing,
    Publish,
    Refresh,
    Subscribe,
    Unsubscribe,
)
from chat_server.gateway.channels import count_users, history_of, keep_of
from chat_server.gateway.orders import Order, Orders
from chat_server.gateway.survey import Survey
from chat_server.ids import is_event_channel, namespace_of
from chat_server.rest import RateLimiter, worker_of
from chat_server.settings import Namespace
from chat_server.wire import HistoryRequest, encode, parse, raw, validated
from chat_server.worker import Worker

METHODS: dict[str, type[BaseModel]] = {
    "publish": Publish,
    "broadcast": Broadcast,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "disconnect": Disconnect,
    "refresh": Refresh,
    "presence": InChannel,
    "presence_stats": InChannel,
    "history": HistoryRequest,
    "history_remove": InChannel,
    "channels": ListChannels,
    "info": Nothing,
    "batch": Batch,
}


def require_api_key(request: Request) -> None:
    """Unauthorized without the key of CHAT_API_KEY; without that setting nobody has one."""
    wanted = worker_of(request).settings.api_key
    given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("apikey ")
    if wanted is None or not hmac.compare_digest(given.encode(), wanted.get_secret_value().encode()):
        raise Unauthorized()


_rate_of_strangers = RateLimiter("http", lambda settings: settings.rate_http)  # whoever has the key has none


class ApiRoute(APIRoute):
    """Documented as every route, and answered without the framework's search for what an endpoint depends on, which
    costs more than a publication does.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        model = METHODS[self.path.rpartition("/")[2]]

        async def handle(request: Request) -> Response:
            try:
                require_api_key(request)
                body = validated(model, parse(await request.body()))
            except Unauthorized:
                await _rate_of_strangers(request, worker_of(request), worker_of(request).settings)
                raise
            except ClientDisconnect as error:
                raise BadJson() from error  # nobody hears it
            answer: Response = await self.endpoint(request, body)
            return answer

        return handle


router = APIRouter(prefix="/api", tags=["server API"], route_class=ApiRoute)


class Api:
    """Carries out the server API on one worker."""

    def __init__(self, worker: Worker, orders: Orders, survey: Survey) -> None:
        self._worker = worker
        self._survey = survey
        self._orders = orders

    async def answer(self, method: str, body: Any) -> dict[str, object]:
        """`{"result": ...}` or `{"error": {"code", "message"}}`."""
        try:
            return {"result": await getattr(self, method)(body)}
        except ChatError as error:
            code = error.status if error.protocol is None else error.protocol
            return {"error": {"code": code, "message": str(error)}}

    async def publish(self, body: Publish) -> dict[str, object]:
        rules = self._rules_to_publish(body.channel)
        keep = None if body.skip_history else keep_of(rules)
        publication: dict[str, object] = {"data": body.data}
        if body.tags:
            publication["tags"] = body.tags
        stream = await self._worker.broker.append(body.channel, encode(publication), keep, body.idempotency_key)
        return {"offset": stream.top, "epoch": stream.epoch}

    async def broadcast(self, body: Broadcast) -> dict[str, object]:
        found = []
        for channel in body.channels:
            one = Publish(
                channel=channel,
                data=body.data,
                skip_history=body.skip_history,
                tags=body.tags,
                idempotency_key=body.idempotency_key,
            )
            found.append(await self.answer("publish", one))
        return {"responses": found}

    async def subscribe(self, body: Subscribe) -> dict[str, object]:
        self._admission(body.channel)
        since = body.recover_since
        position = {} if since is None else {"epoch": since.epoch, "offset": since.offset}
        self._orders.give(
            Order(name="subscribe", user=body.user, client=body.client, channel=body.channel, **position)  # type: ignore[arg-type]
        )
        return {}

    async def unsubscribe(self, body: Unsubscribe) -> dict[str, object]:
        code = UNSUBSCRIBED_BY_SERVER
        self._orders.give(
            Order(
                name="unsubscribe",
                user=body.user,
                client=body.client,
                channel=body.channel,
                code=code.code,
                reason=code.reason,
            )
        )
        return {}

    async def disconnect(self, body: Disconnect) -> dict[str, object]:
        self._orders.give(
            Order(
                name="disconnect",
                user=body.user,
                client=body.client,
                code=body.disconnect.code,
                reason=body.disconnect.reason,
                whitelist=tuple(body.whitelist),
            )
        )
        return {}

    async def refresh(self, body: Refresh) -> dict[str, object]:
        ttl_s = -1
        if body.expired:
            ttl_s = 0
        elif body.expire_at is not None:
            ttl_s = max(0, int(body.expire_at - time.time()))
        self._orders.give(Order(name="refresh", user=body.user, client=body.client, ttl_s=ttl_s))
        return {}

    async def presence(self, body: InChannel) -> dict[str, object]:
        inside = await self._present(body.channel)
        return {"presence": {client: raw(info) for client, info in inside.items()}}

    async def presence_stats(self, body: InChannel) -> dict[str, object]:
        inside = await self._present(body.channel)
        return {"num_clients": len(inside), "num_users": count_users(inside.values())}

    async def history(self, body: HistoryRequest) -> dict[str, object]:
        return await history_of(self._worker, self._admission(body.channel), body)

    async def history_remove(self, body: InChannel) -> dict[str, object]:
        admission = self._admission(body.channel)
        if admission.is_durable:
            raise PermissionDenied()
        if not admission.has_history:
            raise NotAvailable()
        await self._worker.broker.forget(body.channel)
        return {}

    async def channels(self, body: ListChannels) -> dict[str, object]:
        found = await self._survey.channels()
        if body.pattern:
            found = {name: count for name, count in found.items() if fnmatchcase(name, body.pattern)}
        return {"channels": {name: {"num_clients": count} for name, count in found.items()}}

    async def info(self, body: Nothing) -> dict[str, object]:
        return {"nodes": await self._survey.nodes()}

    async def batch(self, body: Batch) -> dict[str, object]:
        """The commands in order. `parallel` is accepted: an order that nobody relies on is as good as none.

        BadRequest, and nothing is carried out, when it is nested deeper than a batch in a batch.
        """
        inner = [found for command in body.commands if command.batch is not None for found in command.batch.commands]
        if any(command.batch is not None for command in inner):
            raise BadRequest()
        replies: list[object] = []
        for command in body.commands:
            name = next(name for name in command.model_fields_set if getattr(command, name) is not None)
            answer = await self.answer(name, getattr(command, name))
            replies.append({name: answer["result"]} if "result" in answer else answer)
        return {"replies": replies}

    async def _present(self, channel: str) -> dict[str, bytes]:
        if not self._admission(channel).rules.presence:
            raise NotAvailable()
        return dict(await self._worker.broker.present(channel))

    def _admission(self, channel: str) -> Admission:
        """A back end may look into every channel."""
        name = namespace_of(channel)
        if is_event_channel(channel):
            rules = ROOM_RULES if name == "room" else FIXED_RULES
            return Admission(channel=channel, rules=rules, is_durable=name not in {"presence", "server"})
        found = self._worker.settings.namespaces.get(name)
        if found is None:
            raise UnknownChannel()
        return Admission(channel=channel, rules=found, is_durable=False)

    def _rules_to_publish(self, channel: str) -> Namespace:
        """The house's own channels carry its own events only."""
        if is_event_channel(channel):
            raise PermissionDenied()
        return self._admission(channel).rules


def _add_route(method: str, body_model: type[BaseModel]) -> None:
    async def endpoint(request: Request, body: Any) -> Response:
        api: Api = request.app.state.api
        found = await api.answer(method, body)
        if method == "batch" and "result" in found:
            found = found["result"]  # type: ignore[assignment]  # replies stand at the top of a batch's answer
        return Response(encode(found), media_type="application/json")

    endpoint.__annotations__["body"] = body_model
    router.add_api_route(f"/{method}", endpoint, methods=["POST"], operation_id=f"api_{method}", summary=method)


for _method, _model in METHODS.items():
    _add_route(_method, _model)
