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


ENCODED_S = 300
"""So much is encoded; what is longer holds the same packets again and again."""


def long_recording(folder: Path, seconds: int, kind: str = "mp3", layout: str = "stereo") -> Path:
    """A recording of so many seconds: one party in each channel where it is stereo."""
    target = folder / f"{seconds}s-{layout}.{kind}"
    if target.exists():
        return target
    if seconds > ENCODED_S:
        _repeat(long_recording(folder, ENCODED_S, kind, layout), target, seconds)
        return target
    decoded = folder / "sample.s16"
    channels = audio.decode(SAMPLE, decoded)
    once = np.fromfile(decoded, "<i2").reshape(-1, channels)[:, 0]
    wanted = 2 if layout == "stereo" else 1
    sides = [np.resize(np.roll(once, side * once.size // 2), seconds * RATE) for side in range(wanted)]
    with av.open(str(target), "w") as container:
        stream = container.add_stream(CODECS[kind], rate=RATE, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.stack(sides, 1).reshape(1, -1), "s16", layout)
        frame.sample_rate, frame.pts = RATE, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return target


def _repeat(once: Path, target: Path, seconds: int) -> None:
    with av.open(str(target), "w") as container:
        into, ended = None, None
        for _ in range(-(-seconds // ENCODED_S)):
            with av.open(str(once)) as source:
                into = into or container.add_stream_from_template(source.streams.audio[0])
                shift = None
                for packet in source.demux(audio=0):
                    if packet.pts is None:  # the last one only says that there are no more
                        continue
                    if shift is None:
                        shift = 0 if ended is None else ended - packet.pts
                    packet.pts = packet.dts = packet.pts + shift
                    if packet.pts * packet.time_base >= seconds:  # each repetition brings its codec's padding along
                        break
                    ended = packet.pts + (packet.duration or 0)
                    packet.stream = into
                    container.mux(packet)
