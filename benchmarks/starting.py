"""Memory of the idle stack, and how long a start and the demonstration take."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.installation import Installation
from installer import stack


def memory_notes(here: Installation) -> list[str]:
    """One line: idle memory (proportional set size) of each process and of the whole stack."""
    sizes = {state["name"]: here.memory_mb(state["name"]) for state in stack.status(here.site.data_dir)}
    told = ", ".join(f"{name} {size:.0f}" for name, size in sorted(sizes.items(), key=lambda item: -item[1]))
    return [f"Idle memory in MB: {told}; together {sum(sizes.values()):.0f}."]


def start_notes(folder: Path, port: int) -> list[str]:
    """From nothing to ready and from stopped to ready; the demonstration the same way, its packages installed."""
    starts = [_timed(lambda: stack.up(folder / "stack", port, lambda _: None), folder / "stack") for _ in range(2)]
    shows = [_timed(lambda: _demo(folder / "demo", port), folder / "demo") for _ in range(2)]
    return [
        f"Start until the API is ready: {starts[0]:.1f} s with an empty data folder, {starts[1]:.1f} s after a stop.",
        f"`make demo`, packages installed: {shows[0]:.1f} s with an empty data folder, {shows[1]:.1f} s after a stop.",
    ]


def _timed(work: Callable[[], object], data_dir: Path) -> float:
    began = time.perf_counter()
    try:
        work()
        return time.perf_counter() - began
    finally:
        stack.down(data_dir)


def _demo(data_dir: Path, port: int) -> None:
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "demo", "--data-dir", str(data_dir), "--port", str(port)]
    subprocess.run(command, check=True, capture_output=True)
