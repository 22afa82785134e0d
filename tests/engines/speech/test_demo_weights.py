"""The demo weights are written out once, whole, and anew when anything about them changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.engines.speech import demo_weights, weights
from appliance.engines.speech.demo_weights import FOLDER, GGML_FILE, materialise
from appliance.errors import EngineError
from tests.conftest import ROOT

SOURCE = ROOT / "weights" / "demo"


def _files(home: Path) -> dict[str, tuple[int, int]]:
    return {str(f.relative_to(home)): (f.stat().st_ino, f.stat().st_mtime_ns) for f in home.rglob("*") if f.is_file()}


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    materialise(SOURCE, tmp_path)
    before = _files(tmp_path)
    materialise(SOURCE, tmp_path)
    after = _files(tmp_path)
    assert {k: v for k, v in before.items() if k != ".lock"} == {k: v for k, v in after.items() if k != ".lock"}
    assert not [name for name in after if "part" in name]


@pytest.mark.parametrize("lost", [f"{FOLDER}/model.bin", GGML_FILE, "source.sha256"])
def test_what_was_lost_is_made_again(tmp_path: Path, lost: str) -> None:
    materialise(SOURCE, tmp_path)
    (tmp_path / lost).unlink()
    materialise(SOURCE, tmp_path)
    assert {weights.inspect(tmp_path / name).name for name in (FOLDER, GGML_FILE)} == {"demo"}


def test_a_release_that_writes_differently_writes_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    materialise(SOURCE, tmp_path)
    before = _files(tmp_path)[GGML_FILE]
    monkeypatch.setattr(demo_weights, "WRITTEN", demo_weights.WRITTEN + 1)
    materialise(SOURCE, tmp_path)
    assert _files(tmp_path)[GGML_FILE] != before


def test_processes_that_start_together_do_not_disturb_each_other(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from appliance.engines.speech.demo_weights import materialise; "
    code += "materialise(Path(sys.argv[1]), Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(SOURCE), str(tmp_path)]
    started = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in started] == [0] * 4
    weights.inspect(tmp_path / FOLDER)
    weights.inspect(tmp_path / GGML_FILE)


def test_an_interrupted_run_leaves_nothing_that_looks_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_weights, "write_ggml", die)
    with pytest.raises(KeyboardInterrupt):
        materialise(SOURCE, tmp_path)
    assert not list(tmp_path.glob("ct2*"))
    monkeypatch.undo()
    materialise(SOURCE, tmp_path)
    weights.inspect(tmp_path / FOLDER)


def test_a_compact_file_of_another_version_is_refused(tmp_path: Path) -> None:
    from safetensors import safe_open
    from safetensors.numpy import save_file

    shutil.copy(SOURCE / "tokenizer.json", tmp_path)
    with safe_open(SOURCE / "model.safetensors", framework="numpy") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
        metadata = {**opened.metadata(), "version": "2"}
    save_file(tensors, tmp_path / "model.safetensors", metadata)
    with pytest.raises(EngineError, match="another version"):
        materialise(tmp_path, tmp_path / "out")


def test_a_link_that_somebody_laid_leads_nowhere(tmp_path: Path) -> None:
    """Several users write into the folder: none of them may have another one empty a file elsewhere."""
    theirs, folder = tmp_path / "theirs", tmp_path / "weights"
    theirs.write_text("kept")
    folder.mkdir()
    (folder / ".lock").symlink_to(theirs)
    with pytest.raises(OSError, match="lock"):
        materialise(SOURCE, folder)
    assert theirs.read_text() == "kept"
