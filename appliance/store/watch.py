"""Whether a server answers, as a process knows it: found once, told to everybody who would wait for it as well."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

AWAY_S = 1.0
"""How long what was found is believed. One caller looks again then, the others are still told what is known."""


class Watch:
    """What this process knows of a server. `look` asks it, within a bounded time."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._found_at = float("-inf")
        self._answers = True

    def note(self, *, answers: bool) -> None:
        """Somebody found out."""
        self._answers, self._found_at = answers, time.monotonic()

    def is_away(self, look: Callable[[], bool]) -> bool:
        """Whether the server was found away and is not back. Nobody but one caller a second waits for that."""
        if not self._answers and self._is_old() and self._looking.acquire(blocking=False):
            try:
                self.note(answers=look())
            finally:
                self._looking.release()
        return not self._answers

    def answers(self, look: Callable[[], bool]) -> bool:
        """Whether the server answers now; where several want to know, one looks and the others wait for it."""
        with self._looking:
            if self._is_old():
                self.note(answers=look())
            return self._answers

    def _is_old(self) -> bool:
        return time.monotonic() - self._found_at > AWAY_S
