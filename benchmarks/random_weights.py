"""Whisper weights of a real size whose text is forced: the arithmetic of recognition without what it costs to train.

Every matrix is random. What is said next is written into the decoder's positions: each adds the embedding of the token
that is to follow, so large that nothing else in the sum matters. So both engines write the same number of tokens for
every window whatever they hear, at a probability near 1, and never try a window again at another temperature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance.engines.speech import demo_weights
from benchmarks.report import ROOT

TOKENIZER = ROOT / "weights" / "demo" / "tokenizer.json"
SHAPES = {"tiny": (384, 6, 4), "small": (768, 12, 12)}
"""Width, heads, and layers of encoder and of decoder, of OpenAI's weights of these names."""

TOKENS = 100
"""Text tokens for each window of 30 s: two thirds of the time is speech, at the five tokens a second of Russian."""

MELS, VOCABULARY, AUDIO_CONTEXT, TEXT_CONTEXT = 80, 51_865, 1500, 448
LAST_TIMESTAMP = VOCABULARY - 1
FIRST_TIMESTAMP = LAST_TIMESTAMP - 1500
EMBEDDING, WEIGHT, FORCE = 0.1, 0.02, 20.0
"""Deviations of the embeddings and of all other matrices, and how loud the forced token is in its position."""


@dataclass(frozen=True)
class RandomWeights:
    """One set in the format of each engine."""

    folder: Path
    ggml: Path


def make(shape: str, target: Path) -> RandomWeights:
    """Write weights of a shape of SHAPES under `target`."""
    width, heads, layers = SHAPES[shape]
    dimensions = {
        "vocabulary": VOCABULARY,
        "audio_context": AUDIO_CONTEXT,
        "text_context": TEXT_CONTEXT,
        "state": width,
        "heads": heads,
        "audio_layers": layers,
        "text_layers": layers,
        "mels": MELS,
    }
    tensors = _tensors(width, layers)
    made = RandomWeights(target / shape, target / f"ggml-{shape}.bin")
    target.mkdir(exist_ok=True)
    demo_weights.write_ctranslate2(made.folder, dimensions, tensors, TOKENIZER)
    with made.ggml.open("wb") as file:
        demo_weights.write_ggml(file, dimensions, tensors, TOKENIZER)
    return made


class _Tensors(dict[str, NDArray[Any]]):
    """Tensors under OpenAI's names, float32, of a model so many numbers wide."""

    def __init__(self, width: int) -> None:
        self.width, self.rng = width, np.random.default_rng(20261124)

    def matrix(self, *shape: int, deviation: float = WEIGHT) -> NDArray[np.float32]:
        return self.rng.standard_normal(shape, np.float32) * np.float32(deviation)

    def add_norm(self, name: str) -> None:
        self[f"{name}.weight"], self[f"{name}.bias"] = np.ones(self.width, np.float32), np.zeros(self.width, np.float32)

    def add_linear(self, name: str, outputs: int, inputs: int, *, bias: bool = True) -> None:
        self[f"{name}.weight"] = self.matrix(outputs, inputs)
        if bias:
            self[f"{name}.bias"] = np.zeros(outputs, np.float32)

    def add_block(self, name: str, attentions: Sequence[str]) -> None:
        for attention in attentions:
            self.add_norm(f"{name}.{attention}_ln")
            for part in ("query", "key", "value", "out"):
                self.add_linear(f"{name}.{attention}.{part}", self.width, self.width, bias=part != "key")
        self.add_norm(f"{name}.mlp_ln")
        self.add_linear(f"{name}.mlp.0", 4 * self.width, self.width)
        self.add_linear(f"{name}.mlp.2", self.width, 4 * self.width)


def _tensors(width: int, layers: int) -> _Tensors:
    made = _Tensors(width)
    made["encoder.positional_embedding"] = demo_weights.sinusoids(AUDIO_CONTEXT, width)
    for number, inputs in (("1", MELS), ("2", width)):
        made[f"encoder.conv{number}.weight"] = made.matrix(width, inputs, 3)
        made[f"encoder.conv{number}.bias"] = np.zeros(width, np.float32)
    for layer in range(layers):
        made.add_block(f"encoder.blocks.{layer}", ["attn"])
        made.add_block(f"decoder.blocks.{layer}", ["attn", "cross_attn"])
    made.add_norm("encoder.ln_post")
    made.add_norm("decoder.ln")
    embeddings = made.matrix(VOCABULARY, width, deviation=EMBEDDING)
    positions = np.zeros((TEXT_CONTEXT, width), np.float32)
    positions[:] = FORCE * embeddings[_forced(made.rng)]
    made["decoder.token_embedding.weight"], made["decoder.positional_embedding"] = embeddings, positions
    return made


def _forced(rng: np.random.Generator) -> list[int]:
    """What follows each position: a Russian transcription with times, one segment for the whole window."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    special = {name: tokenizer.token_to_id(name) for name in ("<|ru|>", "<|transcribe|>", "<|endoftext|>")}
    words = [number for word, number in tokenizer.get_vocab().items() if word.startswith("Ġ") and word[1:].isalpha()]
    said = rng.choice(sorted(words), TOKENS, replace=False).tolist()
    begun = [special["<|ru|>"], special["<|transcribe|>"], FIRST_TIMESTAMP]
    ended = [LAST_TIMESTAMP, *[special["<|endoftext|>"]] * (TEXT_CONTEXT - len(begun) - TOKENS - 1)]
    return [*begun, *said, *ended]
