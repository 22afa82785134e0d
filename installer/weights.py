"""What lies in a folder of weights, told by its files: the publishers of each kind lay theirs out alike."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

Kind = Literal["speech", "diarizer", "language model", "unknown"]


def kind(folder: Path) -> Kind:
    """Of faster-whisper's, pyannote's and Hugging Face's layout."""
    if (folder / "model.bin").is_file():
        return "speech"
    if (folder / "config.yaml").is_file():
        return "diarizer"
    return "language model" if any(folder.glob("*.safetensors")) else "unknown"
