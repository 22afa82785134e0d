"""Voice embeddings: a d-vector of 256 values for a stretch of speech (Resemblyzer's encoder, weights/speaker)."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import SAMPLE_RATE, Samples, Sound
from appliance.engines.voice_activity import Region
from appliance.errors import EngineError

MELS, FFT, HOP = 40, 400, 160
"""The encoder was trained on these: 40 mel bands of power, 25 ms windows every 10 ms."""

LEVEL_DBFS = -30.0
"""Loudness that the encoder expects."""

VALUES = 256

BATCH = 64
"""Windows that are embedded at a time, in about a second: a step, before which progress is told."""

KEPT_AS = "<f4"


@lru_cache
def _filters() -> NDArray[np.float32]:
    from faster_whisper.feature_extractor import FeatureExtractor

    return np.asarray(FeatureExtractor.get_mel_filters(SAMPLE_RATE, FFT, MELS), np.float32)


def mel_spectrogram(samples: Samples) -> NDArray[np.float32]:
    """Power mel spectrogram [frames, 40], as librosa's melspectrogram makes it: centred frames, Slaney's filters."""
    window = np.hanning(FFT + 1)[:-1].astype(np.float32)
    padded = np.pad(samples, FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    return (power.astype(np.float32) @ _filters().T).astype(np.float32)


WINDOW_MS = 1200
"""Long enough for a voice, short enough for a reply: the encoder was trained on 1.6 s, turns are often shorter."""


def _stretch(samples: Sound, region: Region) -> Samples:
    """The samples of a region, brought to WINDOW_MS: a short one is repeated, a long one cut off."""
    per_ms = SAMPLE_RATE // 1000
    wanted = WINDOW_MS * per_ms
    part = samples[region.start_ms * per_ms : region.end_ms * per_ms]
    if len(part) == 0:
        return np.zeros(wanted, np.float32)
    return np.tile(part, -(-wanted // len(part)))[:wanted]


class VoiceEncoder:
    """The encoder, on one thread: many calls at once are better served so."""

    def __init__(self, weights: Path) -> None:
        """Load the weights. Raises EngineError."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - the library's own exceptions have no common base
            raise EngineError("speaker_weights_unusable", f"{weights} cannot be loaded: {error}") from None

    def embed(
        self,
        samples: Sound,
        windows: Sequence[Region],
        *,
        through: Callable[[Samples], Samples] = lambda heard: heard,
        recall: Recall = afresh,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> NDArray[np.float32]:
        """Unit vectors [windows, 256] of what is heard in each window, brought to one length and one loudness.

        through: what becomes of each before it is listened to. on_progress: told the share that is done, 0-1, before
        every BATCH windows, which are a step; what it raises ends the work. Overlapping windows of an hour are four
        times its samples, so they are cut out batch by batch.
        """
        parts = [np.zeros((0, VALUES), np.float32)]
        for first in range(0, len(windows), BATCH):
            on_progress(first / len(windows))
            heard = [_stretch(samples, window) for window in windows[first : first + BATCH]]

            def listen(heard: Sequence[Samples] = heard) -> str:
                mels = np.stack([mel_spectrogram(_levelled(through(window))) for window in heard])
                return base64.b64encode(self._session.run(None, {"mels": mels})[0].astype(KEPT_AS).tobytes()).decode()

            kept = recall(["voices", windows[first].start_ms, zlib.crc32(np.stack(heard).tobytes())], listen)
            parts.append(np.frombuffer(base64.b64decode(kept), KEPT_AS).reshape(-1, VALUES).astype(np.float32))
        return np.concatenate(parts)


def _levelled(window: Samples) -> Samples:
    power = float(np.sqrt(np.mean(window**2))) + 1e-9
    return (window * (10 ** (LEVEL_DBFS / 20) / power)).astype(np.float32)
