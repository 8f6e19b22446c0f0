"""All that was measured, by figure, system and case: medians, and ratios within a round."""

from collections import defaultdict
from statistics import median
from typing import Any

OURS, LIMIT = "chat-server", "C limit"
GEN_BUSY_MOST = 0.9  # above it the load generator may have been what was measured
Row = dict[str, Any]


class Rows:
    """Rows that failed are kept apart: `failures` says why, by figure, system and case."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        self.failures: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for row in rows:
            key = (row["figure"], row["system"], row["case"])
            if "failed" in row:
                self.failures[key].append(row["failed"])
            else:
                self._rows[key].append(row)
        self.rounds = max((len(found) for found in self._rows.values()), default=0)
        self.loads = [float(row["load"].split()[0]) for row in rows]
        self.stolen = [row.get("stolen", 0.0) for row in rows]

    def systems(self, figure: str) -> list[str]:
        return list(dict.fromkeys(system for found, system, _ in self._rows if found == figure))

    def cases(self, figure: str) -> list[str]:
        return list(dict.fromkeys(case for found, _, case in self._rows if found == figure))

    def values(self, figure: str, system: str, case: str, name: str) -> list[float]:
        return [row[name] for row in self._rows.get((figure, system, case), []) if name in row]

    def median(self, figure: str, system: str, case: str, name: str) -> float | None:
        found = self.values(figure, system, case, name)
        return median(found) if found else None

    def ratios(self, name: str, above: tuple[str, str, str], below: tuple[str, str, str]) -> list[float]:
        """Of each round, its ratio: what slows a round down slows both. `above`, `below`: figure, system, case."""
        over = {row["round"]: row[name] for row in self._rows.get(below, ())}
        ours = {row["round"]: row[name] for row in self._rows.get(above, ())}
        return [ours[round_] / over[round_] for round_ in ours if over.get(round_)]

    def lost(self) -> dict[str, int]:
        """What was lost by our server, in all runs: figure and case with more than none."""
        found: dict[str, int] = defaultdict(int)
        for (figure, system, case), rows in self._rows.items():
            if system.startswith(OURS):
                found[f"{figure} {case}"] += sum(row.get("lost", 0) for row in rows)
        return {where: number for where, number in found.items() if number}

    def generator_was_busy(self, figure: str, system: str, case: str) -> bool:
        found = self.values(figure, system, case, "gen_busy")
        return bool(found) and median(found) > GEN_BUSY_MOST
