"""Sentiment: a lexicon on lemmas, with negation and intensity."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from appliance.engines.language.builtin.lemmas import Said, Word, word
from appliance.engines.language.builtin.negation import NEGATORS
from appliance.engines.language.builtin.patterns import Hit, Patterns
from appliance.engines.language.limits import NEUTRAL_BELOW

DATA = Path(__file__).parent / "data"

REACH = 3
"""A negation or an intensifier works on the words of its clause that follow within so many."""

TURNED = -0.7
"""Not bad is less than good."""

MANAGER_WEIGHT = 0.25
"""A manager is polite by trade; his apologies still tell of an unhappy client."""

END_WEIGHT = 0.4
"""How much more the end of a call counts than its beginning."""

SCALE = 5.0
"""Sum of weights at which the score reaches 0.76 (tanh 1)."""

CERTAIN_FROM = 0.38
"""Weaker scores are pulled towards zero: one friendly or annoyed word is not yet a feeling about the dealership."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Weights of lemmas, factors of words that strengthen or weaken, phrases and their weights by their text."""

    words: Mapping[str, float]
    boosters: Mapping[str, float]
    phrases: Patterns
    phrase_weights: Mapping[str, float]


@lru_cache
def lexicon(language: str) -> Lexicon:
    """The lexicon of a language, its words as the lemmatiser writes them."""
    data = yaml.safe_load((DATA / f"sentiment_{language}.yaml").read_text(encoding="utf-8"))
    words = {key: float(w) for w, listed in data["words"].items() for text in listed for key in _keys(text, language)}
    weights = {text: float(weight) for weight, texts in data["phrases"].items() for text in texts}
    boosters = {
        key: float(f) for f, listed in data["boosters"].items() for text in listed for key in _keys(text, language)
    }
    return Lexicon(words, boosters, Patterns({text: [text] for text in weights}, language), weights)


def _keys(text: str, language: str) -> set[str]:
    """English participles stay as they are: "pleased" has the lemma of "please"."""
    return {text} if language == "en" else {text, word(text, language).lemma}


def sentence_weight(said: Said, language: str) -> float:
    """The sum of a sentence's words and phrases; what a phrase covers does not count again."""
    known, covered, total = lexicon(language), set[int](), 0.0
    hits = known.phrases.hits(said.words)
    for hit in sorted(hits, key=lambda hit: (hit.start - hit.end, hit.start, hit.name)):
        if covered.isdisjoint(range(hit.start, hit.end)):
            total += _phrase_weight(said, hit, known, language)
            covered.update(range(hit.start, hit.end))
    return total + sum(_word_weight(said, n, known, language) for n in range(len(said.words)) if n not in covered)


def _phrase_weight(said: Said, hit: Hit, known: Lexicon, language: str) -> float:
    value = known.phrase_weights[hit.name] * _boost(said, hit.start, known)
    is_negative_itself = any(part in NEGATORS[language] for part in hit.name.replace("|", " ").split())
    within = [*_before(said, hit.start), *said.words[hit.start : hit.end]]
    if value > 0 and not is_negative_itself and any(found.lemma in NEGATORS[language] for found in within):
        return TURNED * value
    return value


def _word_weight(said: Said, at: int, known: Lexicon, language: str) -> float:
    found = said.words[at]
    value = known.words.get(found.text, known.words.get(found.lemma, 0.0))
    if not value:
        return 0.0
    value *= _boost(said, at, known)
    is_negated = any(
        before.lemma in NEGATORS[language] or before.text in NEGATORS[language] for before in _before(said, at)
    )
    return TURNED * value if is_negated else value


def _boost(said: Said, at: int, known: Lexicon) -> float:
    return max((known.boosters.get(before.lemma, 1.0) for before in _before(said, at)), default=1.0)


def _before(said: Said, at: int) -> Sequence[Word]:
    return [said.words[n] for n in range(max(0, at - REACH), at) if said.clauses[n] == said.clauses[at]]


def score_of(said: Sequence[Said], language: str) -> float:
    """-1 to 1: how the client feels about the dealership; near 0 where it is neutral."""
    total = 0.0
    for sentence in said:
        who = 1.0 if sentence.speaker == "A" else MANAGER_WEIGHT
        total += sentence_weight(sentence, language) * who * (1 + END_WEIGHT * sentence.place)
    score = round(math.tanh(total / SCALE), 2)
    return score if abs(score) >= CERTAIN_FROM else round(score * NEUTRAL_BELOW / CERTAIN_FROM, 2)
