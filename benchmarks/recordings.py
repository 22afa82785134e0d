"""Long recordings, made of a sample call said over and over."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from appliance.engines import audio
from benchmarks.report import ROOT

SAMPLE = ROOT / "samples" / "ru-trade-in.mp3"
RATE = 16_000
CODECS = {"mp3": "libmp3lame", "m4a": "aac", "wav": "pcm_s16le"}


def long_recording(folder: Path, seconds: int, kind: str = "mp3", layout: str = "stereo") -> Path:
    """A recording of so many seconds: one party in each channel where it is stereo."""
    target = folder / f"{seconds}s-{layout}.{kind}"
    if target.exists():
        return target
    decoded = folder / "sample.s16"
    channels = audio.decode(SAMPLE, decoded)
    once = np.fromfile(decoded, "<i2").reshape(-1, channels)[:, 0]
    wanted = 2 if layout == "stereo" else 1
    sides = [np.resize(np.roll(once, side * once.size // 2), seconds * RATE) for side in range(wanted)]
    with av.open(str(target), "w") as container:
        stream = container.add_stream(CODECS[kind], rate=RATE, layout=layout)
        for start in range(0, seconds * RATE, 60 * RATE):
            piece = np.ascontiguousarray(
                np.stack([side[start : start + 60 * RATE] for side in sides], 1).reshape(1, -1)
            )
            frame = av.AudioFrame.from_ndarray(piece, "s16", layout)
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target
