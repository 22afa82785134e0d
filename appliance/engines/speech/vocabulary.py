"""Names that are said in a dealership's calls: makes and models, and those of the site and its people.

Names that were nearly heard are put right (see corrections.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import yaml

DATA = Path(__file__).parent / "vocabulary.yaml"
NICKNAMES = Path(__file__).parent / "nicknames.yaml"

HOT_CHARACTERS = 400
"""About 200 tokens of Russian: Whisper looks at no more than 223 (half its window) and would cut names in two."""

AFTER_CONSONANT = ("", "а", "у", "ом", "ем", "е", "ы", "и", "ов", "ам", "ами", "ах")
AFTER_A = ("а", "ы", "и", "е", "у", "ой", "ою", "ей", "", "ам", "ами", "ах")
AFTER_YA = ("я", "и", "е", "ю", "ей", "ею", "ь", "ям", "ями", "ях")
AFTER_SIGN = ("ь", "я", "и", "ю", "ем", "е", "ей", "ям", "ями", "ях", "ью")
AFTER_SHORT_I = ("й", "я", "ю", "ем", "е", "и", "ев", "ям", "ями", "ях")
"""Case endings of Russian names; those that end in another vowel are not declined."""

ENDINGS: Mapping[str, Sequence[str]] = {"а": AFTER_A, "я": AFTER_YA, "ь": AFTER_SIGN, "й": AFTER_SHORT_I}
CONSONANTS = "бвгджзклмнпрстфхцчшщ"

SHORTEST_STEM = 3
"""Letters of a make or model to which an ending makes a nickname: "Ауди", "аудюха"."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name as it is to be written, and the ways in which recognition is known to get it wrong."""

    text: str
    heard: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Names to expect. Words are found in lower case with е for ё; what is written keeps the case given.

    alone: single words that are recognised by their likeness alone. pairs: (first, second) words that stand together,
    each of which makes the other likelier. heard: known mishearings, word by word, and what is written instead.
    right: words that are as they should be, in every case form.
    """

    hot: tuple[str, ...] = ()
    """The names, most important first."""
    alone: frozenset[str] = frozenset()
    pairs: frozenset[tuple[str, str]] = frozenset()
    heard: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    right: frozenset[str] = frozenset()

    def joined(self, other: Vocabulary) -> Vocabulary:
        """Both, this one's names first."""
        return Vocabulary(
            tuple(dict.fromkeys(self.hot + other.hot)),
            self.alone | other.alone,
            self.pairs | other.pairs,
            {**other.heard, **self.heard},
            self.right | other.right,
        )

    def hot_words(self, language: str) -> tuple[str, ...]:
        """Names to expect in a language, in its letters, as many as Whisper takes in."""
        found: list[str] = []
        for name in self.hot:
            if is_cyrillic(name) == (language in ("ru", "kk")):
                if len(", ".join([*found, name])) > HOT_CHARACTERS:
                    break
                found.append(name)
        return tuple(found)

    @cached_property
    def second_after(self) -> Mapping[str, Mapping[str, str]]:
        """Case forms of what may follow a first word in any of its case forms."""
        return _beside((first, second) for first, second in self.pairs)

    @cached_property
    def first_before(self) -> Mapping[str, Mapping[str, str]]:
        """Case forms of what may stand before a second word."""
        return _beside((second, first) for first, second in self.pairs)

    @cached_property
    def alone_forms(self) -> Mapping[str, str]:
        """Case forms of the names that stand alone."""
        return {key_of(form): form for name in self.alone for form in forms_of(name)}


NO_NAMES = Vocabulary()


def key_of(word: str) -> str:
    """A word as it is looked up."""
    return word.lower().replace("ё", "е")


def is_cyrillic(text: str) -> bool:
    """Whether a name or word is in Russian letters."""
    return bool(re.search(r"[а-яё]", text, re.IGNORECASE))


def forms_of(word: str) -> tuple[str, ...]:
    """A name in every case and, in Latin letters, number; the name itself comes first, and alone if not declined."""
    last = word[-1:].lower()
    if last in ENDINGS:
        return (word, *(word[:-1] + ending for ending in ENDINGS[last] if ending != last))
    if last in CONSONANTS and last and not word.isupper():
        return tuple(word + ending for ending in AFTER_CONSONANT)
    return (word,) if is_cyrillic(word) else (word, f"{word}s", f"{word}'s")


def of_names(names: Iterable[Name], *, alone: bool = True) -> Vocabulary:
    """The vocabulary of a site's own names.

    alone: whether a single word may be put right by its likeness; names of people are not, as others are called alike.
    """
    listed = list(names)
    words = [name.text.split() for name in listed]
    heard = {
        tuple(key_of(mistake).split()): tuple(name.text.split())
        for name in listed
        for mistake in name.heard
        if mistake.strip()
    }
    return Vocabulary(
        tuple(name.text for name in listed),
        frozenset(parts[0] for parts in words if alone and len(parts) == 1),
        frozenset(pair for parts in words for pair in pairwise(parts)),
        _declined(heard),
        frozenset(key_of(form) for parts in words for word in parts for form in forms_of(word)),
    )


@lru_cache
def makes_and_models() -> Vocabulary:
    """The vocabulary that every site has."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    hot: list[str] = []
    alone, right, pairs = set[str](), set[str](), set[tuple[str, str]]()
    for make in data["makes"]:
        models = make.get("models", {})
        hot += [make["ru"], make["en"], *models, *models.values()]
        alone |= {name for name in (make["ru"], make["en"], *models, *models.values()) if " " not in name}
        right |= {*hot, *make.get("also", ())}
        pairs |= set(pairwise(make["ru"].split())) | set(pairwise(make["en"].split()))
        pairs |= {(make["ru"].split()[-1], model) for model in models}
        pairs |= {(make["en"].split()[-1], model) for model in models.values()}
    heard = {tuple(mistake.split()): tuple(name.split()) for mistake, name in data["heard"].items()}
    words = {word for name in right for word in name.split()}
    forms = {key_of(form) for word in words for form in forms_of(word)}
    return Vocabulary(
        tuple(dict.fromkeys(hot)),
        frozenset(alone - set(data["common"])),
        frozenset(pairs),
        _declined(heard),
        frozenset(forms | {form for word in data["never"] for form in forms_of(word)}) | _nicknames(words),
    )


def _nicknames(names: Iterable[str]) -> frozenset[str]:
    """What people call cars: listed, or formed from the words of makes and models; in every case form."""
    data = yaml.safe_load(NICKNAMES.read_text(encoding="utf-8"))
    listed = {word for language in ("ru", "en") for row in data[language] for word in row}
    stems = {name.rstrip("аеийоуыэюяьАЕИЙОУЫЭЮЯЬ") for name in names if is_cyrillic(name) and not name.isupper()}
    formed = {stem + ending for stem in stems if len(stem) >= SHORTEST_STEM for ending in data["endings"]}
    return frozenset(key_of(form) for word in listed | formed for form in forms_of(word))


def _declined(heard: Mapping[tuple[str, ...], tuple[str, ...]]) -> dict[tuple[str, ...], tuple[str, ...]]:
    """The same with the last word in every case, where mistake and name take the same endings."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    for mistake, name in heard.items():
        wrong, written = forms_of(mistake[-1]), forms_of(name[-1])
        if len(wrong) != len(written):
            wrong, written = wrong[:1], written[:1]
        for wrong_form, form in zip(wrong, written, strict=True):
            found[(*mistake[:-1], key_of(wrong_form))] = (*name[:-1], form)
    return found


def _beside(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for known, sought in pairs:
        targets = {key_of(form): form for form in forms_of(sought)}
        for form in forms_of(known):
            found.setdefault(key_of(form), {}).update(targets)
    return found
