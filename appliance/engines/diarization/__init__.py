"""Speaker diarization: who speaks when in one channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import Sound


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """One voice speaking; `speaker` numbers the voices from 0 in order of appearance. Times in milliseconds.

    A third voice, to which the call was handed over, has the number of the voice whose place it takes, plus 2.
    """

    start_ms: int
    end_ms: int
    speaker: int


class Diarizer(Protocol):
    """Tells voices apart in one channel."""

    name: str

    def diarize(
        self,
        samples: Sound,
        *,
        speakers: int = 2,
        on_progress: Callable[[float], None] = lambda _: None,
        recall: Recall = afresh,
    ) -> list[SpeakerTurn]:
        """Turns in order of time, without overlap, of at most `speakers` voices; empty where nobody speaks.

        Of two voices one may be followed by a third, which takes its place to the end: see diarization.handover.
        on_progress: told the share that is done, 0-1; what it raises ends the work. recall: of a diarizer that works in
        steps. Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds; it is not used again."""
        ...


CLUSTERING = "d-vector clustering"


def name_of(pyannote_weights: str) -> str:
    """The diarizer that works with this setting of PYANNOTE_WEIGHTS."""
    return f"pyannote {Path(pyannote_weights).name}" if pyannote_weights else CLUSTERING
