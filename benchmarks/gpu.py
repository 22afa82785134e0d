"""A card: large-v3's shape with random weights, as many tokens per window as real speech has, against transformers.

`python -m benchmarks.gpu`: needs a CUDA card, and torch with transformers beside the appliance's packages. Both sides
decode 150 tokens for each window of 30 s by force, so that the work is equal although the weights are random. The
roofline counts the arithmetic of encoder and decoder at the card's dense float16 rate.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = (1, 4, 16, 64)
TOKENS = 150
WINDOW_S = 30
SHAPE = {"d_model": 1280, "layers": 32, "heads": 20, "mels": 128, "vocabulary": 51866}
PEAK_FLOPS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40": 181e12, "A6000": 155e12, "4090": 165e12}


def flops_per_window() -> float:
    """Multiplications and additions of one window: matrices twice per weight and position, attention by length."""
    width, layers, frames = SHAPE["d_model"], SHAPE["layers"], 1500
    encoder = layers * (frames * 24 * width**2 + 4 * frames**2 * width)
    decoder = layers * TOKENS * (28 * width**2 + 4 * frames * width) + layers * 4 * frames * width**2
    return float(encoder + decoder + TOKENS * 2 * width * SHAPE["vocabulary"])


def main() -> None:
    """Print seconds of sound per second by batch: ours, transformers, and the limit."""
    try:
        import ctranslate2
        import torch
        import transformers
    except ImportError as missing:
        sys.exit(f"NOT MEASURED: {missing.name} is not installed")
    if not ctranslate2.get_cuda_device_count() or not torch.cuda.is_available():
        sys.exit("NOT MEASURED: there is no CUDA card")
    name = torch.cuda.get_device_name()
    peak = next((flops for card, flops in PEAK_FLOPS.items() if card in name), None)
    with tempfile.TemporaryDirectory() as folder:
        reference = _random_weights(transformers, torch, Path(folder) / "hf")
        converter = ctranslate2.converters.TransformersConverter(str(Path(folder) / "hf"))
        converter.convert(str(Path(folder) / "ct2"), quantization="float16")
        ours = ctranslate2.models.Whisper(str(Path(folder) / "ct2"), device="cuda", compute_type="float16")
        print(f"{name}: seconds of sound per second; limit {_limit(peak)}")
        for batch in BATCHES:
            features = np.random.default_rng(1).standard_normal((batch, SHAPE["mels"], 3000)).astype(np.float32)
            own = _rate(batch, lambda f=features: _ours(ctranslate2, ours, f))
            theirs = _rate(batch, lambda f=features: _theirs(torch, reference, f))
            free, total = torch.cuda.mem_get_info()
            used = (total - free) / 2**30
            rates = f"ours {own:.0f}, transformers {theirs:.0f}, ratio {own / theirs:.2f}"
            print(f"  batch {batch:2}: {rates}, {used:.1f} GiB")


def _limit(peak: float | None) -> str:
    return "unknown for this card" if peak is None else f"{peak / flops_per_window() * WINDOW_S:.0f}"


def _random_weights(transformers: Any, torch: Any, folder: Path) -> Any:
    config = transformers.WhisperConfig(
        d_model=SHAPE["d_model"],
        encoder_layers=SHAPE["layers"],
        decoder_layers=SHAPE["layers"],
        encoder_attention_heads=SHAPE["heads"],
        decoder_attention_heads=SHAPE["heads"],
        encoder_ffn_dim=4 * SHAPE["d_model"],
        decoder_ffn_dim=4 * SHAPE["d_model"],
        num_mel_bins=SHAPE["mels"],
        vocab_size=SHAPE["vocabulary"],
    )
    model = transformers.WhisperForConditionalGeneration(config).to(torch.float16)
    model.save_pretrained(folder)
    return model.to("cuda").eval()


def _ours(ctranslate2: Any, model: Any, features: np.ndarray) -> None:
    prompt = [[50258, 50263, 50360]] * len(features)
    view = ctranslate2.StorageView.from_array(features)
    model.generate(view, prompt, beam_size=1, max_length=TOKENS + 3, suppress_tokens=[50257], suppress_blank=False)


def _theirs(torch: Any, model: Any, features: np.ndarray) -> None:
    sound = torch.from_numpy(features).to("cuda", torch.float16)
    with torch.inference_mode():
        model.generate(sound, max_new_tokens=TOKENS, min_new_tokens=TOKENS, num_beams=1, do_sample=False)
    torch.cuda.synchronize()


def _rate(batch: int, work: Any) -> float:
    work()
    began = time.perf_counter()
    for _ in range(3):
        work()
    return 3 * batch * WINDOW_S / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
