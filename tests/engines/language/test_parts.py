"""One answer of the answers to the parts of a long call."""

from __future__ import annotations

from typing import Any

import pytest

from appliance.engines.language.answer import Answer
from appliance.engines.language.limits import SUMMARY_WORDS, label_of
from appliance.engines.language.parts import LEAST_WORDS, in_brief, merge
from tests.llm.scripted import answer_to

ASKED: dict[str, Any] = {"messages": [], "response_format": {"json_schema": {"schema": {"required": []}}}}


def part(**changes: Any) -> Answer:
    return Answer.model_validate(answer_to(ASKED, **{"tasks": [], "outcome": outcome("information"), **changes}))


def outcome(kind: str, quote: str = "жду вас") -> dict[str, Any]:
    return {"kind": kind, "when": None, "reason": None, "segment": "1", "quote": quote}


def task(text: str, segment: str, quote: str) -> dict[str, Any]:
    return {"text": text, "who": "manager", "due": None, "segment": segment, "quote": quote}


def car(name: str, relation: str, segment: str) -> dict[str, Any]:
    return {"name": name, "relation": relation, "segment": segment, "quote": name}


@pytest.mark.parametrize(
    ("kinds", "result"),
    [
        (["appointment", "information"], "appointment"),
        (["appointment", "no_conversation", "information"], "appointment"),
        (["callback", "lost"], "lost"),
        (["information", "sold", "information"], "sold"),
        (["no_conversation", "information"], "information"),
    ],
)
def test_the_last_result_holds_where_nothing_came_of_the_rest(kinds: list[str], result: str) -> None:
    assert merge([part(outcome=outcome(kind)) for kind in kinds], "Итог.").outcome.kind == result


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([-0.9, 0.9], 0.3), ([0.9, -0.9], -0.3), ([0.6, 0.0, 0.0], 0.1), ([0.5, 0.5, 0.5], 0.5), ([-1.0, 0.5], 0.0)],
)
def test_later_parts_weigh_more_and_the_label_agrees_with_the_score(scores: list[float], expected: float) -> None:
    parts = [part(sentiment=label_of(score), sentiment_score=score) for score in scores]
    merged = merge(parts, "Итог.")
    assert merged.sentiment_score == pytest.approx(expected)
    assert merged.sentiment == label_of(merged.sentiment_score)


def test_what_the_overlap_shows_twice_is_one_task() -> None:
    first = part(tasks=[task("Перезвонить клиенту", "40", "Перезвоню вам завтра.")])
    second = part(
        tasks=[
            task("Позвонить завтра", "40", "перезвоню вам завтра"),
            task("Подготовить договор", "55", "договор подготовлю"),
            task("Перезвонить ещё раз", "60", "перезвоню вам завтра"),
        ]
    )
    assert [(one.segment, one.text) for one in merge([first, second], "Итог.").tasks] == [
        ("40", "Позвонить завтра"),
        ("55", "Подготовить договор"),
        ("60", "Перезвонить ещё раз"),
    ]


def test_a_car_is_named_once_for_what_it_is() -> None:
    first = part(cars=[car("Лада Веста", "wanted", "3"), car("Kia Rio", "owned", "5")])
    second = part(cars=[car("лада веста", "wanted", "70"), car("Kia Rio", "wanted", "71")])
    merged = merge([first, second], "Итог.")
    assert sorted((one.name.casefold(), one.relation) for one in merged.cars) == [
        ("kia rio", "owned"),
        ("kia rio", "wanted"),
        ("лада веста", "wanted"),
    ]


def test_the_rest_is_counted_or_the_latest() -> None:
    first = part(topics=["цена", "кредит"], language="ru", next_contact={"by": "client", "when": None, **proof("2")})
    second = part(topics=["кредит", "кредит"], language="ru", trade_in={"car": None, **proof("8")})
    third = part(
        topics=["кредит", "цена", "шины"], language="en", next_contact={"by": "manager", "when": None, **proof("9")}
    )
    merged = merge([first, second, third], "Итог.")
    assert merged.topics == ["кредит", "цена", "шины"]
    assert (merged.language, merged.summary) == ("ru", "Итог.")
    assert merged.next_contact
    assert merged.next_contact.by == "manager"
    assert merged.trade_in


def proof(segment: str) -> dict[str, str]:
    return {"segment": segment, "quote": "договорились"}


def test_in_brief_every_part_has_its_sentence() -> None:
    assert (
        in_brief(["Спросил про цену. Потом ещё.", "Записался\nна субботу!"])
        == "Спросил про цену. Записался на субботу!"
    )
    long = [f"Часть{n} " + "слово " * 200 + "." for n in range(3)]
    said = in_brief(long).split()
    assert [word for word in said if word.startswith("Часть")] == ["Часть0", "Часть1", "Часть2"]
    assert len(said) == SUMMARY_WORDS


def test_in_brief_of_very_many_parts_runs_from_the_first_to_the_last() -> None:
    said = in_brief([f"Часть{n} {'слово ' * 20}." for n in range(100)]).split()
    named = [int(word.removeprefix("Часть")) for word in said if word.startswith("Часть")]
    assert named[0] == 0
    assert named[-1] == 99
    assert named == sorted(set(named))
    assert len(named) == SUMMARY_WORDS // LEAST_WORDS
    assert len(said) == SUMMARY_WORDS
