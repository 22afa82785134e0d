"""A set of invented calls, spoken by espeak-ng from the sentences that the demo weights know.

The fillings of the slots and the voices' pitches are those that training never saw (weights/demo/training). Voices of
both sexes, also two of one sex; the manager introduces himself in half of the calls only; each call in several
conditions, so that they can be compared. The same number makes the same calls at every run.
"""

from __future__ import annotations

import io
import itertools
import random
import re
import shutil
import subprocess
import wave
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml

from appliance.engines.speech import SAMPLE_RATE, Samples
from appliance.errors import EngineError
from appliance.evaluation.demo_weights import in_telephone_band, with_noise
from appliance.evaluation.sets import Reference, Turn
from appliance.pipeline.equipment import DEMO_WEIGHTS

VOICES = {"m": ("+m1", "+m2", "+m3", "+m4", "+m7", "+michael"), "f": ("+f1", "+f2", "+f3", "+f4", "+f5", "+Annie")}
ACCENTS = {"ru": ("ru",), "en": ("en-us", "en-gb")}
SEXES = ("mf", "fm", "mm", "ff")
"""Of client and manager; half of the pairs are of one sex."""

CONDITIONS: dict[str, Callable[[Samples, np.random.Generator], Samples]] = {
    "clean": lambda samples, _: samples,
    "telephone": lambda samples, _: in_telephone_band(samples),
    "noise": with_noise,
}
VARIANTS = tuple(f"{channels}-{condition}" for condition in CONDITIONS for channels in ("mono", "stereo"))

INTRODUCTION = re.compile(r"\{manager\}")
SLOT = re.compile(r"\{(\w+)\}")
FEW = 3
"""Sentences with no more fillings than this were all trained on: there is nothing to recombine."""

PEAK = 0.5
ROOM = 0.0015
"""Noise of a quiet room, so that pauses are not digital silence."""


@dataclass(frozen=True, slots=True)
class _Line:
    speaker: Literal["A", "B"]
    text: str


def make(count: int, folder: Path, variants: Sequence[str] = VARIANTS) -> Iterator[Path]:
    """Write `count` calls into a folder, each in all variants, with their references; yields each recording's path.

    Raises EngineError where espeak-ng is not installed or a variant is unknown.
    """
    if unknown := sorted(set(variants) - set(VARIANTS)):
        raise EngineError("variant_unknown", f"no variant is called {unknown[0]}; there are: {', '.join(VARIANTS)}")
    if not shutil.which("espeak-ng"):
        raise EngineError("espeak_missing", "espeak-ng is needed to speak the calls: apt-get install espeak-ng")
    phrases = yaml.safe_load((DEMO_WEIGHTS / "training" / "phrases.yaml").read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        yield from _call(number, phrases, folder, variants)


def _call(number: int, phrases: dict[str, Any], folder: Path, variants: Sequence[str]) -> Iterator[Path]:
    rng = random.Random(f"call {number}")  # noqa: S311 - repeatable, not secret
    language = ("ru", "en")[number % 2]
    direction: Literal["incoming", "outgoing"] = "incoming" if rng.random() < 0.7 else "outgoing"
    lines = _dialogue(phrases[language], rng)
    sound, turns = _spoken(lines, language, SEXES[number // 2 % len(SEXES)], rng)
    for variant in variants:
        channels, condition = variant.split("-")
        noise = np.random.default_rng(number)
        mixed = sound if channels == "stereo" else sound.sum(axis=0, keepdims=True)
        heard = np.stack([CONDITIONS[condition](channel, noise) for channel in mixed])
        target = folder / f"{language}-{number:03}-{variant}.wav"
        _write(target, heard)
        group = f"{language} {channels} {condition}"
        reference = Reference(language=language, direction=direction, group=group, segments=turns)
        target.with_suffix(".json").write_text(reference.model_dump_json(indent=1), encoding="utf-8")
        yield target


def _dialogue(phrases: dict[str, Any], rng: random.Random) -> list[_Line]:
    sentences = {
        speaker: [_unseen(template, phrases["slots"]) for template in phrases[role]]
        for speaker, role in (("A", "client"), ("B", "manager"))
    }
    introductions = [_unseen(t, phrases["slots"]) for t in phrases["manager"] if INTRODUCTION.search(t)]
    sentences["B"] = [filled for filled in sentences["B"] if filled not in introductions]
    lines: list[_Line] = []
    if rng.random() < 0.5:
        lines.append(_Line("B", rng.choice(rng.choice([filled for filled in introductions if filled]))))
    order: Sequence[Literal["A", "B"]] = ("A", "B") if lines or rng.random() < 0.5 else ("B", "A")
    for speaker in itertools.chain(*itertools.repeat(order, rng.randint(3, 5))):
        chosen = rng.sample([filled for filled in sentences[speaker] if filled], rng.choice((1, 1, 2)))
        lines += [_Line(speaker, rng.choice(filled)) for filled in chosen]
    return lines


def _unseen(template: str, slots: dict[str, list[str]]) -> list[str]:
    """The fillings of a template that were kept from training: one in ten, by a hash of the text."""
    names = SLOT.findall(template)
    everything = [
        template.format(**dict(zip(names, values, strict=True)))
        for values in itertools.product(*(slots[name] for name in names))
    ]
    if len(everything) <= FEW:
        return everything
    return [text for text in everything if zlib.crc32(text.encode()) % 10 == 0]


def _spoken(lines: Sequence[_Line], language: str, sexes: str, rng: random.Random) -> tuple[Samples, list[Turn]]:
    """Both channels [2, samples], client first, and when each line is said."""
    client = rng.choice(VOICES[sexes[0]])
    manager = rng.choice([voice for voice in VOICES[sexes[1]] if voice != client])
    accent = rng.choice(ACCENTS[language])
    how = {
        speaker: (accent + voice, str(rng.randrange(31, 72, 2)), str(rng.randint(145, 185)))
        for speaker, voice in (("A", client), ("B", manager))
    }
    at, placed, turns = int(0.4 * SAMPLE_RATE), [], []
    for line in lines:
        samples = _say(line.text, *how[line.speaker])
        placed.append((line.speaker, at, samples))
        times = [where * 1000 // SAMPLE_RATE for where in (at, at + len(samples))]
        turns.append(Turn(start_ms=times[0], end_ms=times[1], speaker=line.speaker, text=line.text))
        at += len(samples) + int(rng.uniform(0.3, 0.9) * SAMPLE_RATE)
    noise = np.random.default_rng(len(lines))
    sound = noise.normal(0, ROOM, (2, at)).astype(np.float32)
    for speaker, start, samples in placed:
        sound["AB".index(speaker), start : start + len(samples)] += samples
    return sound, turns


def _say(text: str, voice: str, pitch: str, speed: str) -> Samples:
    """One sentence, silence at both ends cut off."""
    from scipy.signal import resample_poly

    command = ["espeak-ng", "-v", voice, "-p", pitch, "-s", speed, "--stdout", text]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        rate, frames = file.getframerate(), file.readframes(file.getnframes())
    samples = np.frombuffer(frames, "<i2").astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    trimmed = samples[loud[0] : loud[-1] + 1]
    common = np.gcd(rate, SAMPLE_RATE)
    found = resample_poly(trimmed, SAMPLE_RATE // common, rate // common)
    return np.asarray(found * (PEAK / np.abs(found).max()), np.float32)


def _write(target: Path, sound: Samples) -> None:
    with wave.open(str(target), "wb") as file:
        file.setnchannels(len(sound))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((sound.T * 32767).clip(-32768, 32767).astype("<i2").tobytes())
