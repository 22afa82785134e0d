"""Profiles side by side on labelled calls, by the command that operators run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from appliance.engines.language.builtin import BuiltinAnalyst
from appliance.engines.language.prompts import prompts
from appliance.errors import EngineError
from appliance.evaluation.analysis import evaluate
from appliance.evaluation.dialogues import load_dialogues
from tests.evaluation.test_transcripts import Outside
from tests.evaluation.test_transcripts import evaluate as command
from tests.llm.scripted import Handler, Scripted, Step, serving, status, transcript_of, well

CAR = "Здравствуйте, хочу купить Весту."
BOOKED = "Записал вас на тест-драйв в субботу."
ANGRY = "Это безобразие, мне никто не перезвонил."
OIL = "I need an oil change on Friday."

CALLS: dict[str, dict[str, Any]] = {
    "sale": {
        "language": "ru",
        "turns": [("A", CAR), ("B", BOOKED)],
        "labels": {
            "sentiment": "neutral",
            "intents": ["buy_car", "test_drive"],
            "topics": ["покупка автомобиля"],
            "action_items": ["тест-драйв суббота", "Подготовить договор"],
            "outcome": "test_drive",
        },
    },
    "complaint": {
        "language": "ru",
        "turns": [("A", ANGRY), ("B", "Перезвоню вам сегодня.")],
        "labels": {"sentiment": "negative", "intents": ["complaint"], "action_items": [], "outcome": "callback"},
    },
    "service": {"language": "en", "turns": [("A", OIL)], "labels": {"sentiment": "positive"}},
    "broken": {"language": "ru", "turns": [("A", "Алло, вы меня слышите?")], "labels": {"sentiment": "neutral"}},
}


def answers(handler: Handler, body: dict[str, Any]) -> None:
    """What a model would say to each of the calls; the last one it cannot be asked."""
    said = " ".join(line[2] for line in transcript_of(body))
    sold = {"segment": "0", "quote": "куплю завтра за наличные"}
    task = {"text": "Провести тест-драйв в субботу", "who": "manager", "due": "в субботу"}
    booked = {"segment": "1", "quote": "Записал вас на тест-драйв"}
    steps: dict[str, Step] = {
        CAR: well(
            sentiment="neutral",
            sentiment_score=0.0,
            intents=["buy_car", "credit"],
            topics=["покупка автомобиля"],
            tasks=[{**task, **booked}, {**task, "text": "Помыть машину", **booked}],
            outcome={"kind": "test_drive", "when": "в субботу", "reason": None, **booked},
        ),
        ANGRY: well(
            sentiment="negative",
            sentiment_score=-0.8,
            intents=["complaint"],
            tasks=[],
            outcome={"kind": "sold", "when": None, "reason": None, **sold},
        ),
        OIL: well(sentiment="positive", sentiment_score=0.8, tasks=[], language="en"),
    }
    next((step for text, step in steps.items() if text in said), status(400))(handler, body)


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "calls"
    folder.mkdir()
    for name, call in CALLS.items():
        turns = [{"speaker": speaker, "text": text} for speaker, text in call["turns"]]
        entry = {"id": name, "split": "ours", **call, "turns": turns}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"dialogues": [entry]}), encoding="utf-8")
    return folder


@pytest.fixture
def model() -> Iterator[Scripted]:
    with serving() as script:
        script.otherwise = answers
        yield script


def test_profiles_side_by_side(calls: Path, tmp_path: Path, model: Scripted) -> None:
    report = tmp_path / "report"
    asked = ("--set", str(calls), "--profiles", "builtin,local", "--report", str(report), "--parallel", "2")
    done = command(tmp_path, "analysis", *asked, LOCAL_LLM_URL=model.url)
    assert done.returncode == 0, done.stderr
    figures = json.loads((report / "figures.json").read_text(encoding="utf-8"))
    builtin, local = figures["runs"]
    assert (builtin["profile"], local["profile"], local["model"]) == ("builtin", "local", "scripted-1")
    [found] = local["groups"]
    assert (found["group"], found["dialogues"]) == ("ours", 4)
    assert (found["valid"], found["failures"]) == (0.75, {"llm_rejected": 1})
    assert found["sentiment_accuracy"] == found["sentiment_f1"] == 1
    assert found["correlation"] == pytest.approx(1, abs=0.02)
    assert found["intents"] == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
    }
    assert found["topics"]["f1"] == 1
    assert found["outcome_accuracy"] == 0.5, "one was not said in the call and was dropped"
    assert found["outcome_f1"] == pytest.approx(1 / 3), "a test drive right, a call back missed, none instead"
    assert found["tasks"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert (found["answers"]["claims"], found["answers"]["proven"]) == (5, 0.8)
    assert (found["answers"]["in_language"], found["answers"]["summaries_within_limit"]) == (1, 1)
    assert (found["effort"]["requests"], found["effort"]["prompt_tokens"]) == (3, 3000)
    assert 0 < found["effort"]["latency_p50_s"] <= found["effort"]["latency_p95_s"]
    [pair] = figures["pairs"]
    assert (pair["one"], pair["other"], pair["dialogues"]) == ("builtin", "local", 3)
    assert len(local["calls"]) == 4
    assert {call["id"] for call in local["calls"] if call["record"] is None} == {"broken"}
    page = (report / "report.html").read_text(encoding="utf-8")
    parser = Outside()
    parser.feed(page)
    assert parser.found == ()
    assert page.count("<svg") == 2
    text = (report / "report.md").read_text(encoding="utf-8")
    assert "| ours | local (scripted-1) | 4 |" in text
    assert "failed: llm_rejected" in text
    assert "Agreement of profiles" in done.stdout


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "nowhere"], "no dialogues (*.yaml) in nowhere"),
        (["--profiles", "builtin,openai"], "DATA_RESIDENCY=local-only"),
        (["--profiles", "nobody"], "nobody"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(calls: Path, tmp_path: Path, options: list[str], reason: str) -> None:
    done = command(tmp_path, "analysis", "--set", str(calls), *options, OPENAI_API_KEY="k")
    assert done.returncode == 1
    assert reason in done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("dialogues: [", "cannot be read"),
        ("dialogues: [{id: a, language: ru, turns: []}]", "dialogues.0.turns"),
        ("dialogues: [{id: a, language: ru, turns: [{speaker: C, text: x}]}]", "speaker"),
        ("dialogues: [{id: a, language: ru, turns: [{speaker: A, text: x}], labels: {outcome: won}}]", "outcome"),
        ("dialogues: [&d {id: a, language: ru, turns: [{speaker: A, text: x}]}, *d]", "twice"),
    ],
)
def test_a_faulty_set_is_refused_with_the_place(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "calls.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(EngineError, match=reason):
        load_dialogues(tmp_path)


def test_a_third_of_the_shipped_dialogues_is_held_out_and_labelled_whole() -> None:
    """Of every kind of call and in both languages, by the codes and topics that analysts are given."""
    shipped = load_dialogues()
    held = [dialogue for dialogue in shipped if dialogue.split.startswith("heldout")]
    assert {dialogue.split for dialogue in shipped} == {"tune", "heldout", "heldout2", "heldout3"}
    assert len(held) >= len(shipped) / 3
    for dialogue in held:
        parts = (dialogue.sentiment, dialogue.intents, dialogue.topics, dialogue.tasks, dialogue.outcome)
        assert None not in parts, dialogue.id
    for dialogue in shipped:
        assert (dialogue.intents or frozenset()) <= set(prompts().intents), dialogue.id
        assert (dialogue.topics or frozenset()) <= {*prompts().topics["ru"], "ошибочный звонок"}, dialogue.id
    for split in ("heldout2", "heldout3"):
        fresh = [dialogue for dialogue in held if dialogue.split == split]
        kinds = {intent for dialogue in fresh for intent in dialogue.intents or ()}
        assert {"buy_car", "service_booking", "complaint", "credit", "wrong_number", "callback_request"} <= kinds
        languages = [dialogue.conversation.language for dialogue in fresh]
        assert (languages.count("ru"), languages.count("en")) == (40, 20)


def test_what_is_not_labelled_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "calls.yaml").write_text(
        "dialogues: [{id: a, language: ru, turns: [{speaker: A, text: Хочу купить машину}]}]", encoding="utf-8"
    )
    [found] = evaluate(BuiltinAnalyst(), load_dialogues(tmp_path)).groups
    assert (found.group, found.valid) == ("all", 1)
    labelled = (found.sentiment_accuracy, found.sentiment_f1, found.correlation, found.intents, found.topics)
    assert {*labelled, found.outcome_accuracy, found.outcome_f1, found.tasks} == {None}
