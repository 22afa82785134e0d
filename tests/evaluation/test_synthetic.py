"""Invented calls are the same at every run, and what is missing for them is named."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path

import pytest

from appliance.errors import EngineError
from appliance.evaluation.sets import read_set
from appliance.evaluation.synthetic import make


def test_calls_are_spoken_with_references(tmp_path: Path) -> None:
    if not shutil.which("espeak-ng"):
        pytest.skip("NO ESPEAK-NG: calls cannot be spoken here")
    for name in ("one", "two"):
        assert len(list(make(2, tmp_path / name, ["mono-clean", "stereo-noise"]))) == 4
    found = read_set(tmp_path / "one")
    groups = ["en mono clean", "en stereo noise", "ru mono clean", "ru stereo noise"]
    assert [recording.reference.group for recording in found] == groups
    for recording in found:
        assert recording.has_roles
        assert {speaker for _, _, speaker in recording.turns} == {"A", "B"}
        with wave.open(str(recording.audio)) as file:
            assert file.getnchannels() == (2 if "stereo" in recording.name else 1)
            assert recording.turns[-1][1] <= file.getnframes() * 1000 / file.getframerate()
        again = tmp_path / "two" / recording.audio.name
        assert again.read_bytes() == recording.audio.read_bytes()
    assert found[0].text == found[1].text


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no variant is called quad-clean"):
        list(make(1, tmp_path, ["quad-clean"]))


def test_a_missing_voice_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="apt-get install espeak-ng"):
        list(make(1, tmp_path))
