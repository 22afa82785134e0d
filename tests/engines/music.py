"""What a telephone exchange plays while a caller waits, made by sox."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from appliance.engines.speech import SAMPLE_RATE, Samples

CHORDS = (("C", "E", "G"), ("A", "C", "E"), ("F", "A", "C"), ("G", "B", "D"))
BAR_S = 2.4


def guitar(folder: Path, length_s: int) -> Samples:
    """Chords of six plucked strings, one string after the other, in a hall."""
    bars = []
    for number, (root, third, fifth) in enumerate(CHORDS):
        strings = [f"{root}2", f"{fifth}3", f"{root}3", f"{third}3", f"{fifth}4", f"{root}4"]
        played = [part for string in strings for part in ("pluck", string)]
        delays = [str(0.3 * n) for n in range(len(strings))]
        bars.append(folder / f"bar{number}.wav")
        _sox(
            *_new(bars[-1], "synth", str(BAR_S), *played),
            *("delay", *delays, "remix", "-", "fade", "0", str(BAR_S), "0.1", "norm", "-6"),
        )
    return _looped(bars, folder, length_s)


def band(folder: Path, length_s: int) -> Samples:
    """A trembling melody over long chords and a soft drum, in a hall."""
    bars = []
    note_s = BAR_S / 4
    for number, (root, third, fifth) in enumerate(CHORDS):
        chord, tune, bar = (folder / f"{part}{number}.wav" for part in ("chord", "tune", "bar"))
        held = [part for note in (root, third, fifth) for part in ("sawtooth", f"{note}3")]
        _sox(*_new(chord, "synth", str(BAR_S), *held), "remix", "-", "lowpass", "1200", "norm", "-9")
        notes = []
        for place, note in enumerate((root, third, fifth, third)):
            notes.append(folder / f"note{number}-{place}.wav")
            shape = ("tremolo", "5.5", "25", "fade", "0.05", str(note_s), "0.1", "norm", "-6")
            _sox(*_new(notes[-1], "synth", str(note_s), "triangle", f"{note}5"), *shape)
        _sox(*map(str, notes), str(tune))
        drum = folder / "drum.wav"
        _sox(*_new(drum, "synth", str(note_s), "brownnoise"), *("fade", "0", str(note_s), "0.55", "norm", "-14"))
        drums = folder / "drums.wav"
        _sox(str(drum), str(drums), "repeat", "3")
        _sox("-m", str(chord), str(tune), str(drums), str(bar))
        bars.append(bar)
    return _looped(bars, folder, length_s)


def band_by_telephone(folder: Path, length_s: int) -> Samples:
    """The band over a telephone line: 300-3400 Hz, mu-law."""
    heard, phone = folder / "heard.wav", folder / "phone.wav"
    played = (band(folder, length_s) * 32767).astype("<i2").tobytes()
    raw = ("-t", "raw", "-r", str(SAMPLE_RATE), "-e", "signed", "-b", "16", "-c", "1", "-")
    subprocess.run(["sox", *raw, str(heard)], input=played, check=True)
    _sox(str(heard), "-r", "8000", "-e", "mu-law", str(phone), "sinc", "300-3400")
    return _read(phone)


def ringback(folder: Path, length_s: int) -> Samples:
    """425 Hz, one second in five, as Russian exchanges ring."""
    ring = folder / "ring.wav"
    _sox(*_new(ring, "synth", "1", "sine", "425"), "norm", "-10", "pad", "0", "4")
    return _looped([ring], folder, length_s)


PLAYED: Sequence[Callable[[Path, int], Samples]] = (guitar, band, band_by_telephone, ringback)


def _new(file: Path, *effects: str) -> tuple[str, ...]:
    return ("-n", "-r", str(SAMPLE_RATE), "-c", "1", str(file), *effects)


def _looped(parts: Sequence[Path], folder: Path, length_s: int) -> Samples:
    """The parts one after the other, again and again."""
    once, whole = folder / "once.wav", folder / "whole.wav"
    _sox(*map(str, parts), str(once))
    rounds = int(length_s / _length_s(once)) + 1
    _sox(str(once), str(whole), "repeat", str(rounds), "reverb", "trim", "0", str(length_s))
    return _read(whole)


def _length_s(file: Path) -> float:
    return float(subprocess.run(["sox", "--i", "-D", file], capture_output=True, check=True).stdout)


def _read(file: Path) -> Samples:
    raw = ("-t", "raw", "-r", str(SAMPLE_RATE), "-e", "floating-point", "-b", "32", "-c", "1", "-")
    played = subprocess.run(["sox", str(file), *raw], capture_output=True, check=True).stdout
    return np.frombuffer(played, "<f4")


def _sox(*arguments: str) -> None:
    # Without -D each run would dither with other noise.
    subprocess.run(["sox", "-D", "-V1", *arguments], check=True)
