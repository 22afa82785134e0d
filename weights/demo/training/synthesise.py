"""Speak the sentences of phrases.yaml with espeak-ng and store them as one .npz of 16 kHz int16 PCM.

    python synthesise.py train 0 18000 train.npz
    python synthesise.py test 0 400 test.npz

The two splits never share a voice setting (training pitches are even, test pitches odd) and never share a recombined
sentence (one in ten fillings of the slots, chosen by a hash of the text, is kept for the test split). Sentences without
a slot occur in both: there is nothing to recombine in them.
"""

from __future__ import annotations

import io
import itertools
import random
import re
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile
import soxr
import yaml

SAMPLE_RATE = 16_000
SLOT = re.compile(r"\{(\w+)\}")
PHRASES = yaml.safe_load((Path(__file__).parent / "phrases.yaml").read_text(encoding="utf-8"))
MALE = ["", "+m1", "+m2", "+m3", "+m4", "+m7", "+michael"]
FEMALE = ["+f1", "+f2", "+f3", "+f4", "+f5", "+Annie"]
ACCENTS = {"ru": ["ru"], "en": ["en-us", "en-gb"]}


def fillings(language: str, template: str) -> list[str]:
    """Every sentence that a template can become."""
    slots = PHRASES[language]["slots"]
    names = SLOT.findall(template)
    return [
        template.format(**dict(zip(names, values, strict=True)))
        for values in itertools.product(*(slots[n] for n in names))
    ]


def sentences(split: str, language: str) -> list[list[str]]:
    """The sentences of a split, grouped by template. A hash keeps one recombined sentence in ten for the test."""
    groups = []
    for template in PHRASES[language]["manager"] + PHRASES[language]["client"]:
        everything = fillings(language, template)
        if len(everything) > 3:
            everything = [s for s in everything if (zlib.crc32(s.encode()) % 10 == 0) == (split == "test")]
        if everything:
            groups.append(everything)
    return groups


def say(text: str, voice: str, pitch: int, speed: int) -> np.ndarray:
    """One sentence as float32 mono at 16 kHz, silence at both ends cut off."""
    wav = subprocess.run(
        ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", str(speed), "--stdout", text],
        capture_output=True,
        check=True,
    ).stdout
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    return soxr.resample(samples[loud[0] : loud[-1] + 1], rate, SAMPLE_RATE).astype(np.float32)


def utterance(split: str, seed: int) -> tuple[str, str, np.ndarray]:
    """The sentence, language and int16 samples number `seed` of a split."""
    rng = random.Random(f"{split}{seed}")
    language = "ru" if rng.random() < 0.6 else "en"
    # Templates with many fillings are drawn more often, by the square root, so that slots are learned as slots.
    groups = sentences(split, language)
    group = rng.choices(groups, [len(g) ** 0.5 for g in groups])[0]
    text = rng.choice(group)
    voice = rng.choice(ACCENTS[language]) + rng.choice(rng.choice([MALE, FEMALE]))
    pitch = rng.randrange(30, 71, 2) + (split == "test")
    samples = say(text, voice, pitch, rng.randint(140, 190))
    return language, text, (samples * 32000).clip(-32767, 32767).astype("<i2")


def main() -> None:
    split, first, last, out = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with ThreadPoolExecutor(2) as pool:
        spoken = list(pool.map(lambda seed: utterance(split, seed), range(first, last)))
    np.savez(
        out,
        pcm=np.concatenate([s[2] for s in spoken]),
        offsets=np.cumsum([0] + [len(s[2]) for s in spoken]),
        language=np.array([s[0] for s in spoken]),
        text=np.array([s[1] for s in spoken]),
    )
    seconds = [len(s[2]) / SAMPLE_RATE for s in spoken]
    print(f"{len(spoken)} utterances, mean {np.mean(seconds):.2f} s, longest {max(seconds):.2f} s")


if __name__ == "__main__":
    main()
