"""One sound on two channels is told from two parties, whatever an exchange did to the copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE, Samples
from tests.conftest import SAMPLES

STEREO = "ru-complaint.wav"


def turned(samples: Samples) -> Samples:
    """Every frequency a quarter turn late."""
    spectrum = np.fft.rfft(samples)
    spectrum[1:-1] *= -1j
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)


def noisy(samples: Samples) -> Samples:
    return samples + np.random.default_rng(0).normal(0, 0.003, len(samples)).astype(np.float32)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> list[Samples]:
    """Client and manager of a real stereo call."""
    decoded = tmp_path_factory.mktemp("stereo") / "samples.s16"
    assert audio.decode(SAMPLES / STEREO, decoded) == 2
    return [audio.samples_of(decoded, 2, n) for n in range(2)]


def dual_mono(left: Samples, right: Samples, folder: Path) -> bool:
    file = folder / "samples.s16"
    pairs = np.stack([left, right], axis=1).clip(-1, 1)
    file.write_bytes((pairs * 32767).astype("<i2").tobytes())
    return audio.is_dual_mono(file)


@pytest.mark.parametrize(
    "copied",
    [
        lambda x: x,
        lambda x: 0.1 * x,
        lambda x: -0.5 * x,
        lambda x: np.roll(x, SAMPLE_RATE // 50),
        turned,
        noisy,
        np.zeros_like,
    ],
    ids=["same", "quieter", "inverted", "delayed", "turned", "noisy", "silent"],
)
def test_a_copy_is_one_sound(sides: list[Samples], tmp_path: Path, copied: Callable[[Samples], Samples]) -> None:
    mixed = sides[0] + sides[1]
    assert dual_mono(mixed, copied(mixed), tmp_path)
    assert dual_mono(copied(mixed), mixed, tmp_path)


@pytest.mark.parametrize("echo_db", [None, -30, -20, -15, -6])
def test_two_parties_stay_two_with_cross_talk(sides: list[Samples], tmp_path: Path, echo_db: int | None) -> None:
    leak = 0.0 if echo_db is None else 10 ** (echo_db / 20)
    client, manager = sides
    late = SAMPLE_RATE // 100
    assert not dual_mono(client + leak * np.roll(manager, late), manager + leak * np.roll(client, late), tmp_path)


def test_real_stereo_is_two_parties(recordings: Path, tmp_path: Path) -> None:
    decoded = tmp_path / "samples.s16"
    assert audio.decode(recordings / "calls_en" / "Auto_Repairs_40_UTC.wav", decoded) == 2
    assert not audio.is_dual_mono(decoded)
