"""What must be on the disk before something else is done."""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(path: Path) -> None:
    """The names in a folder as they are now outlive a power cut."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
