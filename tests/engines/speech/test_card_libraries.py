"""What faster-whisper needs of a card's libraries, as far as it shows without a card."""

from __future__ import annotations

import shutil
from pathlib import Path

import ctranslate2
import pytest

from appliance.engines.speech.faster_whisper import load_cublas


def test_cublas_of_the_python_package_is_loaded_where_no_linker_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another library stands for cuBLAS, which has half a gigabyte."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    any_library = next((Path(ctranslate2.__file__).parent.parent / "ctranslate2.libs").glob("libgomp*"))
    files = [folder / "libcublasLt.so.12", folder / "libcublas.so.12"]
    for file in files:
        shutil.copyfile(any_library, file)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_cublas() == files  # the second needs the first
    loaded = Path("/proc/self/maps").read_text(encoding="utf-8")
    assert all(str(file) in loaded for file in files)


def test_without_the_package_nothing_is_loaded() -> None:
    """CUDA's own packages may have laid the library where the linker looks."""
    assert load_cublas() == []
