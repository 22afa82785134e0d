"""What a stage is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from uuid import UUID

from sqlalchemy.orm import Session

from appliance.engines.recall import Recall, afresh
from appliance.pipeline.equipment import Equipment

Queue = Literal["speech", "analysis"]


@dataclass(frozen=True, slots=True)
class StageContext:
    """One call as a stage sees it: facts and the outputs of the stages before, never a database session."""

    call_id: UUID
    direction: Literal["incoming", "outgoing"]
    audio_key: str
    manager_name: str
    outputs: Mapping[str, dict[str, Any]]
    equipment: Equipment
    on_progress: Callable[[float], None]
    """Tells how far the stage is, 0-1; raises where the lease was lost, which ends the stage."""
    check: Callable[[], None] = lambda: None
    """Raises where the lease was lost or the process stops, and says nothing otherwise."""
    manager_channel: Literal["left", "right"] | None = None
    """The manager's channel, where the telephone exchange knows it."""
    recall: Callable[[dict[str, Any]], Recall] = lambda _about: afresh
    """Makes a long stage one of many steps: between two of them it may be interrupted, and goes on there.

    Takes what the answers hang on besides the questions: where that has changed, nothing is recalled. Once in a run.
    """
    between: Callable[[], None] = lambda: None
    """Called by `recall` after each step; raises where the stage is to end for now: what was kept is not lost."""
    elapsed_s: Callable[[], float] = lambda: 0.0
    """What the stage has taken so far, earlier runs included."""


class Stage(Protocol):
    """One step of the pipeline. Its output is JSON, written once; a stage whose output exists is skipped."""

    name: str
    queue: Queue

    def run(self, context: StageContext) -> dict[str, Any]:
        """Do the work with no database session open. Raises StageError or EngineError."""
        ...

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        """Write what the output means for the call, in the transaction that stores the output."""
        ...
