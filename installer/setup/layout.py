"""Where an installation lies on a machine."""

from __future__ import annotations

import re
from pathlib import Path

USER = "call-analytics"
HOME = Path("/opt/call-analytics")
RELEASES = HOME / "releases"
CURRENT = HOME / "current"
CONFIG = Path("/etc/call-analytics")
DATA = Path("/var/lib/call-analytics")
LOGS = Path("/var/log/call-analytics")
RUN = Path("/run/call-analytics")
COMMAND = Path("/usr/local/bin/call-analytics")
UNITS = Path("/etc/systemd/system")


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare by."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def current_version() -> str:
    """The version that serves; empty before the first installation is complete."""
    return CURRENT.resolve().name if CURRENT.is_symlink() else ""


def point_current_at(version: str) -> None:
    """Switch in one step: there is never no current release."""
    part = HOME / "current.part"
    part.unlink(missing_ok=True)
    part.symlink_to(Path("releases") / version)
    part.replace(CURRENT)
