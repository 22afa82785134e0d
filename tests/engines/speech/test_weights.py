"""Weights that cannot be used give a sentence, never a crash."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.engines.speech import ggml, weights
from appliance.errors import EngineError


def _cut(source: Path, target: Path, share: float) -> Path:
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target


def test_weights_are_told_of_names_where_their_folder_says_that_it_helps(demo_weights: Path, tmp_path: Path) -> None:
    """The demo weights never, whisper.cpp neither."""
    others = shutil.copytree(demo_weights / "ct2", tmp_path / "whisper-tiny")
    for known in (others, demo_weights / "ct2", demo_weights / "ggml-demo.bin"):
        assert not weights.inspect(known).takes_hot_words
    (others / "appliance.json").write_text('{"hot_words": true}')
    assert weights.inspect(others).takes_hot_words
    (others / "appliance.json").write_text('{"hot_words": false}')
    assert not weights.inspect(others).takes_hot_words
    (others / "appliance.json").write_text('{"hot_words": "no"}')
    with pytest.raises(EngineError, match="hot_words") as caught:
        weights.inspect(others)
    assert caught.value.code == "weights_not_a_model"


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


@pytest.mark.parametrize("share", [0.0000001, 0.1, 0.9, 0.999999])
def test_a_truncated_folder_is_named_as_such(demo_weights: Path, tmp_path: Path, share: float) -> None:
    folder = tmp_path / "ct2"
    shutil.copytree(demo_weights / "ct2", folder)
    _cut(demo_weights / "ct2" / "model.bin", folder / "model.bin", share)
    with pytest.raises(EngineError) as caught:
        weights.inspect(folder)
    assert caught.value.code == "weights_truncated"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "vocabulary.json", "model.bin"])
@pytest.mark.parametrize("content", [b"<html>please log in</html>", b"\x1f\x8b\x08compressed"])
def test_a_folder_with_something_else_in_it_is_refused(
    demo_weights: Path, tmp_path: Path, name: str, content: bytes
) -> None:
    shutil.copytree(demo_weights / "ct2", tmp_path / "ct2")
    (tmp_path / "ct2" / name).write_bytes(content)
    with pytest.raises(EngineError, match=name) as caught:
        weights.inspect(tmp_path / "ct2")
    assert caught.value.code == "weights_not_a_model"


def test_what_cannot_be_read_is_an_error_with_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 300)
    with pytest.raises(EngineError) as caught:
        weights.inspect(folder)
    assert caught.value.code == "weights_unreadable"


def test_a_file_without_its_last_tensors_is_truncated(demo_weights: Path, tmp_path: Path) -> None:
    """Cut exactly between two tensors: nothing but their number gives it away."""
    source = demo_weights / "ggml-demo.bin"
    content, starts = source.read_bytes(), []
    with source.open("rb") as opened:
        ggml._skip_to_vocabulary(opened, source)
        for _ in range(ggml._read(opened, source, "<i")[0]):
            opened.seek(ggml._read(opened, source, "<i")[0], 1)
        while opened.tell() < len(content):
            starts.append(opened.tell())
            ggml._skip_tensor(opened, source)
    for start in starts[-3:]:
        (tmp_path / "ggml-cut.bin").write_bytes(content[:start])
        with pytest.raises(EngineError) as caught:
            weights.inspect(tmp_path / "ggml-cut.bin")
        assert caught.value.code == "weights_truncated"


def test_facts_of_sound_weights(demo_weights: Path) -> None:
    for path, kind in ((demo_weights / "ct2", "folder"), (demo_weights / "ggml-demo.bin", "ggml")):
        assert weights.inspect(path) == weights.Weights(path, kind, "demo", multilingual=True, demo=True)


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
