"""An upgrade under way: how far it came stands on disk, for whoever starts next to bring a cut-off one to its end.

Cut off before the new release was in its place, the old one and its database come back. Cut off later, the new one is
tried, once, and stays where it serves: it may have taken in calls.
"""

from __future__ import annotations

import enum
import json
import os
from dataclasses import asdict, dataclass

from installer.durable import sync_folder
from installer.setup import layout


class Phase(enum.StrEnum):
    stopping = "stopping"  # nothing was changed; processes may be stopped
    saved = "saved"  # the copy of the database is whole; the database, the units and `current` may be anything
    switched = "switched"  # the new release is in its place, and may be serving
    tried = "tried"  # it did not serve, or was cut off there and started once more: it is not tried again
    proven = "proven"  # it serves; what is left is to tidy up


@dataclass
class Mark:
    """From which version to which, and how far."""

    old: str
    new: str
    phase: Phase = Phase.stopping

    @classmethod
    def read(cls) -> Mark | None:
        """The one that is there."""
        try:
            found = json.loads(layout.unfinished().read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(found["old"], found["new"], Phase(found["phase"]))

    @classmethod
    def begin(cls, old: str, new: str) -> Mark:
        """Before anything is stopped; what looks at the mark at a start must be in its place."""
        layout.point(layout.upgrading(), new)
        made = cls(old, new)
        made.come_to(Phase.stopping)
        return made

    def come_to(self, phase: Phase) -> None:
        """Everything before is on disk when the mark says so."""
        os.sync()
        self.phase = phase
        part = layout.unfinished().with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(layout.unfinished())
        sync_folder(layout.DATA)

    def remove(self) -> None:
        """It has come to its end, one way or the other."""
        os.sync()
        forget()
        sync_folder(layout.DATA)


def forget() -> None:
    """Nothing is under way any more; also where nothing was."""
    layout.unfinished().unlink(missing_ok=True)
    layout.upgrading().unlink(missing_ok=True)
