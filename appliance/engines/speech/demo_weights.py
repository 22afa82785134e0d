"""The demo weights: one compact file, written out as what each engine reads.

The compact file holds only the output rows of tokens that the demo sentences use; the last row stands for all others.
Formats: CTranslate2's Whisper folder, by its own specification classes; whisper.cpp's ggml file, as its converter
(models/convert-pt-to-ggml.py, MIT) lays it out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from appliance.errors import EngineError

Tensors = dict[str, NDArray[Any]]

NAME = "demo"
NOTICE = "demo weights: understand the sample calls only"
GGML_FILE = f"ggml-{NAME}.bin"
FOLDER = "ct2"
CHUNK_MS = 12_000
"""The weights were trained on at most so much speech at a time."""

BEAM = 1
"""Texts that are weighed against each other: one, the likeliest token by token.

These weights know the sentences of training by heart, and of five texts one wins that is longer than what was said. Of
325 words in Russian calls, clean, in mono, 9 are wrong instead of 23 with faster-whisper, and 5 instead of 15 with
whisper.cpp.
"""

VERSION = 1
"""Of the compact file."""

WRITTEN = 3
"""Counted up whenever the files are written differently: those of an earlier release are made anew."""

ALIGNMENT_HEAD = (0, 1)
"""Layer and head of the decoder that follows the sound most closely: its word times cover 84 % of the speech."""

GGML_MAGIC = 0x67676D6C
LANGUAGE_TOKEN = re.compile(r"<\|[a-z]{2,3}\|>")


def materialise(source: Path, target: Path) -> None:
    """Write `target/ct2/` and `target/ggml-demo.bin` from the folder of the compact weights.

    Done already for the same source: nothing happens. An interrupted run leaves nothing that looks complete. Processes
    that start together wait for one another: one of them writes.
    """
    digest = _digest(source)
    stamp = target / "source.sha256"
    target.mkdir(parents=True, exist_ok=True)
    # Processes of several users write here: a link that one of them laid leads no other one anywhere.
    with os.fdopen(os.open(target / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666), "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        whole = (target / FOLDER / "model.bin").is_file() and (target / GGML_FILE).is_file()
        if whole and stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
            return
        stamp.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=".part-") as part:
            _write(source, target, Path(part))
            whole_stamp = Path(part) / stamp.name
            whole_stamp.write_text(digest, encoding="utf-8")
            whole_stamp.replace(stamp)


def _digest(source: Path) -> str:
    found = hashlib.sha256(str(WRITTEN).encode())
    for name in ("model.safetensors", "tokenizer.json"):
        found.update((source / name).read_bytes())
    return found.hexdigest()


def _write(source: Path, target: Path, part: Path) -> None:
    shape, tensors = read_compact(source / "model.safetensors")
    write_ctranslate2(part / FOLDER, shape, tensors, source / "tokenizer.json")
    with (part / GGML_FILE).open("wb") as file:
        write_ggml(file, shape, tensors, source / "tokenizer.json")
    shutil.rmtree(target / FOLDER, ignore_errors=True)
    (part / FOLDER).rename(target / FOLDER)
    (part / GGML_FILE).replace(target / GGML_FILE)


def read_compact(file: Path) -> tuple[dict[str, int], Tensors]:
    """The dimensions and the full float32 tensors under OpenAI's names. Raises EngineError for another version."""
    from safetensors import safe_open

    with safe_open(file, framework="numpy") as opened:
        shape = {name: int(value) for name, value in opened.metadata().items()}
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    if shape.pop("version", VERSION) != VERSION:
        raise EngineError("weights_not_a_model", f"{file} is of another version than this release reads")
    used = tensors.pop("used")
    tensors = {name: value.astype(np.float32) for name, value in tensors.items()}
    compact = tensors["decoder.token_embedding.weight"]
    full = np.repeat(compact[-1:], shape["vocabulary"], axis=0)
    full[used] = compact[:-1]
    tensors["decoder.token_embedding.weight"] = full
    tensors["encoder.positional_embedding"] = sinusoids(shape["audio_context"], shape["state"])
    return shape, tensors


def sinusoids(length: int, channels: int) -> NDArray[np.float32]:
    """Whisper's encoder positions [length, channels]."""
    increment = np.log(10_000) / (channels // 2 - 1)
    angles = np.arange(length)[:, None] * np.exp(-increment * np.arange(channels // 2))[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def write_ctranslate2(folder: Path, shape: dict[str, int], tensors: Tensors, tokenizer: Path) -> None:
    """A folder that faster-whisper loads."""
    from ctranslate2.specs import whisper_spec

    spec = whisper_spec.WhisperSpec(shape["audio_layers"], shape["heads"], shape["text_layers"], shape["heads"])
    for convolution in ("conv1", "conv2"):
        part = getattr(spec.encoder, convolution)
        part.weight = tensors[f"encoder.{convolution}.weight"]
        part.bias = tensors[f"encoder.{convolution}.bias"]
    spec.encoder.position_encodings.encodings = tensors["encoder.positional_embedding"]
    spec.decoder.position_encodings.encodings = tensors["decoder.positional_embedding"]
    _set_norm(spec.encoder.layer_norm, tensors, "encoder.ln_post")
    _set_norm(spec.decoder.layer_norm, tensors, "decoder.ln")
    spec.decoder.embeddings.weight = tensors["decoder.token_embedding.weight"]
    spec.decoder.projection.weight = tensors["decoder.token_embedding.weight"]
    for side, layers in (("encoder", spec.encoder.layer), ("decoder", spec.decoder.layer)):
        for number, layer in enumerate(layers):
            _set_block(layer, tensors, f"{side}.blocks.{number}", cross=side == "decoder")
    names = _token_names(tokenizer, shape["vocabulary"])
    spec.register_vocabulary(names)
    spec.config.suppress_ids = []
    # As OpenAI's own: a text does not begin with a lone space or its end. whisper.cpp has the same rule built in.
    spec.config.suppress_ids_begin = [names.index("\u0120"), names.index("<|endoftext|>")]
    spec.config.lang_ids = [i for i, name in enumerate(names) if LANGUAGE_TOKEN.fullmatch(name)]
    spec.config.alignment_heads = [ALIGNMENT_HEAD]
    spec.validate()
    spec.optimize(quantization="float16")
    folder.mkdir(parents=True)
    spec.save(str(folder))
    shutil.copy(tokenizer, folder / "tokenizer.json")
    preprocessor = {
        "feature_size": shape["mels"],
        "sampling_rate": 16_000,
        "hop_length": 160,
        "chunk_length": 30,
        "n_fft": 400,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), encoding="utf-8")


def _set_norm(norm: Any, tensors: Tensors, name: str) -> None:
    norm.gamma, norm.beta = tensors[f"{name}.weight"], tensors[f"{name}.bias"]


def _set_linear(linear: Any, tensors: Tensors, *names: str) -> None:
    """One layer of several side by side. Whisper's keys have no bias: zeros."""
    linear.weight = np.concatenate([tensors[f"{n}.weight"] for n in names])
    empty = np.zeros(tensors[f"{names[0]}.weight"].shape[0], np.float32)
    linear.bias = np.concatenate([tensors.get(f"{n}.bias", empty) for n in names])


def _set_block(layer: Any, tensors: Tensors, name: str, *, cross: bool) -> None:
    attention = layer.self_attention
    _set_norm(attention.layer_norm, tensors, f"{name}.attn_ln")
    _set_linear(attention.linear[0], tensors, *(f"{name}.attn.{part}" for part in ("query", "key", "value")))
    _set_linear(attention.linear[1], tensors, f"{name}.attn.out")
    if cross:
        _set_norm(layer.attention.layer_norm, tensors, f"{name}.cross_attn_ln")
        _set_linear(layer.attention.linear[0], tensors, f"{name}.cross_attn.query")
        _set_linear(layer.attention.linear[1], tensors, f"{name}.cross_attn.key", f"{name}.cross_attn.value")
        _set_linear(layer.attention.linear[2], tensors, f"{name}.cross_attn.out")
    _set_norm(layer.ffn.layer_norm, tensors, f"{name}.mlp_ln")
    _set_linear(layer.ffn.linear_0, tensors, f"{name}.mlp.0")
    _set_linear(layer.ffn.linear_1, tensors, f"{name}.mlp.2")


def _token_names(tokenizer: Path, size: int) -> list[str]:
    from tokenizers import Tokenizer

    opened = Tokenizer.from_file(str(tokenizer))
    return [str(opened.id_to_token(i)) for i in range(size)]


def _token_bytes(tokenizer: Path) -> Iterator[bytes]:
    """The base vocabulary as bytes: GPT-2 writes each byte as a printable letter."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    letters = {chr(b): b for b in printable} | {chr(256 + n): b for n, b in enumerate(rest)}
    vocabulary = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    for token in sorted(vocabulary, key=lambda t: int(vocabulary[t])):
        yield bytes(letters[letter] for letter in token)


def write_ggml(file: BinaryIO, shape: dict[str, int], tensors: Tensors, tokenizer: Path) -> None:
    """A file that whisper.cpp loads: header, mel filters, vocabulary, tensors; matrices in half precision."""
    from faster_whisper.feature_extractor import FeatureExtractor

    def integers(*values: int) -> None:
        file.write(struct.pack(f"<{len(values)}i", *values))

    state, heads = shape["state"], shape["heads"]
    integers(GGML_MAGIC, shape["vocabulary"], shape["audio_context"], state, heads, shape["audio_layers"])
    integers(shape["text_context"], state, heads, shape["text_layers"], shape["mels"], 1)
    filters = np.asarray(FeatureExtractor.get_mel_filters(16_000, 400, shape["mels"]), np.float32)
    integers(*filters.shape)
    file.write(filters.tobytes())
    base = list(_token_bytes(tokenizer))
    integers(len(base))
    for token in base:
        integers(len(token))
        file.write(token)
    for name, tensor in tensors.items():
        value = tensor.reshape(-1, 1) if name in {"encoder.conv1.bias", "encoder.conv2.bias"} else tensor
        half = tensor.ndim >= 2 and "positional" not in name
        encoded = name.encode()
        integers(value.ndim, len(encoded), int(half), *reversed(value.shape))
        file.write(encoded)
        file.write(np.ascontiguousarray(value, np.float16 if half else np.float32).tobytes())
