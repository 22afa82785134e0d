"""Sentiment: a lexicon on lemmas, with negation and intensity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from appliance.engines.language.builtin.lemmas import Said
from appliance.engines.language.builtin.ontology import NORMAL, patterns_of
from appliance.engines.language.builtin.patterns import Pattern
from appliance.engines.language.limits import NEUTRAL_BELOW

DATA = Path(__file__).parent / "data" / "sentiment.yaml"

REACH = 3
"""A negation or an intensifier works on the words that follow within so many."""

MANAGER_WEIGHT = 0.25
"""A manager is polite by trade; his apologies still tell of an unhappy client."""

END_WEIGHT = 0.5
"""How much more the end of a call counts than its beginning."""

SCALE = 6.0
"""Sum of weights at which the score reaches 0.76 (tanh 1)."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Weights of lemmas and phrases, words that negate, factors of words that strengthen or weaken."""

    words: Mapping[str, float]
    negators: frozenset[str]
    boosters: Mapping[str, float]
    phrases: tuple[tuple[Pattern, float], ...]


@lru_cache
def lexicon(language: str) -> Lexicon:
    """The lexicon of a language, its words as the lemmatiser writes them."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))[language]
    normal = NORMAL[language]
    words = {normal(word): float(weight) for weight, listed in data["words"].items() for word in listed}
    phrases = tuple((patterns_of([text], language)[0], float(weight)) for text, weight in data["phrases"].items())
    negators = frozenset(data["negators"]) | frozenset(normal(word) for word in data["negators"])
    return Lexicon(words, negators, data["boosters"], phrases)


def sentence_weight(lemmas: Sequence[str], language: str) -> float:
    """The sum of a sentence's words and phrases; what a phrase covers does not count again as words."""
    known = lexicon(language)
    total, covered = 0.0, set[int]()
    for phrase, weight in known.phrases:
        for end in phrase.ends(lemmas):
            span = range(max(0, end - 1 - len(phrase.places)), end)
            if not covered.intersection(span):
                total += weight
                covered.update(span)
    for n, word in enumerate(lemmas):
        if word in known.words and n not in covered:
            before = lemmas[max(0, n - REACH) : n]
            value = known.words[word] * max((known.boosters.get(w, 1.0) for w in before), default=1.0)
            total += -0.8 * value if any(w in known.negators for w in before) else value
    return total


def score_of(said: Sequence[Said], language: str) -> float:
    """-1 to 1: how the client feels about the dealership; exactly 0 where it is neutral."""
    total = 0.0
    for sentence in said:
        weight = sentence_weight(sentence.lemmas, language)
        who = 1.0 if sentence.speaker == "A" else MANAGER_WEIGHT
        total += weight * who * (1 + END_WEIGHT * sentence.place)
    score = round(math.tanh(total / SCALE), 2)
    return score if abs(score) > 2 * NEUTRAL_BELOW else round(score / 2.5, 2)
