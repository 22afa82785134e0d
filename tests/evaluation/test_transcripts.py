"""Whole transcripts measured on sample calls, by the command that operators run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from appliance.engines.diarization.attribution import SpeakerSegment
from appliance.evaluation.report import Bars, svg
from appliance.evaluation.transcripts import FileScore, role_right, total
from tests.conftest import SAMPLES

DIALOGUES = yaml.safe_load((SAMPLES / "dialogues.yaml").read_text(encoding="utf-8"))
TIMINGS = yaml.safe_load((SAMPLES / "timings.yaml").read_text(encoding="utf-8"))


def evaluate(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "evaluate", *arguments]
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(home), "LANG": "C.UTF-8", **settings}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    """Two sample calls, stereo and mono, with what is said in them, and a file that is no recording."""
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("ru-complaint", "en-test-drive"):
        told = DIALOGUES[name]
        shutil.copy(SAMPLES / f"{name}.{told['sound']['file']}", folder)
        segments = [
            {"start_ms": start, "end_ms": end, "speaker": speaker, "text": text}
            for (speaker, text), (start, end) in zip(told["lines"], TIMINGS[name], strict=True)
        ]
        reference = {"language": told["language"], "direction": told["direction"], "segments": segments}
        reference["group"] = f"{told['language']} calls"
        (folder / f"{name}.json").write_text(json.dumps(reference), encoding="utf-8")
    (folder / "broken.wav").write_text("no sound")
    (folder / "broken.json").write_text('{"text": "слово", "group": "ru calls"}')
    return folder


class Outside(HTMLParser):
    """Collects what a page would fetch."""

    found: tuple[str, ...] = ()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "img"} or any(name in {"src", "href"} for name, _ in attributes):
            self.found += (tag,)


def test_both_engines_side_by_side(calls: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    done = evaluate(tmp_path, "speech", "--set", str(calls), "--report", str(report))
    assert done.returncode == 0, done.stderr
    systems = json.loads((report / "figures.json").read_text(encoding="utf-8"))
    assert [system["system"] for system in systems] == ["faster-whisper, demo", "whisper.cpp, demo"]
    for system in systems:
        english, russian, everything = system["groups"]
        assert (english["group"], russian["group"], everything["group"]) == ("en calls", "ru calls", "all")
        assert (russian["files"], russian["failed"], everything["files"]) == (2, 1, 3)
        assert 0 <= everything["word_error_rate"] < 0.1
        assert 0 < everything["der_collar"] < everything["der"] < 0.35
        assert everything["role_accuracy"] == everything["language_accuracy"] == 1
        (broken,) = (file for file in system["files"] if file["failure"])
        assert broken["name"] == "broken"
    page = (report / "report.html").read_text(encoding="utf-8")
    parser = Outside()
    parser.feed(page)
    assert parser.found == ()
    assert page.count("<svg") == 3
    assert "| ru calls | whisper.cpp, demo | 2 | 1 |" in (report / "report.md").read_text(encoding="utf-8")
    assert "faster-whisper, demo" in done.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "nowhere"], "no folder nowhere"),
        (["--weights", "/nowhere.bin"], "no weights at /nowhere.bin"),
        (["--engine", "siri"], "no engine is called siri"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(calls: Path, tmp_path: Path, options: list[str], reason: str) -> None:
    done = evaluate(tmp_path, "speech", "--set", str(calls), *options)
    assert done.returncode == 1
    assert reason in done.stderr.strip().splitlines()[-1]


def segment(start_ms: int, end_ms: int, speaker: int) -> SpeakerSegment:
    return SpeakerSegment(start_ms, end_ms, speaker, "", 1.0, "ru", ())


def test_two_people_taken_for_one_are_no_right_roles() -> None:
    turns = [(0, 2000, "B"), (2000, 3000, "A")]
    assert role_right(turns, [segment(0, 2000, 0), segment(2000, 3000, 1)], 0)
    assert not role_right(turns, [segment(0, 2000, 0), segment(2000, 3000, 1)], 1)
    assert not role_right(turns, [segment(0, 3000, 0)], 0)


def test_totals_weigh_words_and_forget_what_is_not_known() -> None:
    long = FileScore("long", "", 60, 6, words=90, word_errors=9, characters=400, character_errors=20, role_right=True)
    short = FileScore("short", "", 20, 2, words=10, word_errors=6, characters=50, character_errors=25)
    lost = FileScore("lost", "", 0, 0, failure="no sound")
    found = total("x", [long, short, lost])
    assert (found.files, found.failed, found.words) == (3, 1, 100)
    assert found.word_error_rate == 0.15
    assert found.character_error_rate == 0.1
    assert (found.role_accuracy, found.language_accuracy, found.der) == (1.0, None, None)
    assert found.real_time_factor == 0.1


def test_a_plot_leaves_out_what_is_not_known() -> None:
    drawn = svg(Bars("x", ["a <b>", "c"], [("one", [0.5, None])]))
    assert drawn.count("%</text>") == 1
    assert "a &lt;b&gt;" in drawn
