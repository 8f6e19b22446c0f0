"""docs/performance.md and its charts, from the rows that run.py kept: the targets, all figures, what failed, notes."""

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import chart
from machine import description
from rows import GEN_BUSY_MOST, OURS, Row, Rows
from targets import table

DOCS = Path(__file__).parent.parent / "docs"
SIZES = ("1,000", "5,000")
BUSY = " †"


def write_page(rows: list[Row]) -> None:
    found = Rows(rows)
    parts = [_head(found), _targets(rows), *(section(found) for section in SECTIONS), _failures(found), _notes()]
    (DOCS / "performance.md").write_text("\n".join(part for part in parts if part))
    per_delivery = {
        system: [found.median("fanout", system, size, "cpu_us") or 0.0 for size in SIZES]
        for system in found.systems("fanout")
    }
    (DOCS / "performance.svg").write_text(chart.bars("Server CPU per delivery, us", SIZES, per_delivery))
    panels = {title: points for title, *key in CURVES if len(points := _points(found, *key)) > 1}
    if panels:
        (DOCS / "performance-growth.svg").write_text(chart.curves(panels))


def _head(found: Rows) -> str:
    loads = f"{min(found.loads):.1f} to {max(found.loads):.1f}" if found.loads else "unknown"
    stolen = f"{100 * median(found.stolen):.0f} % (median)" if found.stolen else "unknown"
    return f"""# Performance

Measured by `scripts/bench` on {time.strftime("%Y-%m-%d")}: {description()}, loopback.
The server (all its threads and processes, their CPU time from `/proc`) is on one core, the load generator on the other.
{found.rounds} interleaved rounds; each row on a fresh server, warmed up; the median, in brackets the least and the
most. Load average {loads}; the hypervisor took {stolen} of the time. So look at the ratios: each is the
median of the ratios within the rounds; differences under 30 % are ties.

Ours runs with everything on: JWT, subscriptions with recovery, positions, limits; 200-byte publications come through
the server API over HTTP. The C limit is an epoll loop with one `send` for each delivery, which knows nobody and keeps
nothing.

Two things to know. On a virtual machine, waking a sleeping receiver costs the sender an interrupt to another virtual
core, several us of its own time a `send`. A sender that is so fast that the generator never sleeps does not pay it (the
C limit nearly so: see how busy the generator was), so slower ones look worse than they are, the more so the quieter the
machine. And a row is marked{BUSY} where the generator was busy for over {100 * GEN_BUSY_MOST:.0f} % of the time: its
deliveries a second are the generator's; its CPU per delivery is still the server's.

![Server CPU per delivery](performance.svg)
"""


def _targets(rows: list[Row]) -> str:
    text = "Ratios of CPU time, unless a unit is given; less is better, except where it says >=."
    return f"## The targets\n\n{text}\n\n{table(rows)}\n"


def _table(found: Rows, figure: str, columns: list[tuple[str, str, str]]) -> str:
    """`columns`: case, value, heading."""
    systems = found.systems(figure)
    if not systems:
        return ""
    heads = [heading for _, _, heading in columns]
    lines = ["| |" + "|".join(f" {heading} " for heading in heads) + "|", "|---" * (len(heads) + 1) + "|"]
    for system in systems:
        cells = [_cell(found, figure, system, case, name) for case, name, _ in columns]
        lines.append(f"| {system} |" + "|".join(f" {cell} " for cell in cells) + "|")
    return "\n".join(lines) + "\n"


def _turned(found: Rows, figure: str, values: tuple[tuple[str, str], ...]) -> str:
    """A row for each value, a column for each case, of ours."""
    cases = found.cases(figure)
    lines = ["| |" + "|".join(f" {case} " for case in cases) + "|", "|---" * (len(cases) + 1) + "|"]
    for name, heading in values:
        cells = [_cell(found, figure, OURS, case, name) for case in cases]
        lines.append(f"| {heading} |" + "|".join(f" {cell} " for cell in cells) + "|")
    return "\n".join(lines) + "\n" if cases else ""


def _cell(found: Rows, figure: str, system: str, case: str, name: str) -> str:
    values = found.values(figure, system, case, name)
    if not values:
        return "failed" if found.failures.get((figure, system, case)) else "-"
    mark = BUSY if name.endswith("per_s") and found.generator_was_busy(figure, system, case) else ""
    spread = f" ({_short(min(values))}..{_short(max(values))})" if len(values) > 1 else ""
    return f"{_short(median(values))}{spread}{mark}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _fanout(found: Rows) -> str:
    columns = [("1,000", "cpu_us", "us, 1,000"), ("5,000", "cpu_us", "us, 5,000")]
    columns += [("1,000", "per_s", "deliveries/s, 1,000"), ("1,000", "p50_ms", "p50 ms"), ("1,000", "p99_ms", "p99 ms")]
    columns += [("1,000", "p999_ms", "p99.9 ms"), ("5,000", "lost", "lost"), ("1,000", "gen_busy", "generator busy")]
    return _section(
        "Fan-out over WebSockets",
        "One publication at a time to 1,000 or 5,000 subscribers of one channel; the next when everyone has it.",
        _table(found, "fanout", columns),
        _ratios(found, "fanout", SIZES),
    )


def _burst(found: Rows) -> str:
    columns = [("1,000", "cpu_us", "us, 1,000"), ("5,000", "cpu_us", "us, 5,000")]
    columns += [("1,000", "per_s", "deliveries/s, 1,000"), ("1,000", "p99_ms", "p99 ms"), ("5,000", "lost", "lost")]
    return _section(
        "Bursts",
        "Ten publications at once; the C limit sends all ten in one `send`.",
        _table(found, "burst", columns),
        _ratios(found, "burst", SIZES),
    )


def _sse(found: Rows) -> str:
    columns = [("1,000", "cpu_us", "us"), ("1,000", "per_s", "deliveries/s"), ("1,000", "p99_ms", "p99 ms")]
    columns += [("1,000", "lost", "lost")]
    return _section(
        "Fan-out over server-sent events",
        "1,000 streams of one channel with recovery.",
        _table(found, "sse", columns),
        _ratios(found, "sse", ("1,000",)),
    )


def _connect(found: Rows) -> str:
    columns = [("3,000", "conn_per_s", "connects/s"), ("3,000", "conn_cpu_us", "CPU us a connect")]
    columns += [("3,000", "kib", "KiB a connection")]
    return _section(
        "Connecting",
        "3,000 connections, 64 at a time: handshake, a JWT verified, one channel joined and answered.",
        _table(found, "connect", columns),
        _ratios(found, "connect", ("3,000",), "conn_cpu_us"),
    )


def _idle(found: Rows) -> str:
    columns = [("10,000", "kib", "KiB a connection"), ("10,000", "idle_percent", "% of a core")]
    return _section(
        "10,000 idle connections",
        "Authenticated, one channel each besides their own; pings every 25 s (streams: a comment every 15 s).",
        _table(found, "idle", columns),
    )


def _posting(found: Rows) -> str:
    return _section(
        "Durable posts",
        "64 senders in 16 rooms over WebSockets, each waits for its answer; ten listeners a room. SQLite, FULL sync: "
        "an answer means that it is on the disk.",
        _turned(found, "posting", POSTING),
    )


POSTING = (
    ("posts_per_s", "posts acknowledged/s"),
    ("post_cpu_us", "CPU us a post, ten deliveries included"),
    ("store_cpu_us", "of that in the store's threads"),
    ("answer_p50_ms", "answer, p50 ms"),
    ("answer_p99_ms", "answer, p99 ms"),
    ("p50_ms", "post to delivery, p50 ms"),
    ("p99_ms", "post to delivery, p99 ms"),
    ("lost", "lost"),
    ("gen_busy", "generator busy"),
)
DELIVERIES = (("cpu_us", "us a delivery"), ("per_s", "deliveries/s"), ("p99_ms", "p99 ms"), ("lost", "lost"))
HEARD = (("p50_ms", "p50 ms"), ("p99_ms", "p99 ms"), ("p999_ms", "p99.9 ms"), ("lost", "lost"))


def _beside(found: Rows) -> str:
    return _section(
        "Many other channels",
        "The same 1,000 subscribers of one channel while others follow none or 100,000 further channels.",
        _turned(found, "beside", DELIVERIES),
    )


def _workers(found: Rows) -> str:
    columns = [("1,000", name, heading) for name, heading in DELIVERIES]
    return _section(
        "Two workers",
        "1,000 subscribers of one channel on one worker, and on two with Valkey between them, all on the one core; "
        "CPU of all workers, their parent and Valkey. That two workers on two cores deliver twice as much needs a "
        "machine with more of them.",
        _table(found, "workers", columns),
    )


def _stalled(found: Rows) -> str:
    return _section(
        "Readers that stall",
        "30 publications of 1,000 bytes a second to 1,000 subscribers, and when the others hear them while a tenth "
        "read nothing: what those do not read waits in the server, or (with `CHAT_SLOW_BYTES=16384`) they are cut off "
        "during the run.",
        _turned(found, "stalled", HEARD),
    )


def _growth(found: Rows) -> str:
    lines = []
    for title, *key in CURVES:
        points = _points(found, *key)
        shown = ", ".join(f"{name}: {_short(value)}" for name, value in points)
        if points:
            lines.append(f"- {title}: {shown}.")
    return _section(
        "Growth",
        "Server CPU in us, one round. A publication's own cost, nearly all of it the HTTP request, shows where "
        "subscribers are few; a post's cost has all its deliveries in it.\n\n![Growth curves](performance-growth.svg)",
        "\n".join(lines),
    )


CURVES = (
    ("A delivery, by subscribers", "by_subscribers", "cpu_us"),
    ("A delivery, by other followed channels", "by_channels", "cpu_us"),
    ("A delivery, by kept history", "by_history", "cpu_us"),
    ("A delivery, by workers", "by_workers", "cpu_us"),
    ("A post, by listeners of a room", "posts_by_listeners", "post_cpu_us"),
    ("A post, by rooms of a user", "posts_by_rooms", "post_cpu_us"),
    ("A post, by stored messages", "posts_by_messages", "post_cpu_us"),
    ("A post, by workers", "posts_by_workers", "post_cpu_us"),
)


def _points(found: Rows, figure: str, name: str) -> list[tuple[str, float]]:
    values = ((case, found.median(figure, OURS, case, name)) for case in found.cases(figure))
    return [(case, value) for case, value in values if value is not None]


def _ratios(found: Rows, figure: str, cases: tuple[str, ...], name: str = "cpu_us") -> str:
    """Ours against each other system."""
    systems = found.systems(figure)
    ours = next((system for system in systems if system.startswith(OURS)), OURS)
    lines = []
    for case in cases:
        each = ((other, found.ratios(name, (figure, ours, case), (figure, other, case))) for other in systems)
        shown = ", ".join(f"{other} {median(ratios):.2f}" for other, ratios in each if ratios and other != ours)
        if shown:
            lines.append(f"- Ours against each, CPU, {case}: {shown}.\n")
    return "".join(lines)


def _section(title: str, text: str, body: str, after: str = "") -> str:
    """Nothing where nothing was measured."""
    return f"## {title}\n\n{text}\n\n{body}\n{after}" if body else ""


def _failures(found: Rows) -> str:
    absent, lines = set(), []
    for (figure, system, case), reasons in found.failures.items():
        if reasons[-1].endswith("not installed"):
            absent.add(system)
        else:
            lines.append(f"- {figure}, {system}, {case}: {len(reasons)} x, the last: {reasons[-1]}")
    if absent:
        lines.append(f"- Not installed here: {', '.join(sorted(absent))}.")
    return "## What was not measured\n\n" + "\n".join(lines) + "\n" if lines else ""


def _notes() -> str:
    notes = Path(__file__).with_name("notes.md")
    return notes.read_text() if notes.exists() else ""


SECTIONS: tuple[Callable[[Rows], str], ...] = (
    _fanout,
    _burst,
    _sse,
    _connect,
    _idle,
    _posting,
    _beside,
    _workers,
    _stalled,
    _growth,
)
