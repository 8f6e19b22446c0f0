"""What a client does in a channel besides following it: publish, look back, see who is there."""

from collections.abc import Iterable

from chat_server.broker import Keep
from chat_server.errors import NotAvailable, PermissionDenied, UnrecoverablePosition
from chat_server.gateway.admission import Admission, admit_to_publish, canonical
from chat_server.gateway.session import Answer
from chat_server.gateway.socket import Socket
from chat_server.gateway.subscriptions import Subscriptions
from chat_server.ids import namespace_of
from chat_server.realtime.frames import as_publication
from chat_server.realtime.resume import RECOVER_BYTES, RECOVER_PUBLICATIONS
from chat_server.settings import Namespace
from chat_server.shapes import Scope
from chat_server.store import event_log
from chat_server.store.transaction import Transaction
from chat_server.wire import ChannelRequest, HistoryRequest, PublishRequest, decoded, encode, raw
from chat_server.worker import Worker


class Channels:
    """Carries out the protocol's channel commands for every socket of a worker."""

    def __init__(self, worker: Worker, subscriptions: Subscriptions) -> None:
        self._worker = worker
        self._subscriptions = subscriptions

    async def publish(self, socket: Socket, request: PublishRequest) -> Answer:
        rules = self._worker.settings.namespaces.get(namespace_of(request.channel))
        is_subscribed = request.channel in socket.rules
        if socket.is_stranger and (rules is None or rules.publish == "users"):
            raise PermissionDenied()
        if not socket.is_stranger:
            socket.actor.require(Scope.CHAT)
        socket.actor.require_channel(request.channel)
        rules = admit_to_publish(request.channel, rules, is_subscribed=is_subscribed)
        payload = encode({"data": request.data, "info": raw(socket.info)})
        await self._worker.broker.append(request.channel, payload, keep_of(rules))
        return Answer(result={})

    async def presence(self, socket: Socket, request: ChannelRequest) -> Answer:
        inside = await self._present(socket, request.channel)
        return Answer(result={"presence": {client: raw(info) for client, info in inside.items()}})

    async def presence_stats(self, socket: Socket, request: ChannelRequest) -> Answer:
        inside = await self._present(socket, request.channel)
        return Answer(result={"num_clients": len(inside), "num_users": count_users(inside.values())})

    async def history(self, socket: Socket, request: HistoryRequest) -> Answer:
        """From the log, or from the broker. Bounded like a recovery; `limit` 0 is the position only."""
        admission = await self._admission(socket, request.channel)
        return Answer(result=await history_of(self._worker, admission, request))

    async def _present(self, socket: Socket, name: str) -> dict[str, bytes]:
        admission = await self._admission(socket, name)
        if not admission.rules.presence:
            raise NotAvailable()
        return dict(await self._worker.broker.present(admission.channel))

    async def _admission(self, socket: Socket, name: str) -> Admission:
        """Like a subscription's. Where that takes a token, whoever is subscribed has shown it."""
        rules = socket.rules.get(name)
        if rules is not None and rules.subscribe == "token":
            return Admission(channel=name, rules=rules, is_durable=False)
        return await self._subscriptions.judge(socket.actor, canonical(name, socket.user_id))


async def history_of(worker: Worker, admission: Admission, request: HistoryRequest) -> dict[str, object]:
    """A history result. UnrecoverablePosition when `since` is of another epoch, or what follows it is gone."""
    if not admission.has_history:
        raise NotAvailable()
    limit = request.limit if 0 <= request.limit <= RECOVER_PUBLICATIONS else RECOVER_PUBLICATIONS
    since = 0 if request.since is None else request.since.offset
    if admission.is_durable:
        epoch = worker.store.epoch
        top, tail, found = await worker.store.read(
            lambda transaction: _from_log(transaction, admission.channel, since, limit, reverse=request.reverse)
        )
    else:
        stream = await worker.broker.history(admission.channel, since, limit, reverse=request.reverse)
        epoch, top, found = stream.epoch, stream.top, list(stream.items)
        tail = found[0][0] - 1 if found and not request.reverse else 0
    if request.since is not None and (
        request.since.epoch not in {"", epoch} or (not request.reverse and limit and since < tail)
    ):
        raise UnrecoverablePosition()
    items = [as_publication(admission.channel, offset, body) for offset, body in found]
    return {"publications": [raw(item) for item in _within_bounds(items)], "epoch": epoch, "offset": top}


def keep_of(rules: Namespace) -> Keep | None:
    return Keep(rules.history_size, rules.history_ttl_s) if rules.history_size else None


def count_users(infos: Iterable[bytes]) -> int:
    return len({decoded(info)["user"] for info in infos})


def _from_log(
    transaction: Transaction, channel: str, since: int, limit: int, *, reverse: bool
) -> tuple[int, int, list[tuple[int, bytes]]]:
    """The channel's head and tail, and the page."""
    position = event_log.position(transaction, channel)
    if reverse:
        found = event_log.before(transaction, channel, since or position.head + 1, limit)
    else:
        found = event_log.since(transaction, channel, since, limit)
    return position.head, position.tail, [(publication.offset, publication.payload) for publication in found]


def _within_bounds(items: list[bytes]) -> list[bytes]:
    """As many as fit into one reply, at least one."""
    size = 0
    for index, item in enumerate(items):
        size += len(item)
        if size > RECOVER_BYTES and index:
            return items[:index]
    return items
