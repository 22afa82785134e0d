"""Speech weights: what lies at a path, whether it can be used, and the engine for it.

A folder is for faster-whisper, a file for whisper.cpp. Both libraries may end the whole process over a file that is
corrupt in the middle, so weights are proven in a process of their own before this one loads them.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from appliance.engines.speech import SpeechEngine, demo_weights, ggml
from appliance.engines.speech.chunks import LONGEST_MS
from appliance.engines.speech.recognition import BEAM
from appliance.errors import EngineError

FOLDER_FILES = ("model.bin", "config.json", "tokenizer.json")
MULTILINGUAL_TOKENS = 51_865
"""A vocabulary this large has languages: the libraries' own rule."""

CTRANSLATE2_VERSION = 6
"""Of model.bin; others are left to the library to judge."""

NOTES = "appliance.json"
"""In a folder of weights: what to know about them. `{"hot_words": true}`: names to expect were seen to help them.

Whisper base, told of 400 letters of names, wrote more nonsense than without, in loops, and took ten times as long.
"""

PROOF_S = 600
"""Loading large weights from a slow disk may take minutes."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights at a path, by the engine they are for."""

    path: Path
    kind: Literal["folder", "ggml"]
    name: str
    multilingual: bool = True
    demo: bool = False
    takes_hot_words: bool = False
    """Whether names to expect help them."""


def inspect(path: Path) -> Weights:
    """Look at weights without loading them.

    Raises EngineError: weights_missing, weights_unreadable, weights_truncated, weights_not_a_model.
    """
    try:
        return _inspect(path)
    except OSError as error:
        raise EngineError("weights_unreadable", f"{path} cannot be read: {error.strerror or error}") from None


def _inspect(path: Path) -> Weights:
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
        _json(path / "config.json")
        _json(path / "tokenizer.json")
        _walk_ctranslate2(path / "model.bin")
        demo = path.name == demo_weights.FOLDER and (path.parent / demo_weights.GGML_FILE).exists()
        multilingual = _vocabulary_size(path) >= MULTILINGUAL_TOKENS
        name = demo_weights.NAME if demo else path.name
        return Weights(path, "folder", name, multilingual, demo, _takes_hot_words(path) and not demo)
    if path.stat().st_size == 0:
        raise EngineError("weights_truncated", f"{path} is empty: copy or download it again")
    multilingual = ggml.inspect(path).vocabulary >= MULTILINGUAL_TOKENS
    demo = path.name == demo_weights.GGML_FILE
    name = demo_weights.NAME if demo else path.stem.removeprefix("ggml-")
    return Weights(path, "ggml", name, multilingual, demo)


def _takes_hot_words(folder: Path) -> bool:
    """Whether the folder says that names to expect help its weights: some are led astray by them."""
    notes = _json(folder / NOTES) if (folder / NOTES).is_file() else {}
    takes = notes.get("hot_words", False) if isinstance(notes, dict) else None
    if not isinstance(takes, bool):
        raise EngineError("weights_not_a_model", f'{folder / NOTES} must be like {{"hot_words": true}}')
    return takes


def _json(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise EngineError("weights_not_a_model", f"{file} is no JSON: copy or download it again") from None


def _vocabulary_size(folder: Path) -> int:
    if (folder / "vocabulary.json").is_file():
        tokens = _json(folder / "vocabulary.json")
        return len(tokens) if isinstance(tokens, list | dict) else 0
    return len((folder / "vocabulary.txt").read_bytes().splitlines())


def _walk_ctranslate2(file: Path) -> None:
    """Walk through model.bin without reading its values: each must be there. Raises EngineError.

    Layout, little endian, by CTranslate2's model_spec.py (MIT): version; name of the specification; revision; count of
    variables; for each its name, rank, dimensions, type, size in bytes and values; count of aliases; for each two
    names. Strings are length and bytes.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:

        def read(layout: str) -> int:
            found = opened.read(struct.calcsize(layout))
            if len(found) < struct.calcsize(layout):
                raise EngineError("weights_truncated", f"{file} ends too early: copy or download it again")
            return int(struct.unpack(layout, found)[0])

        version = read("<I")
        if not 0 < version < 100:
            raise EngineError("weights_not_a_model", f"{file} is no CTranslate2 model: it does not begin as one")
        if version != CTRANSLATE2_VERSION:
            return
        if b"Whisper" not in opened.read(read("<H")):
            raise EngineError("weights_not_a_model", f"{file} is no Whisper model")
        read("<I")
        for _ in range(read("<I")):
            opened.seek(read("<H"), 1)
            opened.seek(4 * read("<B") + 1, 1)
            opened.seek(read("<I"), 1)
        for _ in range(read("<I")):
            opened.seek(read("<H"), 1)
            opened.seek(read("<H"), 1)
        if opened.tell() > size:
            raise EngineError("weights_truncated", f"{file} ends too early: copy or download it again")


def open_engine(path: Path, *, device: str = "auto", threads: int = 0, batch: int = 0) -> SpeechEngine:
    """The engine for the weights at a path, proven and loaded. Raises EngineError.

    batch: how many chunks are recognised at once where the engine can; 0: what suits the device.
    """
    found = inspect(path)
    prove(found, device)
    return load(found, device, threads, batch)


def load(found: Weights, device: str, threads: int, batch: int = 0) -> SpeechEngine:
    """Load weights into this process."""
    is_demo = found.name == demo_weights.NAME
    longest_ms, beam = (demo_weights.CHUNK_MS, demo_weights.BEAM) if is_demo else (LONGEST_MS, BEAM)
    if found.kind == "folder":
        from appliance.engines.speech.faster_whisper import FasterWhisper

        takes = found.takes_hot_words
        return FasterWhisper(
            found.path,
            found.name,
            longest_ms=longest_ms,
            takes_hot_words=takes,
            batch=batch,
            beam=beam,
            device=device,
            threads=threads,
        )
    from appliance.engines.speech.whisper_cpp import WhisperCpp

    return WhisperCpp(found.path, found.name, longest_ms=longest_ms, beam=beam, threads=threads)


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
