"""Speaker diarization: who speaks when in one channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from appliance.engines.speech import Samples


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """One voice speaking; `speaker` numbers the voices from 0 in order of appearance. Times in milliseconds."""

    start_ms: int
    end_ms: int
    speaker: int


class Diarizer(Protocol):
    """Tells voices apart in one channel."""

    name: str

    def diarize(self, samples: Samples, *, speakers: int = 2, certain: bool = False) -> list[SpeakerTurn]:
        """Turns in order of time, without overlap, of at most `speakers` voices; empty where nobody speaks.

        certain: there are so many voices, however alike they are.
        """
        ...
