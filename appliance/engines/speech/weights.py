"""Speech weights: what lies at a path, whether it can be used, and the engine for it.

A folder is for faster-whisper, a file for whisper.cpp. Both libraries may end the whole process over a file that is
corrupt in the middle, so weights are proven in a process of their own before this one loads them.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.engines.speech import SpeechEngine, demo_weights, ggml
from appliance.engines.speech.chunks import LONGEST_MS
from appliance.errors import EngineError

FOLDER_FILES = ("model.bin", "config.json", "tokenizer.json")
PROOF_S = 600
"""Loading large weights from a slow disk may take minutes."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights at a path, by the engine they are for."""

    path: Path
    kind: Literal["folder", "ggml"]
    name: str


def inspect(path: Path) -> Weights:
    """Look at weights without loading them. Raises EngineError: weights_missing, _truncated, _not_a_model."""
    if not path.exists():
        raise EngineError("weights_missing", f"there are no weights at {path}: see `appliance weights list`")
    if path.is_dir():
        missing = [name for name in FOLDER_FILES if not (path / name).is_file()]
        if not any((path / f"vocabulary.{ending}").is_file() for ending in ("json", "txt")):
            missing.append("vocabulary.json")
        if missing:
            raise EngineError("weights_not_a_model", f"{path} lacks {', '.join(missing)}")
        if (path / "model.bin").stat().st_size == 0:
            raise EngineError("weights_truncated", f"{path / 'model.bin'} is empty: copy or download it again")
        demo = path.name == demo_weights.FOLDER and (path.parent / demo_weights.GGML_FILE).exists()
        return Weights(path, "folder", demo_weights.NAME if demo else path.name)
    if path.stat().st_size == 0:
        raise EngineError("weights_truncated", f"{path} is empty: copy or download it again")
    ggml.inspect(path)
    name = demo_weights.NAME if path.name == demo_weights.GGML_FILE else path.stem.removeprefix("ggml-")
    return Weights(path, "ggml", name)


def open_engine(path: Path, *, device: str = "auto", threads: int = 0) -> SpeechEngine:
    """The engine for the weights at a path, proven and loaded. Raises EngineError."""
    found = inspect(path)
    prove(found, device)
    return load(found, device, threads)


def load(found: Weights, device: str, threads: int) -> SpeechEngine:
    """Load weights into this process."""
    longest_ms = demo_weights.CHUNK_MS if found.name == demo_weights.NAME else LONGEST_MS
    if found.kind == "folder":
        from appliance.engines.speech.faster_whisper import FasterWhisper

        return FasterWhisper(found.path, found.name, longest_ms=longest_ms, device=device, threads=threads)
    from appliance.engines.speech.whisper_cpp import WhisperCpp

    return WhisperCpp(found.path, found.name, longest_ms=longest_ms, threads=threads)


def prove(found: Weights, device: str) -> None:
    """Load weights in a process of its own and listen to a second of noise. Raises EngineError where that dies."""
    command = [sys.executable, "-m", "appliance.engines.speech.proof", str(found.path), device]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROOF_S, check=False)
    except subprocess.TimeoutExpired:
        raise EngineError("weights_not_a_model", f"{found.path} does not load within {PROOF_S} s") from None
    if done.returncode < 0:
        raise EngineError(
            "weights_not_a_model", f"{found.path} is damaged: loading it crashes (signal {-done.returncode})"
        )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError("weights_not_a_model", f"{found.path} cannot be used: {reason}")
