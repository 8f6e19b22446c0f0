"""What every worker knows of itself, asked of all of them: the server API's `info` and `channels`, the figures.

A worker that does not answer in time is left out, as one that has just died is.
"""

import asyncio
import os
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from chat_server import __version__
from chat_server.gateway.reading import read_own
from chat_server.ids import new_id
from chat_server.wire import encode
from chat_server.worker import Worker

ANSWER_S = 1.0


class _Round:
    """One question on its way; `answers` has what came."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.answers: list[Any] = []
        self.is_whole = asyncio.Event()


class Survey:
    """Asks the other workers, and answers them. `heard` is called on the event loop and never waits."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._rounds: dict[str, _Round] = {}
        self._questions: dict[str, Callable[[], object]] = {
            "node": self._node,
            "channels": self._channels,
            "figures": self._figures,
        }

    async def nodes(self) -> list[Any]:
        return await self._ask("node")

    async def figures(self) -> list[Any]:
        """A Reading each, as JSON; of workers of other versions perhaps something else."""
        return await self._ask("figures")

    async def channels(self) -> dict[str, int]:
        """Channel -> how many connections are in it."""
        found: dict[str, int] = {}
        for answer in await self._ask("channels"):
            for name, count in answer.items():
                found[name] = found.get(name, 0) + count
        return found

    def asked(self, round_id: str, question: str) -> None:
        """Another worker asks."""
        if question in self._questions:
            answer = {"round": round_id, "answer": self._questions[question]()}
            self._worker.broker.signal(encode({"surveyed": answer}))

    def answered(self, round_id: str, answer: object) -> None:
        """Another worker answers, perhaps somebody else's question."""
        found = self._rounds.get(round_id)
        if found is not None:
            found.answers.append(answer)
            if len(found.answers) >= found.wanted:
                found.is_whole.set()

    async def _ask(self, question: str) -> list[Any]:
        own = self._questions[question]()
        others = self._worker.broker.peers
        if not others:
            return [own]
        round_id = new_id()
        asked = self._rounds[round_id] = _Round(others)
        try:
            self._worker.broker.signal(encode({"survey": {"round": round_id, "question": question}}))
            with suppress(TimeoutError):
                async with asyncio.timeout(ANSWER_S):
                    await asked.is_whole.wait()
        finally:
            del self._rounds[round_id]
        return [own, *asked.answers]

    def _channels(self) -> dict[str, int]:
        return {name: len(channel) for name, channel in self._worker.manager.channels.items()}

    def _figures(self) -> object:
        return asdict(read_own(self._worker))

    def _node(self) -> dict[str, object]:
        manager = self._worker.manager
        used = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "uid": self._worker.name,
            "name": f"{os.uname().nodename}_{os.getpid()}",
            "version": __version__,
            "num_clients": len(manager),
            "num_users": manager.users,
            "num_channels": len(manager.channels),
            "num_subs": sum(len(channel) for channel in manager.channels.values()),
            "uptime": int(time.time() - self._worker.started_at_s),
            "process": {"cpu": used.ru_utime + used.ru_stime, "rss": used.ru_maxrss * 1024},
        }
