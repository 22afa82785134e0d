"""Weights that cannot be used give a sentence, never a crash."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.engines.speech import weights
from appliance.errors import EngineError


def _cut(source: Path, target: Path, share: float) -> Path:
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


@pytest.mark.parametrize("share", [0.00001, 0.001, 0.02, 0.5, 0.99, 0.999999])
def test_a_truncated_ggml_file_is_named_as_such(demo_weights: Path, tmp_path: Path, share: float) -> None:
    with pytest.raises(EngineError) as caught:
        weights.inspect(_cut(demo_weights / "ggml-demo.bin", tmp_path / "ggml-cut.bin", share))
    assert caught.value.code == "weights_truncated"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "weights_truncated"),
        (b"hello world" * 100, "weights_not_a_model"),
        (b"PK\x03\x04" * 1000, "weights_not_a_model"),
        (struct.pack("<I11i", 0x67676D6C, *[-1] * 11) + bytes(100), "weights_not_a_model"),
        (struct.pack("<I11i", 0x67676D6C, *[2**30] * 11) + bytes(100), "weights_not_a_model"),
    ],
)
def test_what_is_no_ggml_file_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    file = tmp_path / "ggml-x.bin"
    file.write_bytes(content)
    with pytest.raises(EngineError) as caught:
        weights.inspect(file)
    assert caught.value.code == code


def test_missing_weights_and_incomplete_folders_are_refused(demo_weights: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        weights.inspect(tmp_path / "nothing")
    assert caught.value.code == "weights_missing"
    with pytest.raises(EngineError, match=r"model\.bin"):
        weights.inspect(tmp_path)
    shutil.copytree(demo_weights / "ct2", tmp_path / "ct2")
    (tmp_path / "ct2" / "model.bin").write_bytes(b"")
    with pytest.raises(EngineError) as caught:
        weights.inspect(tmp_path / "ct2")
    assert caught.value.code == "weights_truncated"


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_truncated_folder_is_found_by_loading_it_elsewhere(demo_weights: Path, tmp_path: Path, share: float) -> None:
    folder = tmp_path / "ct2"
    shutil.copytree(demo_weights / "ct2", folder)
    _cut(demo_weights / "ct2" / "model.bin", folder / "model.bin", share)
    with pytest.raises(EngineError) as caught:
        weights.open_engine(folder, threads=1)
    assert caught.value.code == "weights_not_a_model"


def _corrupt(demo_weights: Path, target: Path) -> Path:
    """A file whose structure is right but whose first tensor has another tensor's name: whisper.cpp asserts or dies."""
    content = bytearray((demo_weights / "ggml-demo.bin").read_bytes())
    name = b"encoder.conv1.weight"
    at = content.index(name)
    content[at : at + len(name)] = b"encoder.conv9.weight"
    target.write_bytes(content)
    return target


def test_a_file_that_would_crash_the_worker_does_not(demo_weights: Path, tmp_path: Path) -> None:
    """Loaded naively it ends the process; opened by us it is an error with a sentence."""
    file = _corrupt(demo_weights, tmp_path / "ggml-corrupt.bin")
    naive = (
        "import sys, numpy as np; from pywhispercpp.model import Model; "
        "m = Model(sys.argv[1], redirect_whispercpp_logs_to=None); m.transcribe(np.zeros(32000, np.float32))"
    )
    crashed = subprocess.run([sys.executable, "-c", naive, str(file)], capture_output=True, check=False)
    assert crashed.returncode != 0
    weights.inspect(file)
    with pytest.raises(EngineError) as caught:
        weights.open_engine(file, threads=1)
    assert caught.value.code == "weights_not_a_model"
