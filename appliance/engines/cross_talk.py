"""Cross-talk: the other side's echo in a channel of a stereo call, found and silenced before anybody listens.

A leak is linear: the same sound, later and quieter. Where the other side dominates, the cross-correlation of the
channels tells how late, and the levels tell how quiet. A frame that is not clearly louder than the echo to be expected
is silenced; somebody who speaks over the other side is louder than that and stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.engines.audio import Decoded
from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import SAMPLE_RATE, Samples, Sound
from appliance.engines.telephone import BAND_HZ

Levels = NDArray[np.float64]
Flags = NDArray[np.bool_]

FRAME = SAMPLE_RATE // 50
"""Samples that are judged together: 20 ms."""

BLOCK_FRAMES = 400
"""Frames that are read and correlated at a time: 8 s, whatever the length of the call."""

LONGEST_LAG_FRAMES = 15
"""An echo comes up to 300 ms later: a satellite or a mobile network at the far end."""

DOMINANT = 10**0.7
"""A side that is 7 dB above the other may be the only one that speaks, and the rest its echo."""

AUDIBLE = 10.0
"""Speech is 10 dB above the quiet frames of its channel."""

MARGIN = 10**0.6
"""Own speech is 6 dB above the echo to be expected; frames of an echo vary by less."""

COHERENT = 0.15
"""Two people's speech correlates below 0.05 over seconds, an echo above 0.3, also where both often speak at once."""

EVIDENCE_FRAMES = 100
"""Less than two seconds of one side alone prove nothing."""

QUIETEST = 1e-9
"""Power of the last bit of a sample: quieter is digital silence."""

VOICE_FRAMES = 3
"""Own speech lasts 60 ms and more; shorter peaks are the echo's."""

KEPT_FRAMES = 5
"""Kept on both sides of own speech (100 ms): words begin and end quietly."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One side comes into the other side's channel `lag` frames later with `gain` times its power."""

    lag: int
    gain: float


def echoes(decoded: Path, recall: Recall = afresh) -> tuple[Flags, Flags]:
    """Which frames of the left and of the right channel hold nothing but the other side's echo: one step.

    decoded: a stereo file that `audio.decode` wrote. Without cross-talk no frame is. Memory for a block and for two
    numbers per frame: 3 MB for an hour.
    """
    size = decoded.stat().st_size
    packed = recall(["echoes", size], lambda: [np.packbits(flags).tobytes().hex() for flags in _echoes(decoded)])
    left, right = (np.frombuffer(bytes.fromhex(bits), np.uint8) for bits in packed)
    frames = size // (4 * FRAME)
    return np.unpackbits(left, count=frames).astype(np.bool_), np.unpackbits(right, count=frames).astype(np.bool_)


def _echoes(decoded: Path) -> tuple[Flags, Flags]:
    pairs = Decoded(decoded, 2)
    levels = _levels(pairs)
    found = []
    for own in range(2):
        leak = _leak(pairs, levels, own)
        nothing = np.zeros(len(levels), np.bool_)
        found.append(_echo_frames(levels[:, own], levels[:, 1 - own], leak) if leak else nothing)
    return found[0], found[1]


@dataclass(frozen=True, slots=True)
class _Silenced:
    sound: Sound
    frames: Flags

    def __len__(self) -> int:
        return len(self.sound)

    def __getitem__(self, part: slice) -> Samples:
        start, stop, _ = part.indices(len(self.sound))
        first = start // FRAME
        marked = np.repeat(self.frames[first : -(-stop // FRAME)], FRAME)[start - first * FRAME :]
        quiet = self.sound[part].copy()
        quiet[: len(marked)][marked[: len(quiet)]] = 0  # a rest that is no whole frame is not marked
        return quiet


def silence(sound: Sound, frames: Flags) -> Sound:
    """The sound with the marked frames silent; the very same where none is marked."""
    return _Silenced(sound, frames) if frames.any() else sound


def _blocks(pairs: Decoded) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """First frame and samples of each block as floats [samples, 2] of whole frames; a rest is left out."""
    whole = len(pairs) // FRAME
    for first in range(0, whole, BLOCK_FRAMES):
        last = min(first + BLOCK_FRAMES, whole)
        yield first, pairs[first * FRAME : last * FRAME].astype(np.float64) / 32768


def _levels(pairs: Decoded) -> Levels:
    """Power of each frame, [frames, 2]."""
    parts = [(block.reshape(-1, FRAME, 2) ** 2).mean(axis=1) for _, block in _blocks(pairs)]
    return np.concatenate([*parts, np.zeros((0, 2))]) + QUIETEST


def _audible(level: Levels) -> Flags:
    """Frames that are well above the channel's quiet ones."""
    return level > AUDIBLE * np.quantile(level, 0.1)


def _latest(values: NDArray[Any], earliest: int, latest: int) -> NDArray[Any]:
    """At each frame the highest value from `latest` frames before to `earliest` frames before (negative: after)."""
    highest = np.zeros_like(values)
    for shift in range(earliest, latest + 1):
        moved = np.zeros_like(values)
        if shift >= 0:
            moved[shift:] = values[: len(values) - shift]
        else:
            moved[:shift] = values[-shift:]
        highest = np.maximum(highest, moved)
    return highest


def _leak(pairs: Decoded, levels: Levels, own: int) -> Leak | None:
    """How the other side comes into channel `own`; None where it does not, or too little is said to know."""
    if not len(levels):
        return None
    mine, theirs = levels[:, own], levels[:, 1 - own]
    speaking = _audible(theirs) & (theirs > DOMINANT * mine)
    listening = mine * DOMINANT < _latest(np.where(speaking, theirs, 0), 0, LONGEST_LAG_FRAMES)
    if speaking.sum() < EVIDENCE_FRAMES:
        return None
    lag = _lag(pairs, own, speaking, listening)
    if lag is None:
        return None
    expected = _latest(np.where(speaking, theirs, 0), lag - 1, lag + 1)
    heard = listening & (expected > 0)
    return Leak(lag, float(np.median(mine[heard] / expected[heard]))) if heard.any() else None


def _lag(pairs: Decoded, own: int, speaking: Flags, listening: Flags) -> int | None:
    """The lag in frames at which the channels correlate, by the envelope: an echo may be inverted or out of phase.

    Only in a telephone's band: below, voices of one pitch resemble each other.
    """
    size = 2 * BLOCK_FRAMES * FRAME
    band = slice(BAND_HZ[0] * size // SAMPLE_RATE, BAND_HZ[1] * size // SAMPLE_RATE)
    cross, power = np.zeros(size, np.complex128), np.zeros(2)
    for first, block in _blocks(pairs):
        frames = slice(first, first + len(block) // FRAME)
        if not speaking[frames].any():
            continue
        echo = np.fft.rfft(block[:, own] * np.repeat(listening[frames], FRAME), size)[band]
        source = np.fft.rfft(block[:, 1 - own] * np.repeat(speaking[frames], FRAME), size)[band]
        cross[band] += echo * source.conj()
        power += (np.sum(np.abs(echo) ** 2), np.sum(np.abs(source) ** 2))
    envelope = np.abs(np.fft.ifft(cross))[: LONGEST_LAG_FRAMES * FRAME] * size
    if envelope.max() < COHERENT * np.sqrt(power.prod()) or not power.all():
        return None
    return round(int(envelope.argmax()) / FRAME)


def _echo_frames(mine: Levels, theirs: Levels, leak: Leak) -> Flags:
    expected = leak.gain * _latest(theirs, leak.lag - 1, leak.lag + 2)
    louder = mine > MARGIN * expected
    voice = _spread(_lasting(louder & _audible(mine), VOICE_FRAMES), KEPT_FRAMES)
    return ~_lasting(louder, VOICE_FRAMES) & ~voice


def _spread(flags: Flags, frames: int) -> Flags:
    spread: Flags = _latest(flags, -frames, frames)
    return spread


def _lasting(flags: Flags, frames: int) -> Flags:
    """The flags that stand in a row of at least so many."""
    starts = ~_latest(~flags, 1 - frames, 0)
    lasting: Flags = _latest(starts, 0, frames - 1)
    return lasting
