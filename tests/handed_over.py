"""Invented calls that are handed over to another manager, spoken by espeak-ng."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import yaml

from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.evaluation import synthetic
from appliance.evaluation.sets import Turn
from appliance.pipeline.equipment import DEMO_WEIGHTS

ENOUGH_MS = 12_000
"""Each manager says at least so much: what the appliance asks for, and some."""

Voices = tuple[tuple[str, int], tuple[str, int], tuple[str, int]]
"""Of the client, the first manager and the second: espeak-ng's variant, and its pitch.

Its voices are one synthesiser's: most pairs are as alike as one person with himself. Tests take some that are not.
"""

RUSSIAN: Voices = (("f2", 30), ("klatt3", 30), ("Annie", 75))
ENGLISH: Voices = (("m1", 30), ("m7", 75), ("f2", 75))


def spoken(language: str, voices: Voices, seed: int = 0, managers: int = 2) -> tuple[Samples, list[Turn], int]:
    """Both channels [2, samples], client first; when each line is said; and when the second manager takes over.

    With one manager the same lines are all his, and the last value is when he goes on.
    """
    phrases = yaml.safe_load((DEMO_WEIGHTS / "training" / "phrases.yaml").read_text(encoding="utf-8"))[language]
    rng = random.Random(f"handed over {seed}")
    how = {who: (f"{language}+{name}", str(pitch), "165") for who, (name, pitch) in zip("ABC", voices, strict=True)}
    at, sounds, turns, changes = SAMPLE_RATE // 2, [], [], 0
    for part in range(2):
        changes = at * 1000 // SAMPLE_RATE
        told_ms = 0
        while told_ms < ENOUGH_MS:
            for line in synthetic._dialogue(phrases, rng):
                voice = "C" if line.speaker == "B" and part and managers == 2 else line.speaker
                samples = synthetic._say(line.text, *how[voice])
                start_ms, end_ms = (where * 1000 // SAMPLE_RATE for where in (at, at + len(samples)))
                turns.append(Turn(start_ms=start_ms, end_ms=end_ms, speaker=line.speaker, text=line.text))
                told_ms += (end_ms - start_ms) * (line.speaker == "B")
                sounds.append(("AB".index(line.speaker), at, samples))
                at += len(samples) + int(rng.uniform(0.3, 0.9) * SAMPLE_RATE)
        at += 2 * SAMPLE_RATE
    return _mixed(sounds, at), turns, changes


def _mixed(sounds: Sequence[tuple[int, int, Samples]], length: int) -> Samples:
    sound = np.random.default_rng(length).normal(0, synthetic.ROOM, (2, length)).astype(np.float32)
    for channel, start, samples in sounds:
        sound[channel, start : start + len(samples)] += samples
    return sound
