"""What faster-whisper needs of a card's libraries, as far as it shows without a card."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ctranslate2
import pytest

LOADED = """
import json
from pathlib import Path
from appliance.engines.speech.faster_whisper import load_cublas
files = [str(file) for file in load_cublas()]
print(json.dumps([files, Path("/proc/self/maps").read_text()]))
"""


def loaded(*path: Path) -> Any:
    """The libraries that were found, and what a process has in its memory then: one of its own, for they stay."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_cublas_of_the_python_package_is_loaded_where_no_linker_looks(tmp_path: Path) -> None:
    """Another library stands for cuBLAS, which has half a gigabyte."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    folder.mkdir(parents=True)
    any_library = next((Path(ctranslate2.__file__).parent.parent / "ctranslate2.libs").glob("libgomp*"))
    files = [folder / "libcublasLt.so.12", folder / "libcublas.so.12"]
    for file in files:
        shutil.copyfile(any_library, file)
    found, memory = loaded(tmp_path)
    assert found == [str(file) for file in files]  # the second needs the first
    assert all(str(file) in memory for file in files)


@pytest.mark.skipif(importlib.util.find_spec("nvidia") is not None, reason="packages of a card's libraries are here")
def test_without_the_package_nothing_is_loaded() -> None:
    """CUDA's own packages may have laid the library where the linker looks."""
    assert loaded()[0] == []
