"""Looking into ggml files of Whisper without loading them.

Layout, little endian, by whisper.cpp's src/whisper.cpp (MIT): magic; eleven int32 of dimensions; mel filters (two
int32, float32 values); vocabulary (count, then length and bytes each); tensors until the end (number of dimensions,
length of the name, type; the dimensions; the name; the values).
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from appliance.errors import EngineError

MAGIC = 0x67676D6C
DIMENSIONS = 11
LONGEST_NAME = 256
LONGEST_TOKEN = 1024

BLOCKS = {
    0: (1, 4),  # f32
    1: (1, 2),  # f16
    2: (32, 18),  # q4_0
    3: (32, 20),  # q4_1
    6: (32, 22),  # q5_0
    7: (32, 24),  # q5_1
    8: (32, 34),  # q8_0
    10: (256, 84),  # q2_K
    11: (256, 110),  # q3_K
    12: (256, 144),  # q4_K
    13: (256, 176),  # q5_K
    14: (256, 210),  # q6_K
}
"""Type of a tensor: values in a block, and the block's bytes (ggml.h)."""


@dataclass(frozen=True, slots=True)
class GgmlFacts:
    """What a file's header says."""

    vocabulary: int
    mels: int
    audio_layers: int
    text_layers: int


def _truncated(file: Path) -> EngineError:
    return EngineError("weights_truncated", f"{file} ends too early: copy or download it again")


def _not_a_model(file: Path, why: str) -> EngineError:
    return EngineError("weights_not_a_model", f"{file} is no Whisper model in ggml format: {why}")


def _read(opened: BinaryIO, file: Path, layout: str) -> tuple[int, ...]:
    wanted = struct.calcsize(layout)
    found = opened.read(wanted)
    if len(found) < wanted:
        raise _truncated(file)
    return struct.unpack(layout, found)


def _skip_to_vocabulary(opened: BinaryIO, file: Path) -> tuple[int, ...]:
    (magic,) = _read(opened, file, "<I")
    if magic != MAGIC:
        raise _not_a_model(file, "it does not begin as one")
    dimensions = _read(opened, file, f"<{DIMENSIONS}i")
    if not all(0 < value < 1_000_000 for value in dimensions[:10]):
        raise _not_a_model(file, "its dimensions make no sense")
    mels, width = _read(opened, file, "<2i")
    if mels != dimensions[9] or not 0 < width < 100_000:
        raise _not_a_model(file, "its mel filters make no sense")
    opened.seek(4 * mels * width, 1)
    return dimensions


def read_vocabulary(file: Path) -> list[bytes]:
    """The base vocabulary: the bytes of each text token by its id. Raises EngineError."""
    with file.open("rb") as opened:
        dimensions = _skip_to_vocabulary(opened, file)
        (count,) = _read(opened, file, "<i")
        if not 0 < count <= dimensions[0]:
            raise _not_a_model(file, "its vocabulary makes no sense")
        tokens = []
        for _ in range(count):
            (length,) = _read(opened, file, "<i")
            if not 0 <= length <= LONGEST_TOKEN:
                raise _not_a_model(file, "its vocabulary makes no sense")
            tokens.append(opened.read(length))
        return tokens


def inspect(file: Path) -> GgmlFacts:
    """Walk through a whole file: it must end exactly where its last tensor does. Raises EngineError."""
    size = file.stat().st_size
    read_vocabulary(file)
    with file.open("rb") as opened:
        dimensions = _skip_to_vocabulary(opened, file)
        (count,) = _read(opened, file, "<i")
        for _ in range(count):
            opened.seek(_read(opened, file, "<i")[0], 1)
        tensors = 0
        while opened.tell() < size:
            _skip_tensor(opened, file)
            tensors += 1
            if opened.tell() > size:
                raise _truncated(file)
    audio_layers, text_layers = dimensions[4], dimensions[8]
    # Per block 15 tensors in the encoder and 24 in the decoder, and those outside of blocks.
    if tensors < 15 * audio_layers + 24 * text_layers + 11:
        raise _truncated(file)
    return GgmlFacts(dimensions[0], dimensions[9], audio_layers, text_layers)


def _skip_tensor(opened: BinaryIO, file: Path) -> None:
    rank, name_length, kind = _read(opened, file, "<3i")
    if not 1 <= rank <= 4 or not 0 < name_length <= LONGEST_NAME or kind not in BLOCKS:
        raise _not_a_model(file, "one of its tensors makes no sense")
    shape = _read(opened, file, f"<{rank}i")
    if not all(0 < length < 10_000_000 for length in shape):
        raise _not_a_model(file, "one of its tensors makes no sense")
    opened.seek(name_length, 1)
    values, block_bytes = BLOCKS[kind]
    opened.seek(math.prod(shape) // values * block_bytes, 1)
