"""Convert Resemblyzer's voice encoder to ONNX, so that it runs without PyTorch.

    pip download --no-deps resemblyzer==0.1.4 && unzip Resemblyzer-*.whl
    pip install torch onnx onnxruntime
    python convert.py resemblyzer/pretrained.pt dvector.onnx

Input `mels` [batch, frames, 40]: power mel spectrogram; output `embeddings` [batch, 256]: unit length.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import onnxruntime
import torch
from torch import nn

HIDDEN, MELS = 256, 40


class VoiceEncoder(nn.Module):
    """Generalized end-to-end loss for speaker verification (Wan et al. 2018): three LSTM layers and a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(MELS, HIDDEN, 3, batch_first=True)
        self.linear = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        _, (hidden, _) = self.lstm(mels)
        raw = torch.relu(self.linear(hidden[-1]))
        return raw / torch.norm(raw, dim=1, keepdim=True)


def main() -> None:
    source, target = sys.argv[1], sys.argv[2]
    encoder = VoiceEncoder().eval()
    stored = torch.load(source, map_location="cpu", weights_only=False)["model_state"]
    encoder.load_state_dict({k: v for k, v in stored.items() if k.startswith(("lstm.", "linear."))})
    example = torch.rand(2, 160, MELS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            encoder,
            (example,),
            target,
            input_names=["mels"],
            output_names=["embeddings"],
            dynamic_axes={"mels": {0: "batch", 1: "frames"}, "embeddings": {0: "batch"}},
            opset_version=17,
            dynamo=False,
        )
    mels = torch.rand(5, 200, MELS)
    with torch.no_grad():
        expected = encoder(mels).numpy()
    found = onnxruntime.InferenceSession(target).run(None, {"mels": mels.numpy()})[0]
    print(f"largest difference from PyTorch: {np.abs(found - expected).max():.2e}")


if __name__ == "__main__":
    main()
