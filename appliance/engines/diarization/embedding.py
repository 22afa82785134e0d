"""Voice embeddings: a d-vector of 256 values for a stretch of speech (Resemblyzer's encoder, weights/speaker)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.engines.speech import SAMPLE_RATE, Samples, Sound
from appliance.engines.voice_activity import Region
from appliance.errors import EngineError

MELS, FFT, HOP = 40, 400, 160
"""The encoder was trained on these: 40 mel bands of power, 25 ms windows every 10 ms."""

LEVEL_DBFS = -30.0
"""Loudness that the encoder expects."""

BATCH = 64


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


def stretch(samples: Sound, region: Region) -> Samples:
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

    def embed(self, windows: Iterable[Samples]) -> NDArray[np.float32]:
        """Unit vectors [windows, 256] of stretches of equal length, brought to one loudness.

        Takes the windows batch by batch: overlapping windows of an hour are four times its samples.
        """
        source = iter(windows)
        parts = []
        while batch := list(islice(source, BATCH)):
            mels = np.stack([mel_spectrogram(_levelled(window)) for window in batch])
            parts.append(self._session.run(None, {"mels": mels})[0])
        return np.concatenate(parts) if parts else np.zeros((0, 256), np.float32)


def _levelled(window: Samples) -> Samples:
    power = float(np.sqrt(np.mean(window**2))) + 1e-9
    return (window * (10 ** (LEVEL_DBFS / 20) / power)).astype(np.float32)
