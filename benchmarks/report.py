"""What a benchmark measures: ours beside a peer or a limit, in the same run, as a ratio with its spread."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
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
    return next(compare_all(section, what, ours, {peer: (theirs, target)}, runs=runs))


def compare_all(
    section: str,
    what: str,
    ours: Callable[[], object],
    peers: Mapping[str, tuple[Callable[[], object], float | None]],
    *,
    runs: int = RUNS,
) -> Iterator[Line]:
    """Ours against several peers, each with its target: all of them in each round, after one round to warm up."""
    rounds: list[dict[str, float]] = []
    contestants = {"": ours} | {peer: work for peer, (work, _) in peers.items()}
    for run in range(runs + 1):
        took = {}
        for name in list(contestants)[:: 1 if run % 2 else -1]:
            began = time.perf_counter()
            contestants[name]()
            took[name] = time.perf_counter() - began
        rounds.append(took)
    for peer, (_, target) in peers.items():
        yield paired(section, what, peer, "s", [(took[""], took[peer]) for took in rounds[1:]], target=target)


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
    ratios = [most / max(figure, most / 1000) for figure in ours]
    own = statistics.median(ours)
    return Line(section, what, "target", unit, own, most, statistics.median(ratios), min(ratios), max(ratios), 1.0)


def percentile(figures: Sequence[float], share: float) -> float:
    """The figure that a share of them does not exceed."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


HEADINGS = ("what", "peer or limit", "unit", "ours", "peer", "ratio", "spread", "target", "")


def _cells(line: Line) -> list[str]:
    return [
        f"{line.section}: {line.what}",
        line.peer,
        line.unit,
        _figure(line.ours),
        _figure(line.peers),
        f"{line.ratio:.2f}",
        f"{line.lowest:.2f}-{line.highest:.2f}",
        "" if line.target is None else f"{line.target:.2f}",
        line.verdict,
    ]


def _figure(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def write(lines: Sequence[Line], notes: Sequence[str], console: Console, *, name: str, page: Path | None) -> None:
    """Print the table and write it to benchmarks/results/`name`.json and .md, and into a page that shows the latest."""
    table = Table(*HEADINGS)
    rows = ["| " + " | ".join(HEADINGS) + " |", "|---" * len(HEADINGS) + "|"]
    for line in lines:
        table.add_row(*_cells(line))
        rows.append("| " + " | ".join(_cells(line)) + " |")
    judged = [line.verdict for line in lines if line.verdict]
    notes = [machine(), *notes, f"{judged.count('met')} of {len(judged)} targets met."]
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    RESULTS.mkdir(exist_ok=True)
    report = {"lines": [asdict(line) | {"verdict": line.verdict} for line in lines], "notes": notes}
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = "\n".join([*rows, "", *(f"- {note}" for note in notes), ""])
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    if page:
        publish(text, page)


BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def publish(text: str, page: Path) -> None:
    """Put a report where the page says that the latest belongs."""
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}", encoding="utf-8")


def machine() -> str:
    """What the figures were taken on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[2]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({model}), {memory_gb:.0f} GiB, "
        f"Python {platform.python_version()}; load over the last 15 minutes {load:.1f}."
    )


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
