"""Our protocol classes for uvicorn, named in `ws=` and `http=` by `serve`: ASGI opens, and then is out of it; and the
ordinary WebSocket opens without it (docs/adr/0016).

uvicorn's own class is not documented API: the version range is pinned, and tests/gateway/test_direct.py holds what is
used of it.
"""

import asyncio
from collections.abc import Mapping

from fastapi import FastAPI
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected, get_remote_addr, is_ssl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from chat_server.gateway.direct_carrier import DirectCarrier
from chat_server.gateway.direct_stream import DirectStream
from chat_server.gateway.gateway import HAND_OVER, Gateway
from chat_server.gateway.handshake import wants_rooms
from chat_server.gateway.upgrade import Upgrade, upgrade_in
from chat_server.gateway.websocket import PATHS
from chat_server.realtime.deflate import agreed

_OURS = tuple(b"GET " + path.encode() for path in PATHS)
_SCHEMES = frozenset({"http", "https", "ws", "wss"})


class RealtimeProtocol(WebSocketsSansIOProtocol):
    """The handshake, through the application's middleware and endpoint, which hands over to a DirectCarrier.

    Nothing is read before that. An empty `Sec-WebSocket-Protocol` header, which older SDKs send, is tolerated; the
    base class answers it with 400.
    """

    _deflates = False
    _is_handed_over = False

    def handle_connect(self, event: Request) -> None:
        if not any(value.strip() for value in event.headers.get_all("Sec-WebSocket-Protocol")):
            event.headers.pop("Sec-WebSocket-Protocol", None)
        offers = ", ".join(event.headers.get_all("Sec-WebSocket-Extensions"))
        event.headers.pop("Sec-WebSocket-Extensions", None)  # the carrier's, and none of the base class's
        super().handle_connect(event)
        if not self.close_sent:
            extensions = _extensions(self.config, offers)
            if extensions:
                self.response.headers["Sec-WebSocket-Extensions"] = extensions
                self._deflates = True
            self.scope["extensions"][HAND_OVER] = {"to": self._hand_over}
            self.read_paused = True  # the base class resumes it for an application that asks for more
            self.transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """As in the base class, which leaves a head that is too long, or has a body, without an answer."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.transport.is_closing():
            self.close_sent = True
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            self.transport.close()

    def start_keepalive(self) -> None:
        return None  # the carrier's

    async def run_asgi(self) -> None:
        """As in the base class, but that an application that returns has handed over, which closes nothing."""
        try:
            await self.app(self.scope, self.receive, self.send)
        except ClientDisconnected:
            pass
        except BaseException:
            self.logger.exception("Exception in ASGI application\n")
            self.send_500_response()
        if not self._is_handed_over and self.close_timer is None:
            self.transport.close()

    def _hand_over(self, carrier: DirectCarrier) -> None:
        self._is_handed_over = True
        self.connections.discard(self)
        self.scope["extensions"].clear()
        self.conn.parser.close()  # so that nothing here waits for the garbage collector: 20 KiB a connection
        carrier.begin(self.transport, self.connections, deflates=self._deflates)


class StreamingProtocol(HttpToolsProtocol):
    """HTTP, through the application; an endpoint that streams events hands over to a DirectStream after the head.

    A connection that begins with an ordinary upgrade, which nobody refuses, is a WebSocket at once.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        """What that costs there is put off until it is known to be HTTP."""
        self.transport = transport
        self.connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self.flow is None:
            if data.startswith(_OURS) and self._opens(data):
                return
            super().connection_made(self.transport)
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {HAND_OVER: {"to": self._hand_over}}

    def handle_websocket_upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self._let_go()

    def _hand_over(self, carrier: DirectStream) -> None:
        self.connections.discard(self)
        self.cycle.disconnected = True  # else the base class complains of an answer without an end
        carrier.begin(self.transport, self.connections)
        self._let_go()

    def _opens(self, data: bytes) -> bool:
        """Whether the connection's first packet has made it a WebSocket."""
        gateway, proxies = _behind(self.app)
        upgrade = None if gateway is None else upgrade_in(data)
        if gateway is None or upgrade is None or upgrade.path not in PATHS:
            return False
        address, scheme = self._seen_through(proxies, upgrade.headers)
        handshake = gateway.admitted_at_once(upgrade.headers, scheme, upgrade.query, address)
        if handshake is None:
            return False
        carrier = DirectCarrier(gateway, handshake, address, wants_rooms=wants_rooms(upgrade.query))
        self._open(carrier, upgrade)
        return True

    def _open(self, carrier: DirectCarrier, upgrade: Upgrade) -> None:
        self.connections.discard(self)
        extensions = _extensions(self.config, upgrade.headers.get("sec-websocket-extensions", ""))
        self.transport.write(upgrade.accepted(extensions))
        carrier.begin(self.transport, self.connections, deflates=bool(extensions))
        if upgrade.after:
            carrier.data_received(upgrade.after)
        self._let_go()

    def _seen_through(self, proxies: ProxyHeadersMiddleware | None, headers: Mapping[str, str]) -> tuple[str, str]:
        """The client's address and scheme; from a trusted proxy, what it says of them."""
        client = get_remote_addr(self.transport)
        address = "unix" if client is None else client[0]
        scheme = "https" if is_ssl(self.transport) else "http"
        if proxies is None or client is None or address not in proxies.trusted_hosts:
            return address, scheme
        told = headers.get("x-forwarded-proto", "")
        chain = headers.get("x-forwarded-for", "")
        named = proxies.trusted_hosts.get_trusted_client_address(chain)[0] if chain else ""
        return named or address, told if told in _SCHEMES else scheme

    def _let_go(self) -> None:
        """Nothing here waits for the garbage collector."""
        if self.scope is not None:
            self.scope.get("extensions", {}).clear()
        self.parser = None  # type: ignore[assignment]  # as the base class does at the end of a connection


def _extensions(config: Config, offers: str) -> str:
    """What of a client's offers is taken."""
    return agreed(offers) if config.ws_per_message_deflate and offers else ""


def _behind(app: object) -> tuple[Gateway | None, ProxyHeadersMiddleware | None]:
    """The application's gateway once it has started, and what knows its proxies.

    An application that somebody wrapped in layers of their own shows none: each request passes those.
    """
    proxies = app if isinstance(app, ProxyHeadersMiddleware) else None
    inside = app if proxies is None else proxies.app
    return getattr(inside.state, "gateway", None) if isinstance(inside, FastAPI) else None, proxies
