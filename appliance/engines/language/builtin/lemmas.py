"""Words to lemmas: pymorphy3 for Russian, simplemma for English."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from appliance.engines.language import Speaker, Utterance

WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*", re.UNICODE)
SENTENCE = re.compile(r"(?<=[.!?…])\s+")
LONGEST_WORD = 40
CONTRACTIONS = {"can't": "can not", "won't": "will not", "n't": " not", "'ll": " will", "'d": " would", "'re": " are"}


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of a conversation. `place` is 0 at its beginning and 1 at its end."""

    speaker: Speaker
    text: str
    lemmas: tuple[str, ...]
    place: float


@lru_cache
def _morphology() -> Any:
    import pymorphy3

    return pymorphy3.MorphAnalyzer()


@lru_cache(maxsize=50_000)
def lemma(word: str, language: str) -> str:
    """The lemma of a lower-case word, е for ё."""
    if language == "ru":
        return str(_morphology().parse(word)[0].normal_form).replace("ё", "е")
    import simplemma

    return simplemma.lemmatize(word, lang="en").lower()


def lemmas_of(text: str, language: str) -> tuple[str, ...]:
    """The lemmas of a text, in order."""
    lowered = text.lower().replace("ё", "е").replace("’", "'")
    if language == "en":
        for short, full in CONTRACTIONS.items():
            lowered = lowered.replace(short, full)
    return tuple(lemma(word[:LONGEST_WORD], language) for word in WORD.findall(lowered))


def read(utterances: Iterable[Utterance], language: str) -> list[Said]:
    """A conversation as sentences with their lemmas."""
    sentences = [
        (utterance.speaker, sentence.strip())
        for utterance in utterances
        for sentence in SENTENCE.split(utterance.text)
        if sentence.strip()
    ]
    last = max(1, len(sentences) - 1)
    return [Said(speaker, text, lemmas_of(text, language), n / last) for n, (speaker, text) in enumerate(sentences)]
