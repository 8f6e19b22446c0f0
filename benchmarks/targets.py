"""What must be reached, and whether it was: a row for each target, from ratios within the rounds."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rows import OURS, Row, Rows

Measured = dict[str, list[float]]  # of each case, the rounds' values
SIZES = ("1,000", "5,000")
HEAD = "| figure (median of the rounds; least..most) | must be | aim | measured | |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Target:
    """`must`, `aim`: the most that each case may be; with `is_least` the least; with `is_below` it must stay under."""

    text: str
    must: float | None
    aim: float
    measure: Callable[[Rows], Measured]
    unit: str = ""
    is_least: bool = False
    is_below: bool = False

    def is_met(self, value: float) -> bool:
        assert self.must is not None
        if self.is_least:
            return value >= self.must
        return value < self.must if self.is_below else value <= self.must

    def line(self, rows: Rows) -> str:
        found = {case: values for case, values in self.measure(rows).items() if values}
        verdict = "not measured"
        if found and self.must is None:
            verdict = "reported"
        elif found:
            verdict = "met" if all(self.is_met(median(values)) for values in found.values()) else "**not met**"
        shown = "; ".join(_shown(case, values, self.unit) for case, values in found.items())
        return f"| {self.text} | {self._bound()} | {self.aim:g}{self.unit} | {shown or '-'} | {verdict} |"

    def _bound(self) -> str:
        if self.must is None:
            return "-"
        sign = ">=" if self.is_least else "<" if self.is_below else "<="
        return f"{sign} {self.must:,g}{self.unit}"


def table(rows: list[Row]) -> str:
    found = Rows(rows)
    lost = found.lost()
    nothing = "; ".join(f"{where}: {number:,}" for where, number in lost.items()) or "nothing"
    last = f"| lost in any run | nothing | nothing | {nothing} | {'**not met**' if lost else 'met'} |"
    return "\n".join([HEAD, *(target.line(found) for target in TARGETS), last])


def _shown(case: str, values: list[float], unit: str) -> str:
    spread = f" ({_short(min(values))}..{_short(max(values))})" if len(values) > 1 else ""
    return (f"{case}: " if case else "") + f"{_short(median(values))}{unit}{spread}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _against(
    figure: str, other: str, cases: tuple[str, ...] = SIZES, name: str = "cpu_us", ours: str = OURS
) -> Callable[[Rows], Measured]:
    def measure(rows: Rows) -> Measured:
        ratios = {case: rows.ratios(name, (figure, ours, case), (figure, other, case)) for case in cases}
        return ratios if len(cases) > 1 else {"": ratios[cases[0]]}

    return measure


def _several(figure: str, others: tuple[str, ...]) -> Callable[[Rows], Measured]:
    def measure(rows: Rows) -> Measured:
        keys = [(other, case) for other in others for case in SIZES]
        return {
            f"{other} {case}": rows.ratios("cpu_us", (figure, OURS, case), (figure, other, case))
            for other, case in keys
        }

    return measure


def _value(figure: str, system: str, case: str, name: str) -> Callable[[Rows], Measured]:
    return lambda rows: {"": rows.values(figure, system, case, name)}


def _beside(rows: Rows) -> Measured:
    return {"": rows.ratios("cpu_us", ("beside", OURS, "100,000"), ("beside", OURS, "0"))}


def _two_workers(rows: Rows) -> Measured:
    return {"": rows.ratios("cpu_us", ("workers", f"{OURS}, 2 workers", "1,000"), ("workers", OURS, "1,000"))}


def _stalled(rows: Rows) -> Measured:
    cases = ("a tenth waits", "a tenth is cut off")
    return {case: rows.ratios("p99_ms", ("stalled", OURS, case), ("stalled", OURS, "none")) for case in cases}


_FANOUT = "WebSocket fan-out, 1,000 and 5,000 subscribers: server CPU per delivery against "
TARGETS = (
    Target(f"{_FANOUT}the C limit", 1.5, 1.2, _against("fanout", "C limit")),
    Target("the same against nchan", 1.1, 0.8, _against("fanout", "nchan")),
    Target(
        "the same against node `ws`, nats-server, mosquitto",
        1.0,
        0.6,
        _several("fanout", ("node ws", "nats-server", "mosquitto")),
        is_below=True,
    ),
    Target(
        "the same against picows and socketify (native cores, bare broadcast)",
        None,
        1.2,
        _several("fanout", ("picows, bare broadcast", "socketify, bare broadcast")),
    ),
    Target("bursts of 10 against the C limit with ten in one write", 2.5, 1.4, _against("burst", "C limit")),
    Target("bursts against nats-server", 0.7, 0.4, _against("burst", "nats-server")),
    Target(
        "SSE fan-out against nchan's SSE", 0.9, 0.6, _against("sse", "nchan SSE", SIZES[:1], ours="chat-server SSE")
    ),
    Target("memory per idle WebSocket, 10,000 of them", 10, 7, _value("idle", OURS, "10,000", "kib"), " KiB"),
    Target("memory per SSE stream", 18, 10, _value("idle", f"{OURS} SSE", "10,000", "kib"), " KiB"),
    Target(
        "connects per second on one core, against a naive FastAPI endpoint that verifies the same JWT",
        1.5,
        3,
        _against("connect", "FastAPI as usually written", ("3,000",), "conn_per_s"),
        "x",
        is_least=True,
    ),
    Target(
        "CPU of 10,000 idle connections with 25 s pings", 2.5, 1, _value("idle", OURS, "10,000", "idle_percent"), " %"
    ),
    Target(
        "durable posts acknowledged per second, 64 senders in 16 rooms, 10 recipients each",
        4000,
        8000,
        _value("posting", OURS, "as fast as it goes", "posts_per_s"),
        is_least=True,
    ),
    Target(
        "post to delivery, p99, at half of that load", 25, 8, _value("posting", OURS, "half of that", "p99_ms"), " ms"
    ),
    Target("the same 1,000-subscriber channel with 100,000 other followed channels beside it", 1.15, 1, _beside),
    Target("two workers with Valkey: server + broker CPU per delivery against one worker", 1.2, 1, _two_workers),
    Target("a tenth of the subscribers stalled: p99 of the others against none stalled", 1.3, 1.1, _stalled),
)
