"""What a benchmark measures: ours beside a peer or a limit, in the same run, as a ratio with its spread."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
RUNS = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison. `ratio` is how many times better we are than the peer (above 1: we are), with its spread.

    Where there is no peer but a limit of its own unit, `peer` says the limit and `ratio` is limit / ours.
    """

    section: str
    what: str
    peer: str
    unit: str
    ours: float
    peers: float
    ratio: float
    lowest: float
    highest: float
    target: float | None = None

    @property
    def verdict(self) -> Literal["", "met", "behind"]:
        if self.target is None:
            return ""
        return "met" if self.ratio >= self.target else "behind"


def compare(
    section: str,
    what: str,
    peer: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    runs: int = RUNS,
    target: float | None = None,
) -> Line:
    """Run both alternately, after one round to warm up; seconds."""
    pairs = []
    for run in range(runs + 1):
        times = {}
        for work in (ours, theirs) if run % 2 else (theirs, ours):
            began = time.perf_counter()
            work()
            times[work] = time.perf_counter() - began
        pairs.append((times[ours], times[theirs]))
    return paired(section, what, peer, "s", pairs[1:], target=target)


def paired(
    section: str,
    what: str,
    peer: str,
    unit: str,
    pairs: Sequence[tuple[float, float]],
    *,
    more_is_better: bool = False,
    target: float | None = None,
) -> Line:
    """A line of figures that were taken in pairs: (ours, theirs)."""
    ratios = [ours / theirs if more_is_better else theirs / ours for ours, theirs in pairs]
    own, peers = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Line(section, what, peer, unit, own, peers, statistics.median(ratios), min(ratios), max(ratios), target)


def limit(section: str, what: str, unit: str, ours: Sequence[float], most: float) -> Line:
    """Figures against the most that they may be."""
    ratios = [most / figure for figure in ours]
    own = statistics.median(ours)
    return Line(section, what, "target", unit, own, most, statistics.median(ratios), min(ratios), max(ratios), 1.0)


def percentile(figures: Sequence[float], share: float) -> float:
    """The figure that a share of them does not exceed."""
    ordered = sorted(figures)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


HEADINGS = ("what", "peer or limit", "unit", "ours", "peer", "ratio", "spread", "target", "")


def _cells(line: Line) -> list[str]:
    return [
        f"{line.section}: {line.what}",
        line.peer,
        line.unit,
        f"{line.ours:.3g}",
        f"{line.peers:.3g}",
        f"{line.ratio:.2f}",
        f"{line.lowest:.2f}-{line.highest:.2f}",
        "" if line.target is None else f"{line.target:.2f}",
        line.verdict,
    ]


def write(lines: Sequence[Line], notes: Sequence[str], console: Console) -> None:
    """Print the table, and write it to benchmarks/results/latest.json and .md."""
    table = Table(*HEADINGS)
    rows = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    for line in lines:
        table.add_row(*_cells(line))
        rows.append("| " + " | ".join(_cells(line)) + " |")
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    RESULTS.mkdir(exist_ok=True)
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    report = {**machine, "lines": [asdict(line) | {"verdict": line.verdict} for line in lines], "notes": list(notes)}
    (RESULTS / "latest.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = "\n".join([*rows, "", *(f"- {note}" for note in notes), ""])
    (RESULTS / "latest.md").write_text(text, encoding="utf-8")
