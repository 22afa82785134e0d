"""What a stage has worked out so far, kept so that whoever runs it next goes on there; and when it makes way."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from appliance import __version__
from appliance.engines.recall import Recall
from appliance.store import db, steps


class LeaseLost(Exception):
    """Another worker may have the call by now: nothing of this run may be written."""


SAVE_PAUSE_S = 1.0
"""Answers are written to the database at most this often: a worker that is killed loses no more."""


class Steps:
    """The answers of one run of a stage. Written only while `owner` holds the call's lease."""

    def __init__(self, call_id: UUID, owner: str, spent_ms: int, between: Callable[[], None]) -> None:
        """spent_ms: what earlier runs took to find what is kept.

        between: called after each step; may raise, to end the run.
        """
        self.spent_ms = spent_ms
        self._call_id, self._owner, self._between = call_id, owner, between
        self._began = self._saved = time.monotonic()
        self._kept: list[steps.Step] = []
        self._next = 0
        self._unsaved: list[steps.Step] = []

    def of(self, about: dict[str, Any]) -> Recall:
        """Go on with what is kept, where it was found under the same circumstances; begin anew otherwise."""
        with db.unit_of_work() as session:
            self._kept = steps.kept(session, self._call_id)
        if not self._kept:
            self.spent_ms = 0
        self._recall({**about, "release": __version__}, lambda: None)
        return self._recall

    def _recall(self, question: Any, work: Callable[[], Any]) -> Any:
        if self._next < len(self._kept):
            known = self._kept[self._next]
            if known.question == question:
                self._next += 1
                return known.answer
            self._forget_from_here()
        answer = work()
        step = steps.Step(question, answer)
        self._kept.append(step)
        self._unsaved.append(step)
        self._next += 1
        if time.monotonic() - self._saved >= SAVE_PAUSE_S:
            with db.unit_of_work() as session:
                self.save(session)
        self._between()
        return answer

    def _forget_from_here(self) -> None:
        """What was asked then is not what is asked now: what follows hangs on it."""
        with db.unit_of_work() as session:
            steps.forget(session, self._call_id, self._owner, self._next)
        del self._kept[self._next :]
        if not self._next:
            self.spent_ms = 0

    def save(self, session: Session) -> None:
        """Write what is not written yet. Raises LeaseLost."""
        self._saved = time.monotonic()
        if not self._unsaved:
            return
        first = self._next - len(self._unsaved)
        if not steps.keep(session, self._call_id, self._owner, first, self._unsaved, self.elapsed_ms):
            raise LeaseLost
        self._unsaved = []

    @property
    def elapsed_ms(self) -> int:
        """What all runs have taken together."""
        return self.spent_ms + round((time.monotonic() - self._began) * 1000)
