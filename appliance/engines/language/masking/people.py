"""People whose names are known before a call is read: found in every case form, also where they stand in lower case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise

from appliance.engines.language.builtin.lemmas import _morphology as morphology
from appliance.engines.language.masking.lexicon import words
from appliance.engines.speech.vocabulary import forms_of, key_of

WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
SENTENCE = re.compile(r"(?:^|[.!?…]\s+|[\"«]\s*)$")
NAME_TAGS = ("Name", "Patr", "Surn")
ADDRESSED = re.compile(r"\s*(?:[,.!?…]|$)")
"""Follows a name by which somebody is addressed, or that is all that is said."""

LEAST_LETTERS = 3
"""Shorter words are initials, and parts of other words' abbreviations."""

LIKELY, RARE = 0.35, 0.1
"""Share of a word's readings that are names: for it to be one, and below which it is another word first."""

ADJECTIVAL = re.compile(r"[а-я]{2,}(?:ов|ев|ин|ын)$")
"""Surnames that have endings of adjectives in some cases; so do those that no dictionary holds."""


@lru_cache(maxsize=50_000)
def shares(lower: str) -> tuple[float, float, float]:
    """How likely a Russian word is a first name, a patronymic, a surname."""
    made = [0.0, 0.0, 0.0]
    for reading in morphology().parse(lower):
        for n, tag in enumerate(NAME_TAGS):
            if tag in reading.tag:
                made[n] += reading.score
    return made[0], made[1], made[2]


@lru_cache(maxsize=50_000)
def is_other_word(lower: str) -> bool:
    """Whether a word says something else than a name most of the time, such as a surname that is an adjective."""
    if lower in words("not_names") or lower in words("cars"):
        return True
    if not lower.isascii():
        return bool(morphology().word_is_known(lower)) and sum(shares(lower)) < RARE
    if lower in words("english_names") or lower in words("english_surnames"):
        return False
    import simplemma

    return bool(simplemma.is_known(lower, lang="en"))


def reads_as_a_person(name: str) -> bool:
    """Whether a word of a name is one of people, as far as dictionaries know: a vocabulary holds dealerships too."""
    parts = [key_of(part) for part in WORD.findall(name)]
    return any(
        part in words("english_names") if part.isascii() else max(shares(part)) >= LIKELY
        for part in parts
        if not is_other_word(part)
    )


def _may_be_a_person(name: str) -> bool:
    """Whether any word of it can be a name: users are called "Sales" and "Reception" as well."""
    return any(not is_other_word(part) or _is_a_name_too(part) for part in map(key_of, WORD.findall(name)))


def _is_a_name_too(lower: str) -> bool:
    if lower.isascii():
        return lower in words("english_names_double") or lower in words("english_surnames_double")
    return any(shares(lower))


class People:
    """Names to look for. Words that mean something else as well count by their capital or beside another of them.

    heard: the names are those that were found in the call. Then a capital tells at the beginning of a sentence, too.
    """

    def __init__(self, names: Iterable[str], *, heard: bool = False) -> None:
        self._heard = heard
        people = [name for name in names if heard or _may_be_a_person(name)]
        parts = {key_of(part) for name in people for part in WORD.findall(name) if len(part) >= LEAST_LETTERS}
        self._forms = frozenset(form for part in parts for form in _forms(part))

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where their words stand."""
        known = [match for match in WORD.finditer(text) if key_of(match[0]) in self._forms]
        beside = {
            place
            for first, second in pairwise(known)
            if text[first.end() : second.start()].isspace()
            for place in (first.start(), second.start())
        }
        yield from (m.span() for m in known if m.start() in beside or self._is_sure(text, m))

    def _is_sure(self, text: str, match: re.Match[str]) -> bool:
        lower = key_of(match[0])
        if not is_other_word(lower):
            return True
        if not match[0][0].isupper() or lower in words("cars"):
            return False
        begins = SENTENCE.search(text[: match.start()])
        return self._heard or not begins or bool(ADDRESSED.match(text, match.end()))


NOBODY = People(())


@lru_cache(maxsize=50_000)
def _forms(lower: str) -> frozenset[str]:
    """A word of a name in every case. By the dictionary, and by its ending where it holds no such name."""
    if lower.isascii():
        return frozenset(forms_of(lower))
    parsed = morphology().parse(lower)
    readings = [reading for reading in parsed if any(tag in reading.tag for tag in NAME_TAGS)] or parsed[:1]
    made = {lower, *(key_of(str(form.word)) for reading in readings for form in reading.lexeme)}
    if not morphology().word_is_known(lower):
        made |= set(forms_of(lower))
        if ADJECTIVAL.match(lower):
            made |= {lower + ending for ending in ("ым", "ых", "ыми", "ой")}
    return frozenset(made)
