"""Diarization error rate: missed speech, false speech and confused speakers, as a share of the reference's speech.

Frames of 10 ms, optimal mapping of speakers, overlaps counted once per speaker (NIST's md-eval, and pyannote.metrics).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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

    @property
    def total(self) -> float:
        return self.missed + self.false_alarm + self.confusion


def read_rttm(file: Path, uri: str | None = None) -> list[tuple[int, int, str]]:
    """(start_ms, end_ms, speaker) of an RTTM file; of one recording where it holds several."""
    turns = []
    for line in file.read_text(encoding="utf-8").splitlines():
        fields = line.split()
        if fields and fields[0] == "SPEAKER" and (uri is None or fields[1] == uri):
            start_ms = round(float(fields[3]) * 1000)
            turns.append((start_ms, start_ms + round(float(fields[4]) * 1000), fields[7]))
    return turns


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
    )
