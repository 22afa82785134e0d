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
UNFINISHED = "unfinished-upgrade"


def numbers(version: str) -> tuple[int, ...]:
    """A version to compare by."""
    return tuple(int(part) for part in re.findall(r"\d+", version))


def current_version() -> str:
    """The version that serves; empty before the first installation is complete."""
    return CURRENT.resolve().name if CURRENT.is_symlink() else ""


def unfinished() -> Path:
    """Stands there while an upgrade is under way, and after one that was cut off: see installer.setup.unfinished."""
    return DATA / UNFINISHED


def upgrading() -> Path:
    """Leads to the release that such an upgrade is to."""
    return HOME / "upgrading"


def point_current_at(version: str) -> None:
    """Switch in one step: there is never no current release."""
    point(CURRENT, version)


def point(link: Path, version: str) -> None:
    """Let a link lead to a release, in one step."""
    part = link.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.symlink_to(Path("releases") / version)
    part.replace(link)
