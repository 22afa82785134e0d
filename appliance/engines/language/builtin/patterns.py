"""Patterns over words: words in order, at most two others between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from appliance.engines.language.builtin.lemmas import Word, word

GAP = 2
"""Other words allowed between two of a pattern."""

LETTERS = 3
"""Beginnings are found by so many first letters; a pattern's first word has at least as many before its *."""


@dataclass(frozen=True, slots=True)
class Place:
    """What may stand at one place: keys of words, beginnings of lemmas; `near`: directly after the place before."""

    keys: frozenset[str]
    beginnings: tuple[str, ...]
    near: bool

    def fits(self, said: Word) -> bool:
        """Whether a word can stand here."""
        return not self.keys.isdisjoint(said.keys) or (
            bool(self.beginnings) and (said.lemma.startswith(self.beginnings) or said.text.startswith(self.beginnings))
        )


@dataclass(frozen=True, slots=True)
class Hit:
    """A pattern that occurs: whose it is and the words from `start` up to `end`."""

    name: str
    start: int
    end: int


def places_of(text: str, language: str) -> tuple[Place, ...]:
    """Read a pattern: places apart by blanks, alternatives by |, `*` ends a beginning, `=` takes the word as it is,
    `@` names a form, `+` before a place forbids words in between.
    """
    places = []
    for part in text.split():
        keys, beginnings = set[str](), []
        for alternative in part.removeprefix("+").split("|"):
            if alternative.endswith("*"):
                beginnings.append(alternative[:-1])
            elif alternative.startswith("=") or "@" in alternative:
                keys.add(alternative.removeprefix("="))
            else:
                keys |= {alternative, word(alternative, language).lemma}
        places.append(Place(frozenset(keys), tuple(beginnings), part.startswith("+")))
    return tuple(places)


class Patterns:
    """Named patterns of one language, found by their first word, so that long calls cost linear time."""

    def __init__(self, texts: Mapping[str, Iterable[str]], language: str) -> None:
        self._by_key: dict[str, list[tuple[str, tuple[Place, ...]]]] = {}
        self._by_beginning: dict[str, list[tuple[str, tuple[Place, ...]]]] = {}
        for name, patterns in texts.items():
            for text in patterns:
                self._add(name, places_of(text, language))

    def _add(self, name: str, places: tuple[Place, ...]) -> None:
        for key in places[0].keys:
            self._by_key.setdefault(key, []).append((name, places))
        for beginning in places[0].beginnings:
            self._by_beginning.setdefault(beginning[:LETTERS], []).append((name, places))

    def hits(self, words: Sequence[Word]) -> list[Hit]:
        """Where patterns occur, in the order of their first words; a pattern may be found more than once."""
        found = set[Hit]()
        for start, said in enumerate(words):
            known = [entry for key in said.keys for entry in self._by_key.get(key, ())]
            for letters in {said.text[:LETTERS], said.lemma[:LETTERS]}:
                known += [entry for entry in self._by_beginning.get(letters, ()) if entry[1][0].fits(said)]
            for name, places in known:
                end = _end(places, words, start)
                if end:
                    found.add(Hit(name, start, end))
        return sorted(found, key=lambda hit: (hit.start, hit.end, hit.name))


def _end(places: Sequence[Place], words: Sequence[Word], start: int) -> int:
    at = start
    for place in places[1:]:
        reach = at + 2 if place.near else at + 2 + GAP
        found = next((n for n in range(at + 1, min(reach, len(words))) if place.fits(words[n])), None)
        if found is None:
            return 0
        at = found
    return at + 1
