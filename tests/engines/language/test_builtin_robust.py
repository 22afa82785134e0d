"""The builtin analyst's limits, its feelings about words, and texts that nobody foresaw."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from appliance.engines.language import Analysis, Conversation, Utterance
from appliance.engines.language.builtin import BuiltinAnalyst, language_of
from appliance.engines.language.builtin.lemmas import read, words_of
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.builtin.patterns import Patterns
from appliance.engines.language.builtin.times import When, when_of
from appliance.engines.language.limits import SUMMARY_WORDS, label_of
from appliance.evaluation.analysis import evaluate
from appliance.evaluation.dialogues import load_dialogues

ANALYST = BuiltinAnalyst()
WORDS = st.sampled_from(
    (
        "не",
        "никто",
        "перезвоню",
        "завтра",
        "в два часа",
        "кредит",
        "хочу отменить",
        "ужасно",
        "ё",
        "😀",
        "—",
        "123",
        ",,,",
        "你好",
    )
) | st.sampled_from(("not", "happy", "call", "me", "back", "tomorrow", "test-drive", "¿", "...", "سلام"))


def conversation(*said: tuple[str, str], language: str = "ru") -> Conversation:
    utterances = tuple(Utterance(str(n), who, n, n + 1, text) for n, (who, text) in enumerate(said))  # type: ignore[arg-type]
    return Conversation(utterances, language, "outgoing")


def analyse(*said: tuple[str, str], language: str = "ru") -> Analysis:
    return ANALYST.analyse(conversation(*said, language=language)).analysis


def score(text: str, speaker: str = "A") -> float:
    return analyse((speaker, text)).sentiment_score


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [
        ("Я очень доволен.", "Я доволен."),
        ("Мне понравилось.", "Мне не понравилось."),
        ("Ужасный сервис!", "Не ужасный сервис."),
        ("I am very happy with it, excellent service.", "I am not happy with it."),
    ],
)
def test_negation_and_intensity(stronger: str, weaker: str) -> None:
    assert abs(score(stronger)) > abs(score(weaker)) or score(stronger) * score(weaker) < 0


def test_a_no_of_its_own_negates_nothing_behind_the_comma() -> None:
    assert score("Нет, всё отлично, я очень доволен.") > 0.3


def test_politeness_is_no_feeling() -> None:
    assert analyse(("A", "Здравствуйте, спасибо, пожалуйста, до свидания.")).sentiment == "neutral"
    assert analyse(("B", "Thank you for calling, have a nice day.")).sentiment == "neutral"


def test_the_clients_words_weigh_more_and_the_end_more_than_the_beginning() -> None:
    assert abs(score("Это ужасно, кошмар.")) > abs(score("Это ужасно, кошмар.", "B"))
    good, bad, filler = "Очень доволен, рад.", "Очень недоволен.", [("B", "Понятно.")] * 6
    improving = analyse(("A", bad), *filler, ("A", good)).sentiment_score
    assert improving > analyse(("A", good), *filler, ("A", bad)).sentiment_score


@pytest.mark.parametrize(
    ("text", "heard", "language"),
    [
        ("Хочу купить машину", "en", "ru"),
        ("I want a car", "ru", "en"),
        ("123", "en", "en"),
        ("", "kk", "ru"),
        ("Көлік сатып алғым келеді", "kk", "ru"),
        ("Ich möchte ein Auto", "de", "en"),
    ],
)
def test_the_script_corrects_the_ear(text: str, heard: str, language: str) -> None:
    assert language_of(conversation(("A", text), language=heard)) == language


@pytest.mark.parametrize(
    ("text", "language", "when"),
    [
        ("Записала вас на субботу на двенадцать.", "ru", "в субботу в двенадцать"),
        ("Вторник, десять часов?", "ru", "во вторник в десять часов"),
        ("Кредит на три года", "ru", ""),
        ("Подъеду завтра часов в пять", "ru", "завтра часов в пять"),
        ("Saturday at eleven is good.", "en", "on Saturday at eleven"),
        ("We have two cars", "en", ""),
    ],
)
def test_days_and_times(text: str, language: str, when: str) -> None:
    assert str(when_of(text, language)) == when


def test_another_day_takes_its_time_along() -> None:
    assert When("завтра", "утром").then(When("в среду")) == When("в среду")
    assert When("в среду").then(When("", "в два")) == When("в среду", "в два")
    assert When("в среду", "в два").as_object() == "на среду в два"


def test_patterns_keep_order_gap_and_form() -> None:
    def found(pattern: str, text: str) -> bool:
        return bool(Patterns({"x": [pattern]}, "ru").hits(words_of(text, "ru")[0]))

    assert found("хотеть купить", "хочу сегодня срочно купить")
    assert not found("хотеть купить", "хочу вот прямо сегодня купить")
    assert not found("хотеть купить", "купить хочу")
    assert not found("хотеть +купить", "хочу сегодня купить")
    assert found("перезвонить@1", "я перезвоню")
    assert not found("перезвонить@1", "вы перезвоните")
    assert found("скрип*", "скрипит")


def test_the_ontology_is_whole() -> None:
    labels = ontology().labels
    assert len(labels) >= 20
    assert all(set(label) == {"ru", "en"} for label in labels.values())


def test_ten_tasks_five_topics_and_as_many_intents_at_most() -> None:
    everything = [("AB"[n % 2], u.text) for d in load_dialogues() for n, u in enumerate(d.conversation.utterances)]
    found = analyse(*everything)
    assert len(found.action_items) <= 10
    assert len(found.topics) <= 5
    assert len(found.intents) <= 5
    assert len(found.summary.split()) <= SUMMARY_WORDS


def test_a_long_call_takes_linear_time() -> None:
    turns = [("A", "Хочу купить машину в кредит, мне не перезвонили."), ("B", "Я перезвоню вам завтра в два часа.")]
    analyse(*turns * 100)
    began = time.monotonic()
    found = analyse(*turns * 5000)
    assert time.monotonic() - began < 60
    assert found.action_items == ("Перезвонить клиенту завтра в два часа",)
    assert len(read(conversation(*turns * 5000).utterances, "ru")) == 10_000


@hypothesis_settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("AB"), st.lists(WORDS | st.text(max_size=12), max_size=30).map(" ".join)), max_size=10
    ),
    st.sampled_from(["ru", "en", "kk", "de", ""]),
)
def test_whatever_is_said_the_answer_keeps_its_contract(said: list[tuple[str, str]], language: str) -> None:
    found = analyse(*said, language=language)
    assert -1 <= found.sentiment_score <= 1
    assert found.sentiment == label_of(found.sentiment_score)
    assert found.language in {"ru", "en"}
    assert 0 < len(found.summary.split()) <= SUMMARY_WORDS
    assert len(found.topics) <= 5
    assert len(found.action_items) <= 10
    assert all("{" not in item for item in found.action_items)
    assert found == analyse(*said, language=language)


LEAST_INTENTS = {"heldout": 0.75, "heldout2": 0.75, "heldout3": 0.65}
"""Micro-F1 by split: a little below what docs/evaluation.md tells."""


def test_it_agrees_with_the_labelled_calls_tuned_on_or_not() -> None:
    tune, *held, _ = evaluate(ANALYST).groups
    assert (tune.group, *(split.group for split in held)) == ("tune", *LEAST_INTENTS)
    assert tune.sentiment_accuracy
    assert tune.intents
    assert tune.sentiment_accuracy >= 0.75
    assert tune.intents.f1 >= 0.7
    for split in held:  # docs/evaluation.md has their figures; a change of rules that loses much is seen here
        assert split.sentiment_accuracy
        assert split.intents
        assert split.sentiment_accuracy >= 0.75
        assert split.intents.f1 >= LEAST_INTENTS[split.group], "0.70 is the aim"
    for split in (tune, *held):
        assert split.valid == 1
        assert split.answers
        assert split.answers.summaries_within_limit == 1
