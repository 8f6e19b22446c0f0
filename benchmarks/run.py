"""Measure this machine: our server, the C limit and installed peers, interleaved; write docs/performance.md.

scripts/bench                    five rounds of the table (some 25 minutes), and the page
scripts/bench --growth           the growth curves, once, and the page
scripts/bench --quick            one short round that writes no page
scripts/bench --only fanout,sse  some of the figures
scripts/bench --report           the page again from the rows that were kept

A run replaces the rows of the figures that it measures, and keeps those of the others; with --keep it adds to them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from figures import TABLE, Figure
from growth import CURVES
from house import prepared
from machine import CPUS, LOAD_CPU, load_average, stolen_s
from report import write_page
from rows import Row
from systems import Bench
from targets import table

HERE = Path(__file__).parent
ROWS = HERE.parent / "build" / "bench.jsonl"
SHOWN = (
    *("cpu_us", "per_s", "p50_ms", "p99_ms", "p999_ms", "lost", "kib", "conn_per_s", "conn_cpu_us", "idle_percent"),
    *("posts_per_s", "post_cpu_us", "store_cpu_us", "busy", "srv_busy", "gen_busy", "failed"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--growth", action="store_true", help="the growth curves instead of the table, once")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help=f"comma-separated: {', '.join(TABLE | CURVES)}")
    parser.add_argument("--node-modules", type=Path, default=HERE / "node_modules", help="where npm put `ws`")
    parser.add_argument("--report", action="store_true", help="write the page from the last rows")
    parser.add_argument("--keep", action="store_true", help="add to the rows that are there")
    chosen = parser.parse_args()
    ROWS.parent.mkdir(exist_ok=True)
    if not chosen.report:
        everything = TABLE | CURVES
        names = [name for name in chosen.only.split(",") if name] or list(CURVES if chosen.growth else TABLE)
        if unknown := set(names) - set(everything):
            parser.error(f"no such figure: {', '.join(sorted(unknown))}")
        if not chosen.keep:
            others = [row for row in _kept() if row["figure"] not in names]
            ROWS.write_text("".join(json.dumps(row) + "\n" for row in others))
        rounds = 1 if chosen.quick or chosen.growth else chosen.rounds
        seconds = 0.5 if chosen.quick else 1.5
        measure({name: everything[name] for name in names}, rounds, seconds, chosen.node_modules)
    rows = _kept()
    print(table(rows))
    if not chosen.quick:
        write_page(rows)
    print(f"rows in {ROWS}; generator on core {LOAD_CPU}")


def measure(chosen: dict[str, Figure], rounds: int, seconds: float, node_modules: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="chat-bench-") as folder:
        work = Path(folder)
        for source in ("wsload", "limit"):
            subprocess.run(["gcc", "-O2", "-o", str(work / source), str(HERE / f"{source}.c")], check=True)
        bench = Bench(work, prepared(work), node_modules.resolve())
        first = 1 + max((row["round"] for row in _kept() if row["figure"] in chosen), default=-1)
        for round_ in range(first, first + rounds):
            began = time.monotonic()
            for name, figure in chosen.items():
                figure(bench, seconds, _recorder(name, round_))
            print(f"round {round_} took {time.monotonic() - began:.0f} s", flush=True)


def _kept() -> list[Row]:
    return [json.loads(line) for line in ROWS.read_text().splitlines()] if ROWS.exists() else []


def _recorder(figure: str, round_: int) -> Callable[..., None]:
    """What it is told becomes a row, with the machine's state: the load, and the share of its time that was stolen."""
    since, stolen = time.monotonic(), stolen_s()

    def record(system: str, case: str, **found: float | str) -> None:
        nonlocal since, stolen
        now, stolen_now = time.monotonic(), stolen_s()
        machine = {"load": load_average(), "stolen": round((stolen_now - stolen) / (now - since) / len(CPUS), 4)}
        since, stolen = now, stolen_now
        row = {"figure": figure, "round": round_, "system": system, "case": case, **machine, **found}
        with ROWS.open("a") as rows:
            rows.write(json.dumps({**row, "at": round(time.time())}) + "\n")
        shown = (f"{name}={_shown(found[name])}" for name in SHOWN if name in found)
        print(f"{round_} {figure:12s} {system:26s} {case:20s} {' '.join(shown)}", flush=True)

    return record


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


if __name__ == "__main__":
    main()
