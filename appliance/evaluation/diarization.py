"""Diarization error rate: missed speech, false speech and confused speakers, as a share of the reference's speech.

Frames of 10 ms, optimal mapping of speakers, overlaps counted once per speaker (NIST's md-eval, and pyannote.metrics).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from appliance.engines.diarization import SpeakerTurn

FRAME_MS = 10


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Shares of the reference's speech, 0-1 (and above, where much is invented)."""

    missed: float
    false_alarm: float
    confusion: float
    speech_ms: int = 0
    """The reference's speech that was scored, overlaps counted once per speaker: the weight in a mean."""

    @property
    def total(self) -> float:
        return self.missed + self.false_alarm + self.confusion


def _active(turns: Sequence[tuple[int, int, str | int]], frames: int) -> NDArray[np.bool_]:
    names = sorted({str(name) for _, _, name in turns})
    active = np.zeros((frames, max(1, len(names))), bool)
    for start_ms, end_ms, name in turns:
        active[start_ms // FRAME_MS : end_ms // FRAME_MS, names.index(str(name))] = True
    return active


def error_rate(
    reference: Sequence[tuple[int, int, str]], found: Sequence[SpeakerTurn], *, collar_ms: int = 0
) -> ErrorRate:
    """The error rate of `found`; `collar_ms` on both sides of each border of the reference is not scored."""
    from scipy.optimize import linear_sum_assignment

    ends = [end for _, end, _ in reference] + [turn.end_ms for turn in found]
    frames = max(ends) // FRAME_MS + 1
    truth = _active(reference, frames)
    guess = _active([(t.start_ms, t.end_ms, t.speaker) for t in found], frames)
    scored = np.ones(frames, bool)
    for start_ms, end_ms, _ in reference:
        for border in (start_ms, end_ms):
            if collar_ms:
                scored[max(0, (border - collar_ms) // FRAME_MS) : (border + collar_ms) // FRAME_MS] = False
    truth, guess = truth[scored], guess[scored]
    overlap = truth.T.astype(int) @ guess.astype(int)
    rows, columns = linear_sum_assignment(-overlap)
    right = overlap[rows, columns].sum()
    said, heard = truth.sum(axis=1), guess.sum(axis=1)
    total = max(1, said.sum())
    return ErrorRate(
        missed=float(np.maximum(said - heard, 0).sum() / total),
        false_alarm=float(np.maximum(heard - said, 0).sum() / total),
        confusion=float((np.minimum(said, heard).sum() - right) / total),
        speech_ms=int(said.sum()) * FRAME_MS,
    )


def mean(rates: Iterable[ErrorRate]) -> ErrorRate:
    """The error rate of several recordings together: each counts by its speech."""
    listed = list(rates)
    total = sum(rate.speech_ms for rate in listed)

    def share(part: Callable[[ErrorRate], float]) -> float:
        return sum(part(rate) * rate.speech_ms for rate in listed) / (total or 1)

    return ErrorRate(share(lambda r: r.missed), share(lambda r: r.false_alarm), share(lambda r: r.confusion), total)
