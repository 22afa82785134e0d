"""`python -m installer.setup.resume [unit]`: before a start, an upgrade that was cut off is brought to its end.

Run by the release that the upgrade was to: by the command `up`, and by the unit that the service waits for.
"""

from __future__ import annotations

import subprocess
import sys

from installer.language import spoken
from installer.setup import alone, layout
from installer.setup.step import Journal, StepFails
from installer.setup.tree import UNITS, Tree
from installer.setup.unfinished import Mark, Phase
from installer.setup.upgrade import Upgrade


class WaitingTree(Tree):
    """Seen from the unit that the service waits for: to stop what is about to start would take back its start."""

    stopped = False

    def stop(self) -> None:
        if self.is_active():
            super().stop()
            self.stopped = True

    def go_on(self) -> None:
        """Whoever asked for a start of what ran already waits for none."""
        if self.stopped:
            command = ["systemctl", "start", "--no-block", UNITS[0]]
            subprocess.run(command, check=False)


def main() -> int:
    """The exit status: 0 where a start may follow."""
    mark = Mark.read()
    if mark is None:
        return 0
    journal = Journal(layout.LOGS / "install.log", spoken(), 0)
    upgrade = Upgrade(journal, mark.old, mark.new)
    waiting = WaitingTree(journal) if sys.argv[1:] == ["unit"] else None
    upgrade.tree = waiting or upgrade.tree
    try:
        with alone.held():
            if current := Mark.read():  # it may have come to its end meanwhile
                upgrade.resume(current)
    except alone.Busy:
        if mark.phase is not Phase.switched:  # else this is the upgrade's own start
            journal.say("Идёт обновление" if journal.language == "ru" else "An upgrade is under way")
            return 1
    except StepFails as failure:
        journal.say(f"{failure}")
        return 1
    if waiting:
        waiting.go_on()
    return 0


if __name__ == "__main__":
    sys.exit(main())
