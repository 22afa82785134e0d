"""Words to lemmas: pymorphy3 for Russian, simplemma for English."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from appliance.engines.language import Speaker, Utterance

TOKEN = re.compile(r"[^\W\d_]+(?:[-'][^\W\d_]+)*|[,;:.!?…—]", re.UNICODE)
SENTENCE = re.compile(r"(?<=[.!?…])\s+")
LONGEST_WORD = 40
CONTRACTIONS = (
    (re.compile(r"\bcan't\b|\bcannot\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'m\b"), " am"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"\b(it|he|she|how|who|that|what|when|here|where|there|nobody|something)'s\b"), r"\1 is"),
    (re.compile(r"(?<=[a-z])'s\b"), ""),
    (re.compile(r"\b(no)[ -]one\b"), "nobody"),
)
PARTICLES = re.compile(
    r"\b(?!(?:что|чего|чему|чем|кто|кого|кому|кем|как|где|куда|откуда|когда|почему|зачем|отчего|сколько|какой|какая"
    r"|какое|какие|какого|какую|каких|каким|какому|чей|чья)-)([а-я]+)-(?:то|ка)\b"
)
"""Said for emphasis ("придет-то", "дайте-ка"): the word is the same without."""

COMPOUNDS = (
    (re.compile(r"\bтест[\s-]*драйв"), "тест-драйв"),
    (re.compile(r"\bтрейд[\s-]*ин(?=(?:[аеу]|ом)?\b)"), "трейд-ин"),
    (re.compile(r"\btest[\s-]*drive"), "test-drive"),
    (re.compile(r"\btrade[\s-]*in\b"), "trade-in"),
    (re.compile(r"\bvoice[\s-]*mail"), "voicemail"),
)
"""Words that are written together, with a hyphen or apart; one spelling stands for all."""

LIKELY = 0.2
"""Readings of a Russian word below this probability are not looked at."""

PERSONS = {"1per": "1", "2per": "2", "3per": "3"}


KNOWN_SCRIPT = re.compile(r"[a-zа-яё'’-]+")
"""What the lemmatisers are for; anything else is its own lemma."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word as said, its likeliest lemma, and the keys that patterns find it by: word, lemmas, lemma@form.

    Forms of Russian verbs: 1 (also "let us"), 2 (also the imperative), 3 person of present and future, past, inf.
    Of English ones: inf, ing, 3, past.
    """

    text: str
    lemma: str
    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence of a conversation. `clauses` numbers each word's clause; `place` is 0 at the call's start, 1 at
    its end; `utterance` is the id of the utterance that it stands in.
    """

    speaker: Speaker
    text: str
    words: tuple[Word, ...]
    clauses: tuple[int, ...]
    place: float
    utterance: str = ""


@lru_cache
def _morphology() -> Any:
    import pymorphy3

    return pymorphy3.MorphAnalyzer()


@lru_cache(maxsize=50_000)
def word(text: str, language: str) -> Word:
    """A lower-case word with е for ё, looked up."""
    if not KNOWN_SCRIPT.fullmatch(text):
        return Word(text, text, frozenset({text}))  # the libraries stumble over letters that have no name
    if language == "ru":
        return _russian(text)
    import simplemma

    lemma = simplemma.lemmatize(text, lang="en").lower()
    return Word(text, lemma, frozenset({text, lemma, f"{lemma}@{_english_form(text, lemma)}"}))


def _english_form(text: str, lemma: str) -> str:
    if text == lemma:
        return "inf"
    return "ing" if text.endswith("ing") else "3" if text.endswith("s") else "past"


def _russian(text: str) -> Word:
    readings = _morphology().parse(text)
    lemmas = [str(reading.normal_form).replace("ё", "е") for reading in readings]
    keys = {text, lemmas[0]}
    for lemma, reading in zip(lemmas, readings, strict=True):
        if reading.score >= LIKELY:
            keys |= {lemma, f"{lemma}@{_form(reading.tag)}"}
    return Word(text, lemmas[0], frozenset(keys))


def _form(tag: Any) -> str:
    if "impr" in tag:
        return "1" if "incl" in tag else "2"
    if "past" in tag:
        return "past"
    return "inf" if "INFN" in tag else PERSONS.get(str(tag.person), "")


def plain(text: str) -> str:
    """Lower case, е for ё, one kind of apostrophe, English contractions in full, one spelling of compounds."""
    lowered = text.lower().replace("ё", "е").replace("’", "'")
    for pattern, full in (*CONTRACTIONS, *COMPOUNDS):
        lowered = pattern.sub(full, lowered)
    return PARTICLES.sub(r"\1", lowered)


def words_of(text: str, language: str) -> tuple[tuple[Word, ...], tuple[int, ...]]:
    """The words of a text in order, and the number of the clause that each stands in."""
    words, clauses, clause = [], [], 0
    for token in TOKEN.findall(plain(text)):
        if token[0].isalpha():
            words.append(word(token[:LONGEST_WORD], language))
            clauses.append(clause)
        else:
            clause += 1
    return tuple(words), tuple(clauses)


def lemmas_of(text: str, language: str) -> tuple[str, ...]:
    """The lemmas of a text, in order."""
    return tuple(found.lemma for found in words_of(text, language)[0])


def read(utterances: Iterable[Utterance], language: str) -> list[Said]:
    """A conversation as sentences with their words."""
    sentences = [
        (utterance.id, utterance.speaker, sentence.strip())
        for utterance in utterances
        for sentence in SENTENCE.split(utterance.text)
        if sentence.strip()
    ]
    last = max(1, len(sentences) - 1)
    return [
        Said(who, text, *words_of(text, language), n / last, said_in)
        for n, (said_in, who, text) in enumerate(sentences)
    ]
