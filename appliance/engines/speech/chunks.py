"""Chunks: pieces of speech of at most one Whisper window, long silences cut out, times kept.

Whisper listens to 30 seconds at a time whatever is in them: silence costs as much as speech and invites inventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from appliance.engines.speech import SAMPLE_RATE, Samples, Sound
from appliance.engines.voice_activity import Region

LONGEST_MS = 28_000
"""A little below the window of 30 s."""

KEPT_PAUSE_MS = 700
"""Longer silence between two regions of a chunk is shortened to this."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a chunk: where it lies in the chunk and where in the recording."""

    at_ms: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is recognised at once: stretches of a recording, one after the other."""

    sound: Sound
    pieces: tuple[Piece, ...]

    @property
    def samples(self) -> Samples:
        """The samples of the pieces, read anew each time: an hour of them does not lie in memory."""
        per_ms = SAMPLE_RATE // 1000
        return np.concatenate([self.sound[p.start_ms * per_ms : p.end_ms * per_ms] for p in self.pieces])

    @property
    def duration_ms(self) -> int:
        last = self.pieces[-1]
        return last.at_ms + last.end_ms - last.start_ms

    def original_ms(self, chunk_ms: float) -> int:
        """A time in the chunk as a time in the recording."""
        piece = self.pieces[0]
        for candidate in self.pieces:
            if candidate.at_ms > chunk_ms:
                break
            piece = candidate
        return round(min(piece.start_ms + max(0.0, chunk_ms - piece.at_ms), piece.end_ms))

    def original_span(self, start_ms: float, end_ms: float) -> tuple[int, int]:
        """A stretch of the chunk in the recording's times.

        An end that reaches just into the pause before the next piece belongs to the piece before: otherwise the silence
        that was cut out would count as speech.
        """
        for before, after in pairwise(self.pieces):
            if start_ms < after.at_ms <= end_ms <= after.at_ms + KEPT_PAUSE_MS:
                return self.original_ms(start_ms), max(self.original_ms(start_ms), before.end_ms)
        return self.original_ms(start_ms), max(self.original_ms(start_ms), self.original_ms(end_ms))


SKIPPED_MS = 500
"""Speech this long without a word is worth a second look; shorter stretches are breaths and clicks."""

COVERED = 0.1
"""Share of a stretch of speech from which on somebody's words cover it: segment borders are not exact."""


def skipped(chunk: Chunk, spoken: Sequence[tuple[int, int]]) -> list[Chunk]:
    """The stretches of a chunk that no segment covers, each as a chunk of its own; neighbours stay together.

    spoken: start and end of each segment, in milliseconds from the chunk's start.
    """
    groups: list[list[Piece]] = []
    before: Piece | None = None
    for piece in chunk.pieces:
        length = piece.end_ms - piece.start_ms
        end = piece.at_ms + length
        covered = sum(max(0, min(end, last) - max(piece.at_ms, first)) for first, last in spoken)
        if length >= SKIPPED_MS and covered < COVERED * length:
            if groups and before is groups[-1][-1]:
                groups[-1].append(piece)
            else:
                groups.append([piece])
        before = piece
    return [
        Chunk(chunk.sound, tuple(Piece(p.at_ms - group[0].at_ms, p.start_ms, p.end_ms) for p in group))
        for group in groups
    ]


def chunks_of(samples: Sound, regions: Sequence[Region], longest_ms: int = LONGEST_MS) -> list[Chunk]:
    """Cut a recording into chunks at its pauses; a region longer than `longest_ms` is cut where it is."""
    chunks: list[Chunk] = []
    pieces: list[Piece] = []
    for region in _divided(regions, longest_ms):
        after = pieces[-1] if pieces else None
        pause = min(region.start_ms - after.end_ms, KEPT_PAUSE_MS) if after else 0
        at = after.at_ms + after.end_ms - after.start_ms if after else 0
        if after and at + pause + region.end_ms - region.start_ms > longest_ms:
            chunks.append(Chunk(samples, tuple(pieces)))
            pieces, at, pause = [], 0, 0
        # The pause that is kept is the sound right before the region.
        pieces.append(Piece(at, region.start_ms - pause, region.end_ms))
    if pieces:
        chunks.append(Chunk(samples, tuple(pieces)))
    return chunks


def _divided(regions: Sequence[Region], longest_ms: int) -> list[Region]:
    parts = []
    for region in regions:
        start = region.start_ms
        while region.end_ms - start > longest_ms:
            parts.append(Region(start, start + longest_ms))
            start += longest_ms
        parts.append(Region(start, region.end_ms))
    return parts
