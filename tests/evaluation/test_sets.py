"""Sets are read in all their forms; what is broken is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.errors import EngineError
from appliance.evaluation.sets import read_set

TURNS = [
    {"start_ms": 1000, "end_ms": 2000, "speaker": "B", "text": "Добрый день"},
    {"start_ms": 0, "end_ms": 900, "speaker": "A", "text": "Алло"},
]


def put(folder: Path, name: str, content: object) -> None:
    (folder / "call.wav").touch()
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text, encoding="utf-8")


def test_json_has_words_and_roles(tmp_path: Path) -> None:
    put(tmp_path, "call.json", {"language": "ru", "segments": TURNS})
    (found,) = read_set(tmp_path)
    assert found.text == "Алло Добрый день"
    assert found.turns == [(0, 900, "A"), (1000, 2000, "B")]
    assert found.has_roles


def test_what_nobody_has_checked_is_not_measured(tmp_path: Path) -> None:
    put(tmp_path, "call.json", {"segments": TURNS, "checked": {"text": False}})
    (found,) = read_set(tmp_path)
    assert found.text is None
    assert found.has_roles
    put(tmp_path, "call.json", {"segments": TURNS, "checked": {"speakers": False}})
    assert read_set(tmp_path)[0].turns == []


def test_stm_has_words_without_roles(tmp_path: Path) -> None:
    put(tmp_path, "call.stm", ";; comment\ncall 1 anna 0.50 2.00 <o,f0> good morning\ncall 1 bob 2.1 3.0 hello\n")
    (found,) = read_set(tmp_path)
    assert found.text == "good morning hello"
    assert found.turns == [(500, 2000, "anna"), (2100, 3000, "bob")]
    assert not found.has_roles


def test_rttm_says_who_speaks_when_and_no_words(tmp_path: Path) -> None:
    put(tmp_path, "call.rttm", "SPEAKER call 1 0.25 1.50 <NA> <NA> spk1 <NA> <NA>\n")
    (found,) = read_set(tmp_path)
    assert found.text is None
    assert found.turns == [(250, 1750, "spk1")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("call.json", "{"),
        ("call.json", {"segments": [{"start_ms": 5, "end_ms": 1, "speaker": "A"}]}),
        ("call.json", {"segmnets": []}),
        ("call.stm", "call 1 anna zero 2.00 words"),
        ("call.rttm", "SPEAKER call 1 0.25"),
    ],
)
def test_a_broken_reference_is_named(tmp_path: Path, name: str, content: object) -> None:
    put(tmp_path, name, content)
    with pytest.raises(EngineError, match=name):
        read_set(tmp_path)


def test_an_empty_or_missing_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="has no recording"):
        read_set(tmp_path)
    with pytest.raises(EngineError, match="no folder"):
        read_set(tmp_path / "nowhere")
