"""What a worker does with what the broker brings. Messages of another version, or nobody's, are counted and left."""

import logging
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from chat_server.actor import Signal
from chat_server.broker import Envelope
from chat_server.errors import ChatError
from chat_server.gateway.control import Control
from chat_server.gateway.orders import Order, Orders
from chat_server.gateway.survey import Survey
from chat_server.ids import UserId
from chat_server.presence.tracker import PresenceTracker
from chat_server.realtime.fanout import Fanout
from chat_server.wire import encode, parse

logger = logging.getLogger(__name__)

_SIGNAL = TypeAdapter(Signal)
_ORDER = TypeAdapter(Order)


class WorkerListener:
    """A broker's Listener."""

    def __init__(
        self, fanout: Fanout, control: Control, orders: Orders, presence: PresenceTracker, survey: Survey
    ) -> None:
        self._survey = survey
        self._fanout = fanout
        self._presence = presence
        self._control = control
        self._orders = orders

    def heard(self, envelope: Envelope) -> None:
        self._fanout.heard(envelope)

    def gap(self) -> None:
        self._fanout.gap()

    def departed(self, user_ids: Sequence[UserId]) -> None:
        self._presence.lost(user_ids)

    def buried(self) -> None:
        self._presence.returned()

    def signalled(self, message: bytes) -> None:
        try:
            match parse(message):
                case {"signal": signal}:
                    self._control.apply(_SIGNAL.validate_python(signal))
                case {"survey": {"round": str(round_id), "question": str(question)}}:
                    self._survey.asked(round_id, question)
                case {"surveyed": {"round": str(round_id), "answer": answer}}:
                    self._survey.answered(round_id, answer)
                case {"order": order}:
                    self._orders.carry_out(_ORDER.validate_python(order))
                case _:
                    logger.warning("broker.unknown_message")
        except (ChatError, ValidationError):
            logger.warning("broker.unreadable_message")


def encoded(signal: Signal) -> bytes:
    return encode({"signal": {"kind": signal.kind, "subject": signal.subject, "id": signal.id}})
