"""Start and stop of the installed tree: by systemd where it runs, else by the appliance's own command."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from installer.setup import completion, layout
from installer.setup.step import Journal

UNITS = ("call-analytics.service", "call-analytics.target", "call-analytics-backup.timer")
RESUME = "call-analytics-resume.service"
"""Runs before the service wherever an upgrade is unfinished."""

WRAPPER = f"""#!/bin/sh
# Every command of the appliance, as its own user and with its own settings.
export DATA_DIR={layout.DATA} APPLIANCE_ENV_FILE={layout.DATA}/appliance.env MODELS_DIR={layout.DATA}/models
# Files that are named to a command lie where it was called.
export APPLIANCE_CALLED_FROM="$PWD" APPLIANCE_CALLED_AS="${{0##*/}}"
cd /
if [ "$(id -u)" -eq 0 ]; then
    install -d -o root -g root -m 0751 {layout.RUN}
    # An upgrade that was cut off is first brought to its end, by the release that it was to.
    if [ "${{1:-}}" = up ] && [ -e {layout.unfinished()} ]; then
        {layout.upgrading()}/.venv/bin/python -m installer.setup.resume || exit
    fi
    # Under systemd the tree is a unit: one started beside it would be nobody's, and its watchdog would undo a stop.
    if [ -d /run/systemd/system ] && [ $# -eq 1 ]; then
        case "$1" in
            up) exec systemctl start {UNITS[0]} {UNITS[1]} ;;
            down) exec systemctl stop {UNITS[0]} ;;
        esac
    fi
    case "${{1:-}} ${{2:-}}" in
        # What starts and stops processes of several users, or takes them off the machine, is root's.
        "up "* | "down "* | "uninstall "* | "backup restore" | "certificate renew" | "certificate install" | \
            "node add" | "node remove" | "node join")
            exec {layout.CURRENT}/.venv/bin/appliance "$@" ;;
    esac
    exec runuser -u {layout.USER} -- {layout.CURRENT}/.venv/bin/appliance "$@"
fi
exec {layout.CURRENT}/.venv/bin/appliance "$@"
"""


def write_units(release: Path) -> None:
    """The command and the units of a release."""
    write_command()
    for template in _templates(release).iterdir():
        _write(layout.UNITS / template.name, template.read_text(encoding="utf-8"))


def write_command() -> None:
    """The command, which works with every release."""
    _write(layout.COMMAND, WRAPPER, 0o755)
    completion.write()


def _templates(release: Path) -> Path:
    return release / "installer" / "templates" / "systemd"


def _write(target: Path, text: str, mode: int = 0o644) -> None:
    """Whole or not at all, whenever the power fails."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    part.write_text(text, encoding="utf-8")
    part.chmod(mode)
    part.replace(target)


class Tree:
    """The processes of this machine's installation."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.by_systemd = Path("/run/systemd/system").is_dir()

    def resume_at_starts(self, release: Path) -> None:
        """From here on every start, of whatever release, looks for an unfinished upgrade first. Raises StepFails."""
        write_command()
        _write(layout.UNITS / RESUME, (_templates(release) / RESUME).read_text(encoding="utf-8"))
        if self.by_systemd:
            self.journal.run("systemctl", "daemon-reload")
            self.journal.run("systemctl", "enable", RESUME)

    def follow_units(self) -> None:
        """The units were written anew. Raises StepFails."""
        if self.by_systemd:
            self.journal.run("systemctl", "daemon-reload")

    def is_active(self) -> bool:
        """Whether systemd has the service running; not while it is about to start it."""
        asked = ["systemctl", "is-active", "--quiet", UNITS[0]]
        return self.by_systemd and subprocess.run(asked, check=False).returncode == 0

    def start(self) -> None:
        """Returns when it answers. Raises StepFails."""
        if self.by_systemd:
            self.follow_units()
            timers = [] if "NODE_NAME" in facts() else [UNITS[2]]  # there is nothing to back up on a further machine
            self.journal.run("systemctl", "enable", *UNITS[:2], *timers)
            # It may have been given up; one that was never loaded has nothing to forget.
            forget = ["systemctl", "reset-failed", UNITS[0]]
            subprocess.run(forget, capture_output=True, check=False)
            self.journal.run("systemctl", "start", *UNITS[:2], *timers)
        else:
            self.command("up", PORT=facts().get("PORT", "8000"))

    def stop(self) -> None:
        """Nothing runs afterwards. Raises StepFails."""
        if self.by_systemd:
            self.journal.run("systemctl", "stop", UNITS[0])
        else:
            self.command("down")

    def command(self, *arguments: str, **extra: str) -> str:
        """An appliance command through its wrapper. Raises StepFails."""
        return self.journal.run(str(layout.COMMAND), *arguments, env={**os.environ, **extra})


def facts() -> dict[str, str]:
    """The settings file as a mapping."""
    file = layout.CONFIG / "appliance.env"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    # Before an installation it may be the company's: what is no setting in it is told by installer.preflight.given.
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
