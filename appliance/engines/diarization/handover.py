"""A call that is handed on: another person speaks on one side from some moment to the end.

Speakers are numbered by sides: 0 and 1 are the two who begin, and who takes over from n is n + 2. So a number's side is
what is left over from its division by two, and who knows of no hand-over loses nothing but the person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from appliance.engines.diarization import SpeakerTurn
from appliance.engines.diarization.attribution import SpeakerSegment
from appliance.engines.diarization.embedding import WINDOW_MS, VoiceEncoder
from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import SAMPLE_RATE, Sound
from appliance.engines.telephone import in_band
from appliance.engines.voice_activity import Region

LEAST_MS = 8000
"""Speech of each of the two who follow one another: in less a voice that changes its tone is taken for another."""

OTHER_VOICE = 0.8
"""Similarity of two stretches below which two people speak.

In a telephone's band two voices one after the other reach 0.54-0.78; the halves of one voice 0.95-0.99, also where only
one of them comes by telephone (0.79-0.86 if all that is heard counted), and 0.84-0.93 where only one is in noise.
"""

KEEPS_TO_ITSELF = 0.9
"""Share of each side's speech that must be nearer to its own voice: a person who takes over stays."""

NOISE_DB = 10.0
"""Where the background changes by more, a difference may be its own: half a call in noise looks like a new voice."""

QUIETEST_DB = -70.0

BLOCK_FRAMES = 3000
"""A minute is looked at a time."""


def side_of(speaker: int) -> int:
    """0 or 1: whose place a speaker number has in the call."""
    return speaker % 2


def detail_of(speaker: int, manager: int) -> Literal["B2"] | None:
    """Which manager a speaker number is, where it is one to whom the call was handed over.

    Of the client's side this is not told: there another voice is as often a car's hands-free set as another person.
    """
    return "B2" if speaker == manager + 2 else None


MOST_WINDOWS = 600
"""Of longer channels a regular sample is listened to: twelve minutes of speech tell two voices apart."""


class HandoverFinder:
    """Listens whether somebody else takes over in one channel of a stereo call."""

    def __init__(self, encoder: VoiceEncoder) -> None:
        self._encoder = encoder

    def moment_ms(self, samples: Sound, said: Sequence[Region], recall: Recall = afresh) -> int | None:
        """When another voice takes over among what is said in a channel, to the end; None where one person speaks."""
        if sum(region.end_ms - region.start_ms for region in said) < 2 * LEAST_MS:
            return None
        windows = [window for region in said for window in _cut(region)]
        # A sample of the windows stands for all of them, so each counts for as long as those left out with it.
        every = -(-len(windows) // MOST_WINDOWS)
        windows = windows[::every]
        # In a telephone's band alone: who goes on by another line, or hands-free, is not to sound like another person.
        vectors = self._encoder.embed(samples, windows, through=in_band, recall=recall)
        return handed_over_ms(samples, windows, vectors, LEAST_MS / every)


def _cut(region: Region) -> list[Region]:
    """Windows of about equal length without overlap."""
    count = max(1, round((region.end_ms - region.start_ms) / WINDOW_MS))
    borders = [region.start_ms + (region.end_ms - region.start_ms) * n // count for n in range(count + 1)]
    return [Region(start, end) for start, end in pairwise(borders)]


def taken_over(segments: Sequence[SpeakerSegment], side: int, moment_ms: int) -> list[SpeakerSegment]:
    """What is said on a side from the moment on is the second person's."""
    return [
        replace(segment, speaker=side + 2)
        if segment.speaker == side and (segment.start_ms + segment.end_ms) // 2 >= moment_ms
        else segment
        for segment in segments
    ]


@dataclass(frozen=True, slots=True)
class _Split:
    at: int
    similarity: float
    own_share: float


def handed_over_ms(
    samples: Sound, windows: Sequence[Region], vectors: NDArray[np.float32], least_ms: float = LEAST_MS
) -> int | None:
    """When another voice takes over among windows of one side, in order of time; None where one person speaks.

    vectors: one unit vector a window. least_ms: that the windows of each of the two have to cover.
    """
    lengths = np.array([window.end_ms - window.start_ms for window in windows], np.float64)
    split = _best_split(lengths, vectors, least_ms)
    if split is None or split.similarity >= OTHER_VOICE or split.own_share < KEEPS_TO_ITSELF:
        return None
    at_ms = windows[split.at].start_ms
    before = _background_db(samples, windows[0].start_ms, windows[split.at - 1].end_ms)
    after = _background_db(samples, at_ms, windows[-1].end_ms)
    return at_ms if abs(before - after) < NOISE_DB else None


def _best_split(lengths: NDArray[np.float64], vectors: NDArray[np.float32], least_ms: float) -> _Split | None:
    """Where the two parts differ most: the greatest scatter between their means (as in CUSUM)."""
    told = np.cumsum(lengths)
    places = np.flatnonzero((told >= least_ms) & (told[-1:] - told >= least_ms)) + 1
    if not len(places):
        return None
    sums = np.cumsum(vectors * lengths[:, None], axis=0)
    before, after = told[places - 1][:, None], (told[-1] - told[places - 1])[:, None]
    firsts, seconds = sums[places - 1] / before, (sums[-1] - sums[places - 1]) / after
    scatter = (before * after)[:, 0] * ((firsts - seconds) ** 2).sum(axis=1)
    best = int(scatter.argmax())
    first, second = (mean / np.linalg.norm(mean) for mean in (firsts[best], seconds[best]))
    nearer_first = vectors @ first > vectors @ second
    at = int(places[best])
    shares = [np.average(nearer_first[:at], weights=lengths[:at]), np.average(~nearer_first[at:], weights=lengths[at:])]
    return _Split(at, float(first @ second), float(min(shares)))


def _background_db(samples: Sound, start_ms: int, end_ms: int) -> float:
    """Level of the quiet frames of 20 ms, which is the noise between the words."""
    per_ms, frame = SAMPLE_RATE // 1000, SAMPLE_RATE // 50
    powers = []
    for start in range(start_ms * per_ms, end_ms * per_ms, BLOCK_FRAMES * frame):
        part = samples[start : min(start + BLOCK_FRAMES * frame, end_ms * per_ms)]
        powers.append((part[: len(part) // frame * frame].reshape(-1, frame) ** 2).mean(axis=1))
    power = np.concatenate(powers) if powers else np.zeros(0)
    return max(QUIETEST_DB, float(np.percentile(10 * np.log10(power + 1e-12), 10))) if len(power) else QUIETEST_DB


def by_sides(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn] | None:
    """Turns of three voices numbered by sides, where two of them follow one another and the third talks with both.

    None where they do not: then one person was taken for two.
    """
    spoken = {voice: [turn for turn in turns if turn.speaker == voice] for voice in range(3)}
    if min(map(_length_ms, spoken.values())) < LEAST_MS:
        return None
    for earlier, later in ((0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)):
        other = 3 - earlier - later
        change_ms = min(turn.start_ms for turn in spoken[later])
        if _follows(spoken[earlier], spoken[later]) and _on_both_sides(spoken[other], change_ms):
            first = min(turn.start_ms for turn in spoken[other]) < min(turn.start_ms for turn in spoken[earlier])
            numbers = {other: 0 if first else 1, earlier: 1 if first else 0}
            numbers[later] = numbers[earlier] + 2
            return [SpeakerTurn(turn.start_ms, turn.end_ms, numbers[turn.speaker]) for turn in turns]
    return None


STRAY = 0.05
"""Share of a voice's speech that may be taken for the other's by mistake, at the wrong time."""


def _follows(earlier: Sequence[SpeakerTurn], later: Sequence[SpeakerTurn]) -> bool:
    """Whether some moment has nearly all of one voice before it and nearly all of the other after it."""
    return any(
        _length_ms(turn for turn in earlier if turn.end_ms > change.start_ms) <= STRAY * _length_ms(earlier)
        and _length_ms(turn for turn in later if turn.start_ms < change.start_ms) <= STRAY * _length_ms(later)
        for change in later
    )


ANSWERS_MS = 1000
"""Who talks with both says at least so much to each."""


def _on_both_sides(turns: Sequence[SpeakerTurn], change_ms: int) -> bool:
    before = _length_ms(turn for turn in turns if turn.end_ms <= change_ms)
    return min(before, _length_ms(turn for turn in turns if turn.start_ms >= change_ms)) >= ANSWERS_MS


def _length_ms(turns: Iterable[SpeakerTurn]) -> int:
    return sum(turn.end_ms - turn.start_ms for turn in turns)
