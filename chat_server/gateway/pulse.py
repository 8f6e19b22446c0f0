"""How the server does, told to whoever follows `server:figures`; nothing is read while nobody does.

A worker with followers asks all workers and tells its own followers: each of them hears one sum, whichever worker
their stream is on, and nothing has to agree on who tells. docs/adr/0015
"""

import asyncio
import logging

from pydantic import TypeAdapter, ValidationError

from chat_server.broker import Envelope
from chat_server.clock import moment
from chat_server.events import FiguresTaken
from chat_server.gateway.reading import Reading, figures_of
from chat_server.gateway.survey import Survey
from chat_server.ids import FIGURES_CHANNEL
from chat_server.wire import encode
from chat_server.worker import Worker

EVERY_S = 2.0

logger = logging.getLogger(__name__)

_READING = TypeAdapter(Reading)


class Pulse:
    """One worker's."""

    def __init__(self, worker: Worker, survey: Survey) -> None:
        self._worker = worker
        self._survey = survey
        self._before: dict[str, Reading] = {}

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            if FIGURES_CHANNEL in self._worker.manager.channels:
                await self._tell()
            else:
                self._before = {}

    async def _tell(self) -> None:
        readings = [reading for answer in await self._survey.figures() if (reading := _readable(answer)) is not None]
        now = moment(self._worker.store.clock_ms())
        event = FiguresTaken(at=now, figures=figures_of(readings, self._before))
        self._before = {reading.worker: reading for reading in readings}
        self._worker.fanout.heard(Envelope(FIGURES_CHANNEL, "pub", encode(event)))


def _readable(answer: object) -> Reading | None:
    try:
        return _READING.validate_python(answer)
    except ValidationError:
        logger.warning("pulse.unreadable_answer")  # a worker of another version
        return None
