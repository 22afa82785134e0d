"""Patterns over lemmas: words in order, at most two others between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

GAP = 2
"""Other words allowed between two of a pattern."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Places in order; each is a set of lemmas and a tuple of beginnings (from words that end with *)."""

    places: tuple[tuple[frozenset[str], tuple[str, ...]], ...]

    def ends(self, lemmas: Sequence[str]) -> list[int]:
        """Where the pattern occurs: the index after its last word, once per first word."""
        return [end for start in range(len(lemmas)) if (end := self._match(lemmas, start))]

    def _fits(self, place: int, word: str) -> bool:
        words, beginnings = self.places[place]
        return word in words or (bool(beginnings) and word.startswith(beginnings))

    def _match(self, lemmas: Sequence[str], start: int) -> int:
        if not self._fits(0, lemmas[start]):
            return 0
        at = start
        for place in range(1, len(self.places)):
            window = range(at + 1, min(at + 2 + GAP, len(lemmas)))
            found = next((n for n in window if self._fits(place, lemmas[n])), None)
            if found is None:
                return 0
            at = found
        return at + 1


@lru_cache(maxsize=5000)
def pattern(text: str, normal: Callable[[str], str]) -> Pattern:
    """Read a pattern; `normal` lemmatises its words as the text's are, so that both agree."""
    places = []
    for place in text.split():
        words, beginnings = set(), []
        for word in place.split("|"):
            if word.endswith("*"):
                beginnings.append(word[:-1])
            else:
                words |= {word, normal(word)}
        places.append((frozenset(words), tuple(beginnings)))
    return Pattern(tuple(places))
