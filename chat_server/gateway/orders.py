"""What a back end orders through the server API, carried out on every worker for the connections it has."""

from dataclasses import asdict, dataclass
from typing import Literal

from chat_server.errors import CloseCode, UnsubscribeCode
from chat_server.gateway.socket import Socket
from chat_server.gateway.subscriptions import Subscriptions, Wish
from chat_server.ids import UserId
from chat_server.realtime.manager import Connection
from chat_server.realtime.resume import Asked
from chat_server.wire import encode
from chat_server.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """To the connections of `user`, or the one `client`. `ttl_s` -1 is no change of when they end; 0 is at once."""

    name: Literal["subscribe", "unsubscribe", "disconnect", "refresh"]
    user: str
    client: str = ""
    channel: str = ""
    code: int = 0
    reason: str = ""
    epoch: str = ""
    offset: int = -1
    ttl_s: int = -1
    whitelist: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        return encode({"order": asdict(self)})


class Orders:
    """Carries out orders on one worker."""

    def __init__(self, worker: Worker, subscriptions: Subscriptions) -> None:
        self._worker = worker
        self._subscriptions = subscriptions

    def give(self, order: Order) -> None:
        """To this worker and all others."""
        self._worker.broker.signal(order.encoded())
        self.carry_out(order)

    def carry_out(self, order: Order) -> None:
        for connection in self._worker.manager.connections_of(UserId(order.user)):
            if (order.client and connection.client_id != order.client) or connection.client_id in order.whitelist:
                continue
            match order.name:
                case "disconnect":
                    connection.close(CloseCode(order.code, order.reason))
                case "unsubscribe":
                    code = UnsubscribeCode(order.code, order.reason)
                    for channel in [order.channel] if order.channel else tuple(connection.channels):
                        self._subscriptions.end(connection, channel, code)
                case "subscribe":
                    self._subscribe(connection, order)
                case "refresh":
                    connection.expire_in(None if order.ttl_s < 0 else float(order.ttl_s))

    def _subscribe(self, connection: Connection, order: Order) -> None:
        if isinstance(connection, Socket):
            asked = Asked(order.epoch, order.offset) if order.offset >= 0 else None
            wish = Wish(channel=order.channel, asked=asked, is_forced=True)
            self._worker.spawn(self._subscriptions.subscribe_by_server(connection, wish))
