"""What operators and balancers ask: is the process alive, ready, healthy; and its figures."""

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from pydantic import BaseModel

from chat_server.errors import ChatError
from chat_server.metrics import REGISTRY
from chat_server.rest import WorkerOf
from chat_server.settings import shared_metrics_directory
from chat_server.store import event_log
from chat_server.worker import Worker

CHECK_S = 1.0

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    """`status` is the endpoint's verdict, the rest the state of each part."""

    status: Literal["ok", "failing"]
    database: Literal["ok", "away"]
    broker: Literal["ok", "away"]
    draining: bool
    connections: int


@router.get("/livez")
async def is_alive() -> dict[str, str]:
    """The process answers and its event loop turns."""
    await asyncio.sleep(0)
    return {"status": "ok"}


@router.get("/readyz")
async def is_ready(worker: WorkerOf, response: Response) -> Health:
    """For balancers: this worker takes connections and posts. The broker does not count: posts go on without it."""
    health = await _health(worker)
    return _verdict(health, response, failing=health.database == "away" or health.draining)


@router.get("/healthz")
async def is_healthy(worker: WorkerOf, response: Response) -> Health:
    """For alarms: failing when any part is degraded."""
    health = await _health(worker)
    return _verdict(health, response, failing="away" in {health.database, health.broker} or health.draining)


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """Prometheus' text format; of all workers of this machine together."""
    registry = REGISTRY
    if shared_metrics_directory():
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _health(worker: Worker) -> Health:
    try:
        async with asyncio.timeout(CHECK_S):
            await worker.store.read(event_log.epoch)
        database: Literal["ok", "away"] = "ok" if worker.is_writing else "away"
    except (ChatError, TimeoutError):
        database = "away"
    return Health(
        status="ok",
        database=database,
        broker="ok" if worker.broker.is_up else "away",
        draining=worker.is_draining,
        connections=len(worker.manager),
    )


def _verdict(health: Health, response: Response, *, failing: bool) -> Health:
    if failing:
        response.status_code = 503
        response.headers["Retry-After"] = "1"
        return health.model_copy(update={"status": "failing"})
    return health
