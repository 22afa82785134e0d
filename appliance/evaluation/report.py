"""Reports of measurements: one Markdown and one HTML page that need nothing else, and the figures as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

COLOURS = ("#2563eb", "#f59e0b", "#059669", "#dc2626", "#7c3aed", "#0891b2", "#be185d", "#65a30d")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #1f2937 }
table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }
th, td { border: 1px solid #d1d5db; padding: .25rem .6rem; text-align: right; white-space: nowrap }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
th { background: #f3f4f6 } svg { max-width: 100%; height: auto } figcaption { font-weight: 600 }
"""

ROW, BAR, LABEL, WIDTH = 26, 14, 220, 760
"""Pixels of a plot: height of a line, of a bar, room for labels, whole width."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. The rows' cells are shown as they are."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar plot: for each label one bar of each series, a share 0-1 or as `shown`; None is left out."""

    title: str
    labels: Sequence[str]
    series: Sequence[tuple[str, Sequence[float | None]]]
    shown: Callable[[float], str] = "{:.1%}".format


@dataclass(frozen=True, slots=True)
class Report:
    """What a report shows, in this order: title, a paragraph each of notes, tables of totals, plots, long tables."""

    title: str
    notes: Sequence[str]
    summary: Sequence[Grid]
    plots: Sequence[Bars]
    details: Sequence[Grid]
    figures: Any


def share(value: float | None) -> str:
    """A share 0-1 as per cent; a dash where it is not known."""
    return "-" if value is None else f"{value:.1%}"


def write(report: Report, folder: Path) -> list[Path]:
    """Write report.md, report.html and figures.json; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "report.md": markdown(report),
        "report.html": html(report),
        "figures.json": json.dumps(report.figures, ensure_ascii=False, indent=1, default=asdict) + "\n",
    }
    for name, content in written.items():
        (folder / name).write_text(content, encoding="utf-8")
    return [folder / name for name in written]


def markdown(report: Report) -> str:
    """The tables as Markdown."""
    parts = [f"# {report.title}", *report.notes]
    for grid in (*report.summary, *report.details):
        lines = [grid.headings, ["---"] * len(grid.headings), *grid.rows]
        table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        parts.append(f"## {grid.title}\n{table}")
    return "\n\n".join(parts) + "\n"


def html(report: Report) -> str:
    """A page with the tables and plots; nothing in it is fetched from anywhere."""
    parts = [f"<h1>{escape(report.title)}</h1>", *(f"<p>{escape(note)}</p>" for note in report.notes)]
    parts += [_table(grid) for grid in report.summary]
    parts += [f"<figure><figcaption>{escape(bars.title)}</figcaption>{svg(bars)}</figure>" for bars in report.plots]
    parts += [f"<details><summary>{escape(grid.title)}</summary>{_table(grid)}</details>" for grid in report.details]
    head = f'<meta charset="utf-8"><title>{escape(report.title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def _table(grid: Grid) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in grid.headings)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in grid.rows)
    return f"<h2>{escape(grid.title)}</h2>\n<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def svg(bars: Bars) -> str:
    """A bar plot as SVG: horizontal bars from 0 to the largest value, each with its value."""
    largest = max((value for _, values in bars.series for value in values if value is not None), default=0.0) or 1.0
    group = BAR * len(bars.series) + ROW - BAR
    height = ROW * (1 + len(bars.series)) + group * len(bars.labels)
    drawn = []
    for n, (name, _) in enumerate(bars.series):
        y = n * ROW + 6
        drawn.append(f'<rect x="0" y="{y}" width="12" height="12" fill="{COLOURS[n % len(COLOURS)]}"/>')
        drawn.append(f'<text x="18" y="{y + 11}">{escape(name)}</text>')
    top = ROW * len(bars.series) + 10
    for row, label in enumerate(bars.labels):
        y = top + row * group
        drawn.append(f'<text x="0" y="{y + 11}">{escape(label)}</text>')
        for n, (_, values) in enumerate(bars.series):
            value = values[row]
            if value is None:
                continue
            length = value / largest * (WIDTH - LABEL - 70)
            at = y + n * BAR
            colour = COLOURS[n % len(COLOURS)]
            drawn.append(f'<rect x="{LABEL}" y="{at}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>')
            drawn.append(f'<text x="{LABEL + length + 5:.1f}" y="{at + 10}" font-size="11">{bars.shown(value)}</text>')
    shape = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    style = 'font-family="system-ui, sans-serif" font-size="13" fill="#1f2937"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {shape} {style} role="img">' + "".join(drawn) + "</svg>"
