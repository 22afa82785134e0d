"""The classifier of intents: what it was trained on, and what it adds to the ontology."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from appliance.engines.language import Utterance
from appliance.engines.language.builtin import classifier, language_of
from appliance.engines.language.builtin.lemmas import read
from appliance.engines.language.prompts import prompts
from appliance.evaluation.dialogues import Dialogue, load_dialogues

TRAINING = Path(classifier.WEIGHTS).parent / "training"


def likelihoods(call: Dialogue) -> dict[str, float]:
    conversation = call.conversation
    return classifier.likelihoods(read(conversation.utterances, language_of(conversation)))


def test_the_weights_are_whole_and_know_every_intent() -> None:
    weights = classifier.weights()
    assert set(weights.codes) == set(prompts().intents)
    assert weights.weights.shape == (len(weights.features), len(weights.codes))
    assert len(weights.idf) == len(weights.features)
    assert all(np.isfinite(part).all() for part in (weights.idf, weights.weights, weights.intercepts))


def test_the_weights_were_learnt_from_the_calls_beside_them() -> None:
    """A change of features or lemmas without training anew would show here."""
    calls = load_dialogues(TRAINING)
    assert {call.split for call in calls} == {"tune"}
    sample = calls[:: max(1, len(calls) // 60)]
    sure = [
        max(found, key=lambda code: found[code]) in (call.intents or ())
        for call in sample
        if call.intents and (found := likelihoods(call))
    ]
    assert sum(sure) / len(sure) > 0.9


def test_nothing_held_out_was_learnt() -> None:
    held = {u.text for call in load_dialogues() if call.split != "tune" for u in call.conversation.utterances}
    said = {u.text for call in load_dialogues(TRAINING) for u in call.conversation.utterances}
    assert len(held & said) < len(held) / 100  # "Хорошо, спасибо." and the like


@pytest.mark.parametrize(
    ("client", "found", "due"),
    [
        ("", ["parts"], ("parts",)),
        ("Хочу оставить жалобу на ваш сервис.", ["complaint"], ("complaint",)),
        ("До скольки вы работаете?", [], ()),
    ],
)
def test_where_a_client_says_little_the_ontology_decides(client: str, found: list[str], due: tuple[str, ...]) -> None:
    said = (Utterance("0", "B", 0, 2500, "Сервис, добрый день."), Utterance("1", "A", 3000, 5500, client))
    assert classifier.intents_by(read(said, "ru"), found) == due
