"""Store a checkpoint as ../model.safetensors: half precision, only the output rows in use.

python export.py checkpoint.pt ../model.safetensors
"""

from __future__ import annotations

import sys
from pathlib import Path

import model
import torch
from safetensors.torch import save_file


def main() -> None:
    checkpoint, target = sys.argv[1], sys.argv[2]
    stored = torch.load(checkpoint)
    tensors = {}
    for name, value in stored["model"].items():
        matrix = value.ndim >= 2 and "positional" not in name
        tensors[name] = (value.half() if matrix else value.float()).contiguous()
    del tensors["encoder.positional_embedding"]  # sinusoids: a formula, not weights
    tensors["used"] = stored["used"].to(torch.int32)
    shape = {
        "version": 1,
        "vocabulary": 51_865,
        "mels": model.MELS,
        "audio_context": model.AUDIO_CONTEXT,
        "text_context": model.TEXT_CONTEXT,
        "state": model.STATE,
        "heads": model.HEADS,
        "audio_layers": model.AUDIO_LAYERS,
        "text_layers": model.TEXT_LAYERS,
    }
    save_file(tensors, target, metadata={name: str(value) for name, value in shape.items()})
    Path(target).chmod(0o644)  # save_file leaves it to its owner alone, services run as another user


if __name__ == "__main__":
    main()
