"""One run: the processes, their order, and what their counts mean."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from multiprocessing.connection import Connection
from typing import Any

from chat_server.bench import CannotBench, Plan
from chat_server.bench.listeners import IN_FLIGHT, OPEN_S, listen
from chat_server.bench.publisher import publish_for, publisher
from chat_server.ids import new_id

BUSY_MOST = 0.8  # of a generator's process: above it, it is part of what is measured
KEPT_UP = 0.9  # of the rate that was asked for
DELIVERIES_A_PROCESS = 20_000  # a second; one can do some three times as many
START_S = 30.0
CONNECTS_PER_S = 100  # the slowest server that is waited for


@dataclass(frozen=True, slots=True)
class Report:
    """What was found. `notes` say what to think of it."""

    plan: Plan
    connects_per_s: float
    published: int
    publications_per_s: float
    expected: int
    delivered: int
    deliveries_per_s: float
    latency_ms: dict[str, float]
    bytes: int
    generator_busy: float
    closes: dict[str, int]
    notes: list[str]

    @property
    def lost(self) -> int:
        return self.expected - self.delivered

    def as_json(self) -> dict[str, object]:
        asked = ("url", "channel", "subscribers", "rate", "seconds", "size_bytes", "processes")
        found = (
            *("connects_per_s", "published", "publications_per_s", "delivered", "deliveries_per_s", "latency_ms"),
            *("lost", "bytes", "generator_busy", "closes", "notes"),
        )
        return {name: getattr(self.plan, name) for name in asked} | {name: getattr(self, name) for name in found}

    def lines(self) -> Iterator[str]:
        plan = self.plan
        latencies = "  ".join(f"{name} {value:.3g}" for name, value in self.latency_ms.items())
        a_delivery = f", {self.bytes / self.delivered:.0f} a delivery" if self.delivered else ""
        yield f"{plan.subscribers:,} subscribers of {plan.channel} at {plan.url}, {plan.processes} process(es)"
        yield f"connects/s      {self.connects_per_s:,.0f}"
        yield f"publications/s  {self.publications_per_s:,.1f}, {self.published:,} in all"
        yield f"deliveries/s    {self.deliveries_per_s:,.0f}, {self.delivered:,} in all"
        yield f"latency, ms     {latencies or '-'}"
        yield f"lost            {self.lost:,}"
        yield f"bytes           {self.bytes:,}{a_delivery}"
        yield f"generator busy  {self.generator_busy:.0%}"
        yield from self.notes


def plan_of(url: str, subscribers: int, rate: float, processes: int, **rest: Any) -> Plan:
    """`processes` 0: as many as the load needs, and this machine has cores beside the publisher."""
    needed = max(1, ceil(subscribers * rate / DELIVERIES_A_PROCESS)) if rate else subscribers
    fitting = min(needed, max(1, (os.cpu_count() or 1) - 1))
    chosen = min(processes or fitting, subscribers)
    return Plan(url=url, subscribers=subscribers, rate=rate, processes=chosen, run=new_id()[-12:], **rest)


def measure(plan: Plan) -> Report:
    """CannotBench when it cannot be done."""
    with publisher(plan) as publish:
        publish(b'{"bench":"warm-up"}')  # what is wrong with the right to publish is told before anybody connects
        with _listening(plan) as pipes:
            within_s = START_S + OPEN_S + plan.subscribers / CONNECTS_PER_S
            opened = [_answer(pipe, within_s) for pipe in pipes]
            for pipe in pipes:
                pipe.send(None)
            published, spent_s = publish_for(plan, publish)
            for pipe in pipes:
                pipe.send(published)
            heard = [_answer(pipe, START_S + plan.seconds) for pipe in pipes]
    return _report(plan, max(answer["open_s"] for answer in opened), published, spent_s, heard)


@contextmanager
def _listening(plan: Plan) -> Iterator[list[Connection]]:
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    try:
        for share in plan.shares():
            mine, theirs = context.Pipe()
            process = context.Process(target=listen, args=(theirs, plan, share), daemon=True)
            process.start()
            theirs.close()
            pipes.append(mine)
            processes.append(process)
        yield pipes
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for pipe in pipes:
            pipe.close()


def _answer(pipe: Connection, within_s: float) -> dict[str, Any]:
    if not pipe.poll(within_s):
        raise CannotBench(f"{IN_FLIGHT} connections at a time did not get far enough in {within_s:.0f} s")
    try:
        found: dict[str, Any] | str = pipe.recv()
    except EOFError:
        raise CannotBench("a process of the load generator died") from None
    if isinstance(found, str):
        raise CannotBench(found)
    return found


def _report(plan: Plan, open_s: float, published: int, spent_s: float, heard: list[dict[str, Any]]) -> Report:
    latencies, closes = Counter[int](), Counter[str]()
    for answer in heard:
        latencies.update(answer["latencies_us"])
        closes.update(answer["closes"])
    delivered = sum(answer["delivered"] for answer in heard)
    busy = max(answer["busy"] for answer in heard)
    return Report(
        plan=plan,
        connects_per_s=plan.subscribers / open_s,
        published=published,
        publications_per_s=published / spent_s,
        expected=sum(answer["expected"] for answer in heard),
        delivered=delivered,
        deliveries_per_s=delivered / spent_s,
        latency_ms=_quantiles(latencies),
        bytes=sum(answer["bytes"] for answer in heard),
        generator_busy=busy,
        closes=dict(closes),
        notes=list(_notes(plan, busy, published / spent_s, closes)),
    )


def _quantiles(latencies_us: Counter[int]) -> dict[str, float]:
    found = sorted(latencies_us.items())
    if not found:
        return {}
    wanted = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    total = latencies_us.total()
    answer: dict[str, float] = {}
    seen = 0
    for us, number in found:
        seen += number
        for name, share in wanted.items():
            if name not in answer and seen >= share * total:
                answer[name] = us / 1000
    return answer | {"max": found[-1][0] / 1000}


def _notes(plan: Plan, busy: float, rate: float, closes: Counter[str]) -> Iterator[str]:
    if busy > BUSY_MOST:
        yield (
            f"The load generator was the bottleneck ({busy:.0%} of a core): these figures are its own. "
            "Take more --processes, a smaller load, or a machine of its own."
        )
    if plan.rate and rate < KEPT_UP * plan.rate:
        yield f"Asked for {plan.rate:g} publications a second; so many were not acknowledged in time."
    for said, number in closes.items():
        yield f"The server closed {number:,} of the connections: {said}"
