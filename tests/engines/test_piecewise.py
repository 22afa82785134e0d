"""Long calls are read piece by piece: the same sound, and memory that does not grow with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE
from tests.conftest import SAMPLES

HEARING = """
import resource, sys
from pathlib import Path
from uuid import uuid4

from appliance.config import Settings
from appliance.pipeline.decode import shape_of
from appliance.pipeline.diarize import Diarize
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.stage import StageContext
from appliance.pipeline.transcribe import Transcribe

home, channels = Path(sys.argv[1]), int(sys.argv[2])
equipment = Equipment(Settings.offline().model_copy(update={"data_dir": home, "speech_threads": 1}), stored=False)
outputs = {}
context = StageContext(uuid4(), "incoming", "", "", outputs, equipment, lambda _: None)
target = equipment.scratch(context.call_id) / "samples.s16"
(home / "decoded").rename(target)
outputs["decode"] = shape_of(target, channels)
outputs["transcribe"] = Transcribe().run(context)
Diarize().run(context)
print(len(outputs["transcribe"]["channels"]), sum(len(c["segments"]) for c in outputs["transcribe"]["channels"]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_pieces_of_a_channel_are_the_channel(tmp_path: Path) -> None:
    decoded = tmp_path / "samples.s16"
    assert audio.decode(SAMPLES / "ru-complaint.wav", decoded) == 2
    for number in range(2):
        whole = audio.samples_of(decoded, 2, number)
        channel = audio.channel_of(decoded, 2, number)
        assert len(channel) == len(whole)
        assert whole.dtype == np.float32
        assert np.abs(whole).max() > 0.01
        pieces = [channel[start : start + 12_345] for start in range(0, len(channel), 12_345)]
        assert np.array_equal(np.concatenate(pieces), whole)
        assert len(channel[len(channel) : len(channel) + 10]) == 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("sample", "channels"), [("ru-complaint.wav", 2), ("ru-test-drive.mp3", 1)])
def test_memory_does_not_grow_with_a_call(sample: str, channels: int, tmp_path: Path) -> None:
    """From decoded samples to who said what: a call, and the same with twenty minutes of a quiet line after it."""
    assert audio.decode(SAMPLES / sample, tmp_path / "sample") == channels
    call = np.fromfile(tmp_path / "sample", "<i2")
    quiet = np.random.default_rng(0).integers(-3, 4, 20 * 60 * SAMPLE_RATE * channels).astype("<i2")
    peaks = []
    for sound in (call, np.concatenate([call, quiet])):
        sound.tofile(tmp_path / "decoded")
        command = [sys.executable, "-c", HEARING, str(tmp_path), str(channels)]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        assert int(told[0]) == channels
        assert int(told[1]) > 5
        peaks.append(int(told[2]) / 1024)
    # The samples alone are 37 MiB a channel, 73 MiB as floats.
    assert peaks[1] - peaks[0] < 35, peaks
