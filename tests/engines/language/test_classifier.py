"""The classifier: what it was trained on, and what it adds to the rules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from appliance.engines.language import Utterance
from appliance.engines.language.builtin import BuiltinAnalyst, classifier, language_of
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.builtin.rules import Ruled, by_rules
from appliance.engines.language.claims import OutcomeKind
from appliance.engines.language.prompts import prompts
from appliance.evaluation.analysis import outcome_of
from appliance.evaluation.dialogues import Dialogue, load_dialogues

TRAINING = Path(classifier.WEIGHTS).parent / "training"
ANALYST = BuiltinAnalyst()


def ruled(call: Dialogue) -> Ruled:
    return by_rules(call.conversation.utterances, language_of(call.conversation))


def spoken(*lines: str, language: str = "ru") -> Ruled:
    """A call as lines "B: ..."."""
    said = (Utterance(str(n), line[0], n * 3000, n * 3000 + 2500, line[3:]) for n, line in enumerate(lines))  # type: ignore[arg-type]
    return by_rules(said, language)


def labels_of(call: Dialogue) -> set[str]:
    names = {label["ru"]: name for name, label in ontology().labels.items()}
    return {names[label] for label in call.topics or ()}


@pytest.fixture(scope="module")
def sample() -> Sequence[Dialogue]:
    calls = load_dialogues(TRAINING)
    return calls[:: max(1, len(calls) // 60)]


def test_the_weights_are_whole_and_know_every_intent_topic_and_outcome_but_a_sale() -> None:
    weights = classifier.weights()
    known = {*prompts().topics["ru"], "ошибочный звонок"}
    due = {
        "intent": set(prompts().intents),
        "topic": {name for name, label in ontology().labels.items() if label["ru"] in known},
        "outcome": {*get_args(OutcomeKind)} - {"sold"},
    }
    assert {*weights.codes} == {f"{kind} {name}" for kind, names in due.items() for name in names}
    assert weights.weights.shape == (len(weights.features), len(weights.codes))
    assert len(weights.idf) == len(weights.features)
    assert all(np.isfinite(part).all() for part in (weights.idf, weights.weights, weights.intercepts))


def test_the_weights_were_learnt_from_the_calls_beside_them(sample: Sequence[Dialogue]) -> None:
    """A change of features, lemmas or rules without training anew would show here."""
    assert {call.split for call in sample} == {"tune"}
    likely = {call.id: classifier.likelihoods(ruled(call)) for call in sample}
    intents = [
        max(found, key=lambda code: found[code]) in call.intents
        for call in sample
        if call.intents and (found := likely[call.id].intents)
    ]
    topics = [
        max(found, key=lambda name: found[name]) in due
        for call in sample
        if (due := labels_of(call)) and (found := likely[call.id].topics)
    ]
    outcomes = [
        max(found, key=lambda kind: found[kind]) == call.outcome
        for call in sample
        if (found := likely[call.id].outcomes)
    ]
    assert sum(intents) / len(intents) > 0.9
    assert sum(topics) / len(topics) > 0.9
    assert sum(outcomes) / len(outcomes) > 0.9


def test_the_analyst_names_what_was_learnt(sample: Sequence[Dialogue]) -> None:
    """The rules alone find half of it."""
    found = {call.id: ANALYST.analyse(call.conversation).analysis for call in sample}
    outcomes = [outcome_of(found[call.id]) == call.outcome for call in sample]
    topics = [bool({*found[call.id].topics} & due) for call in sample if (due := shown(call))]
    assert sum(outcomes) / len(outcomes) > 0.85
    assert sum(topics) / len(topics) > 0.85


def shown(call: Dialogue) -> set[str]:
    """The topics of a call in its language."""
    return {ontology().labels[name][call.conversation.language] for name in labels_of(call)}


def test_nothing_held_out_was_learnt() -> None:
    held = {u.text for call in load_dialogues() if call.split != "tune" for u in call.conversation.utterances}
    said = {u.text for call in load_dialogues(TRAINING) for u in call.conversation.utterances}
    assert len(held & said) < len(held) / 100  # "Хорошо, спасибо." and the like


@pytest.mark.parametrize(
    ("client", "intents", "topics"),
    [
        ("", (), ()),
        ("Хочу оставить жалобу на ваш сервис.", ("complaint",), ("complaint",)),
        ("До скольки вы работаете?", (), ()),
    ],
)
def test_where_a_client_says_little_the_rules_decide(
    client: str, intents: tuple[str, ...], topics: tuple[str, ...]
) -> None:
    call = spoken("B: Здравствуйте, слушаю вас.", f"A: {client}")
    likely = classifier.likelihoods(call)
    assert classifier.intents_by(call, likely) == intents
    assert classifier.topics_by(call, likely, intents) == topics


def test_a_wrong_number_has_one_topic_and_no_outcome() -> None:
    call = spoken("B: Автосалон, добрый день.", "A: Ой, я, кажется, номером ошибся.", "B: Ничего страшного.")
    likely = classifier.likelihoods(call)
    assert classifier.topics_by(call, likely, ("wrong_number",)) == ("wrong_number",)
    assert classifier.outcome_by(call, likely, ("wrong_number",)) == "no_conversation"


def test_a_sale_was_not_learnt_and_stands_where_it_is_found() -> None:
    call = spoken("A: Хочу купить Весту.", "B: Вот договор.", "A: Всё, подписал договор, предоплату внёс.")
    assert call.outcome.kind == "sold"
    assert classifier.outcome_by(call, classifier.likelihoods(call), call.intents) == "sold"
