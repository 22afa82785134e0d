"""What lies in a bundle, and how large it is, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from installer.bundle import inventory


def table(folder: Path) -> Iterator[str]:
    """A line for each part: what it adds to the archive, where what lies there once is counted once; then the whole."""
    counted: set[int] = set()
    number, whole = 0, 0
    for part in sorted(folder.iterdir()):
        files = [part] if part.is_file() else [file for file in part.rglob("*") if file.is_file()]
        added = {status.st_ino: status.st_size for status in map(Path.stat, files) if status.st_ino not in counted}
        counted |= added.keys()
        size = sum(added.values())
        number, whole = number + len(files), whole + size
        yield f"  {part.name:<28} {len(files):>6} {size / 1024**2:>10.1f} MiB"
    yield f"  {'=':<28} {number:>6} {whole / 1024**2:>10.1f} MiB"


def counts(folder: Path) -> dict[str, int]:
    """Of the bill of materials: Python packages, Debian packages, weights."""
    listed = json.loads((folder / inventory.FILE).read_text(encoding="utf-8"))["components"]
    packages = [component.get("purl", "").partition("/")[0] for component in listed]
    return {
        "python": packages.count("pkg:pypi"),
        "debian": packages.count("pkg:deb"),
        "weights": sum(component["type"] == "machine-learning-model" for component in listed),
    }
