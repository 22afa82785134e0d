"""Store test utterances as ../test.mp3 and ../test.json, small enough to be carried along.

    python test_set.py test.npz ..

The utterances stand one after the other with a pause between; test.json has their borders in milliseconds.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import numpy as np

RATE = 16_000
PAUSE = RATE // 2
EACH = 110
"""Utterances of each language."""


def main() -> None:
    stored, target = np.load(sys.argv[1]), Path(sys.argv[2])
    parts, listed, at = [], [], 0
    for language in ("ru", "en"):
        for n in [n for n, code in enumerate(stored["language"]) if code == language][:EACH]:
            voice = stored["pcm"][stored["offsets"][n] : stored["offsets"][n + 1]]
            times = [at * 1000 // RATE, (at + len(voice)) * 1000 // RATE]
            listed.append(
                {"language": language, "text": str(stored["text"][n]), "start_ms": times[0], "end_ms": times[1]}
            )
            parts += [voice, np.zeros(PAUSE, voice.dtype)]
            at += len(voice) + PAUSE
    (target / "test.json").write_text(json.dumps(listed, ensure_ascii=False, indent=0), encoding="utf-8")
    with av.open(str(target / "test.mp3"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(np.concatenate(parts).reshape(1, -1), "s16", "mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.codec_context.format, "mono", RATE, 1152)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
