"""`appliance process`: any recording, without the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import SAMPLES


def process(file: Path, home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "process", str(file), *options]
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(home), "LANG": "C.UTF-8"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_recording_is_transcribed_and_analysed(tmp_path: Path) -> None:
    done = process(SAMPLES / "en-complaint.wav", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    call = json.loads(done.stdout)
    assert call["language"] == "en"
    assert call["aiAnalysis"]["sentiment"] == "negative"
    assert {segment["speaker"] for segment in call["transcript"]} == {"A", "B"}
    assert call["conversation"]["first_manager_word_ms"] < 5000
    assert "sample calls only" in call["transcript_notice"]
    assert not list((tmp_path / "scratch").iterdir())


def test_what_is_no_recording_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("no sound")
    done = process(tmp_path / "x.wav", tmp_path)
    assert done.returncode == 1
    assert (
        done.stderr.strip().splitlines()[-1]
        == "appliance: Unsupported audio format: a wav, mp3 or m4a recording is needed"
    )
