"""Speak the dialogues with espeak-ng and encode them: `python samples/make.py` rewrites the sample calls.

Writes timings.yaml as well: when each line is said. Needs espeak-ng and the training environment
(weights/demo/training). A little noise is added; in stereo files the client is on the left, as most telephone
exchanges record it.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import av
import numpy as np
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "weights" / "demo" / "training"))

from synthesise import SAMPLE_RATE, say  # noqa: E402

CODECS = {"mp3": "libmp3lame", "m4a": "aac"}


def converse(name: str, dialogue: dict) -> tuple[np.ndarray, list[list[int]]]:
    """The dialogue as float32 [samples, 2], client left, manager right; start and end of each line in ms."""
    rng, noise = random.Random(name), np.random.default_rng(len(name))
    at, turns = int(0.4 * SAMPLE_RATE), []
    for speaker, text in dialogue["lines"]:
        voice, pitch, speed = dialogue["voices"][speaker]
        samples = say(text, voice, pitch, speed) * 0.55
        turns.append((speaker, at, samples))
        at += len(samples) + int(rng.uniform(0.35, 0.8) * SAMPLE_RATE)
    sound = noise.normal(0, 0.0015, (at, 2)).astype(np.float32)
    for speaker, start, samples in turns:
        sound[start : start + len(samples), "AB".index(speaker)] += samples
    times = [[at * 1000 // SAMPLE_RATE for at in (start, start + len(samples))] for _, start, samples in turns]
    return sound, times


def encode(sound: np.ndarray, target: Path, shape: dict) -> None:
    codec = shape.get("codec") or CODECS[shape["file"]]
    layout = "stereo" if shape["channels"] == 2 else "mono"
    samples = sound if shape["channels"] == 2 else sound.sum(axis=1, keepdims=True)
    with av.open(str(target), "w", format="mp4" if shape["file"] == "m4a" else shape["file"]) as container:
        stream = container.add_stream(codec, rate=shape["rate"], layout=layout)
        if shape["file"] != "wav":
            stream.bit_rate = 24_000 * shape["channels"]
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.reshape(1, -1)), "flt", layout)
        frame.sample_rate = SAMPLE_RATE
        resampler = av.AudioResampler(
            stream.codec_context.format, layout, shape["rate"], stream.codec_context.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def main() -> None:
    timings = "# When each line of dialogues.yaml is said: [start, end] in ms. Written by `python samples/make.py`.\n"
    for name, dialogue in yaml.safe_load((HERE / "dialogues.yaml").read_text(encoding="utf-8")).items():
        target = HERE / f"{name}.{dialogue['sound']['file']}"
        sound, times = converse(name, dialogue)
        timings += f"{name}: {times}\n"
        encode(sound, target, dialogue["sound"])
        print(f"{target.name}: {len(sound) / SAMPLE_RATE:.1f} s, {target.stat().st_size // 1024} KiB")
    (HERE / "timings.yaml").write_text(timings, encoding="utf-8")


if __name__ == "__main__":
    main()
