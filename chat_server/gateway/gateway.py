"""What the sockets and streams of one worker share."""

import logging
from collections.abc import Hashable, Mapping

from chat_server.accounts.cookie import is_secure
from chat_server.errors import ChatError, CloseCode, Crashed, Draining, LimitExceeded, Unauthorized, Unavailable
from chat_server.gateway.desk import Desk
from chat_server.gateway.handshake import Handshake, shaken_at_once
from chat_server.gateway.ring import Ring
from chat_server.gateway.session import Answer, Ask, Disconnected, Timing
from chat_server.gateway.socket import Socket
from chat_server.gateway.subscriptions import Subscriptions
from chat_server.gateway.turn import Turn
from chat_server.metrics import CLOSES
from chat_server.middleware import Hosts, token_in
from chat_server.presence.tracker import PresenceTracker
from chat_server.realtime.mailbox import HOLD_BYTES
from chat_server.realtime.wheel import Wheel
from chat_server.worker import Worker

HAND_OVER = "chat.hand_over"  # the scope's extension of gateway/direct.py

logger = logging.getLogger(__name__)


class Gateway:
    """One worker's way in: admits connections, and carries out what their sessions ask. `strangers` have not said who
    they are.
    """

    def __init__(
        self,
        worker: Worker,
        subscriptions: Subscriptions,
        presence: PresenceTracker,
        wheel: Wheel,
        ring: Ring | None = None,
    ) -> None:
        settings = worker.settings
        self.worker = worker
        self.subscriptions = subscriptions
        self.desk = Desk(worker, subscriptions, presence)
        self.wheel = wheel
        self.timing = Timing(ping_s=settings.ping_s, pong_s=settings.pong_s, auth_timeout_s=settings.auth_timeout_s)
        self.turn = Turn(ring)
        self.slow_bytes = settings.most_waiting_bytes
        self.hold_bytes = min(HOLD_BYTES, settings.most_waiting_bytes // 2)
        self._hosts = Hosts(settings.trusted_hosts)
        self.strangers: set[Hashable] = set()

    async def require_place(self, handshake: Handshake) -> None:
        """Unavailable for a stranger when there are too many of them. A good cookie makes nobody one."""
        if handshake.actor is not None or handshake.refusal is not None or not self._is_crowded:
            return
        try:
            await self.worker.judge.actor_of_cookie(handshake.cookie)
        except Unauthorized as error:
            raise Unavailable(retry_after_s=1.0) from error

    def admit(self, address: str) -> None:
        """One more socket or stream. Unavailable when there is no room for it; else `release` at its end."""
        if self.worker.is_draining:
            raise Draining(retry_after_s=1.0)
        try:
            self.worker.manager.admit_address(address)
        except LimitExceeded as error:
            raise Unavailable(retry_after_s=5.0) from error

    def admitted_at_once(self, headers: Mapping[str, str], scheme: str, query: bytes, address: str) -> Handshake | None:
        """The handshake of a socket that may be opened right away, counted as `admit` does. None, and nothing has
        happened, where something is to be refused or takes a query: that is for the application's layers.
        """
        settings = self.worker.settings
        if headers["host"] not in self._hosts or (settings.https_redirect and not is_secure(scheme)):
            return None
        handshake = shaken_at_once(headers, scheme, token_in(query)[0], self.worker)
        if handshake is None or (handshake.actor is None and self._is_crowded):
            return None
        try:
            self.admit(address)
        except Unavailable:
            return None
        return handshake

    def release(self, address: str) -> None:
        self.worker.manager.release_address(address)

    @property
    def _is_crowded(self) -> bool:
        most = self.worker.settings.max_unauthenticated
        return 0 < most <= len(self.strangers)

    async def outcome(self, socket: Socket, ask: Ask) -> Answer | Exception:
        """What an ask came to, for the session's `answered`."""
        try:
            return await self.desk.carry_out(socket, ask)
        except (ChatError, Disconnected) as error:
            return error
        except Exception:
            logger.exception("command.crashed", extra={"command": ask.name, "client": socket.client_id})
            return Crashed()

    def ended(self, socket: Socket, address: str, code: CloseCode | None, frames_sent: int) -> None:
        """A socket is closed; `code` is ours, if it was we who closed."""
        if code is not None:
            CLOSES.labels(code.code).inc()
        logger.info(
            "connection.closed",
            extra={
                "client": socket.client_id,
                "user": socket.user_id,
                "address": address,
                "code": None if code is None else code.code,
                "reason": None if code is None else code.reason,
                "frames_sent": frames_sent,
            },
        )
