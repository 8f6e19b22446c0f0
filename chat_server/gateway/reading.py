"""What one worker has counted until now, and what the readings of all workers, taken twice, say of the server."""

import time
from dataclasses import dataclass

from chat_server.events import Figures
from chat_server.metrics import own_figures
from chat_server.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`at_s` is by the worker's own clock: rates do not hang on how long an answer was on its way."""

    worker: str
    at_s: float
    sockets: int
    streams: int
    messages: int
    deliveries: int
    commits: int
    commit_s: float
    lag_s: float


def read_own(worker: Worker) -> Reading:
    found = own_figures()
    return Reading(
        worker=worker.name,
        at_s=time.monotonic(),
        sockets=int(found.get("chat_connections,transport=websocket", 0)),
        streams=int(found.get("chat_connections,transport=sse", 0)),
        messages=int(found["chat_messages_total"]),
        deliveries=int(found["chat_deliveries_total"]),
        commits=int(found["chat_commit_seconds_count"]),
        commit_s=found["chat_commit_seconds_sum"],
        lag_s=found["chat_loop_lag_seconds"],
    )


def figures_of(now: list[Reading], before: dict[str, Reading]) -> Figures:
    """`before` by worker. One that has come since, or that did not answer then, counts in no rate yet."""
    steps = [(before[one.worker], one) for one in now if one.worker in before]
    commits = sum(new.commits - old.commits for old, new in steps)
    commit_s = sum(new.commit_s - old.commit_s for old, new in steps)
    return Figures(
        workers=len(now),
        sockets=sum(one.sockets for one in now),
        streams=sum(one.streams for one in now),
        messages_per_s=sum(_rate(old, new, new.messages - old.messages) for old, new in steps) if steps else None,
        deliveries_per_s=sum(_rate(old, new, new.deliveries - old.deliveries) for old, new in steps) if steps else None,
        commit_ms=1000 * commit_s / commits if commits else None,
        lag_ms=1000 * max((one.lag_s for one in now), default=0.0),
    )


def _rate(old: Reading, new: Reading, grown: int) -> float:
    return grown / max(new.at_s - old.at_s, 0.001)
