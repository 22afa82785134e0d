"""`make bench`: speed as ratios against peers and limits, side by side in one run. Above 1 is better than the peer."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from appliance.cli import show
from benchmarks import (
    archive,
    decoding,
    long_calls,
    pipeline,
    pushing,
    queueing,
    recognition,
    report,
    serving,
    starting,
    uploading,
)
from benchmarks.installation import free_port, installed
from benchmarks.report import Line

Section = Callable[[], Iterator[Line]]


def main() -> None:
    """Measure what was asked for (everything) and write it to benchmarks/results: latest, full or part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="a million calls in the archive, a call of an hour")
    parser.add_argument(
        "--only", nargs="*", help="sections: decode recognise pipeline long upload queue archive API push"
    )
    asked = parser.parse_args()
    console, lines, notes, failed = show.wide(160), [], [], []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_roomy(), prefix="bench-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)  # PostgreSQL's user passes through
        if not asked.only:
            notes += starting.start_notes(folder / "fresh", free_port())
        with installed(folder / "site") as here:
            if not asked.only:
                notes += starting.memory_notes(here)
            sections: dict[str, Section] = {
                "decode": lambda: decoding.measure(folder),
                "recognise": lambda: recognition.measure(folder),
                "pipeline": lambda: pipeline.measure(folder, here, full=asked.full),
                "long": lambda: long_calls.measure(folder, here, full=asked.full),
                "archive": lambda: archive.measure(here, full=asked.full),
                "API": lambda: serving.measure(folder, here),
                "push": lambda: pushing.measure(here),
                "queue": lambda: queueing.measure(here),
                "upload": lambda: uploading.measure(folder, here),
            }
            for name, measure in sections.items():
                if not asked.only or name in asked.only:
                    section_began = time.monotonic()
                    try:
                        with console.status(f"measuring: {name}"):
                            lines += measure()
                    except Exception:  # noqa: BLE001 - the other sections' figures are not to be lost
                        console.print_exception()
                        failed.append(name)
                    console.print(f"  {name}: {time.monotonic() - section_began:.0f} s")
    if shutil.which("ffmpeg") is None:
        notes.append("ffmpeg is not installed: decoding was not compared.")
    notes.append("No card was measured; where there is one: python -m benchmarks.gpu.")
    notes.append(f"All of it took {(time.monotonic() - began) / 60:.0f} minutes.")
    if failed:
        notes.append(f"NOT MEASURED, for they failed: {', '.join(failed)}.")
    whole = not asked.only and not failed
    report.write(
        *(lines, notes, console),
        name=("full" if asked.full else "latest") if whole else "part",
        page=report.ROOT / "README.md" if whole and not asked.full else None,
    )
    sys.exit(bool(failed))


def _roomy() -> Path:
    """Where a large archive fits: beside the checkout's other build results, not in a small /tmp."""
    folder = report.ROOT / "build"
    folder.mkdir(exist_ok=True)
    return folder


if __name__ == "__main__":
    main()
