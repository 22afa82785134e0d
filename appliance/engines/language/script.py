"""Whether a text is in the language of a call, by the letters of its words."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORD = re.compile(r"[^\W\d_]+")
CYRILLIC = re.compile(r"[\u0400-\u052f]")
LATIN = re.compile(r"[a-z\u00c0-\u024f]", re.IGNORECASE)
KAZAKH = re.compile(r"[әғқңөұүһі]", re.IGNORECASE)
"""What Kazakh has beside the letters of Russian."""

LETTERS = {
    **dict.fromkeys(("ru", "kk", "uk", "be", "bg", "mk", "ky", "tg", "tt", "ba", "mn"), CYRILLIC),
    **dict.fromkeys(("en", "de", "fr", "es", "it", "pt", "pl", "nl", "cs", "sv", "fi", "tr"), LATIN),
}
"""Languages that can be told from others; a text in one that is not here, or has two scripts as Serbian, passes."""

LEAST_LETTERS = 12
"""A shorter text may be a name and a number: it is not judged."""

LEAST_WORDS = 10
"""So many words tell Kazakh from Russian: about half of Kazakh ones have a letter of their own."""

OWN_SHARE = 0.4
"""Words of the trade (trade-in, test drive) are Latin in a Russian sentence; most of it is not."""

OWN_SHARE_OF_ALL = 0.1
"""The same where names count too: a text all in capitals is not made of names."""

LEAST_KAZAKH, MOST_KAZAKH = 0.1, 0.3
"""Shares of words with letters of Kazakh: half of them in Kazakh text, next to none in Russian but for names."""


def is_in(text: str, language: str) -> bool:
    """Whether a text is in a language (ISO 639-1), so far as its letters tell; a text too short to tell passes.

    Words with capitals do not count: they may be names, of cars most of all. Languages of one script are told apart
    only where one of them is Kazakh.
    """
    own_letters = LETTERS.get(language)
    if own_letters is None:
        return True
    words, share = WORD.findall(text), OWN_SHARE
    plain = [word for word in words if word == word.lower()]
    if _letters(plain) < LEAST_LETTERS:
        if _letters(words) < 3 * LEAST_LETTERS:
            return True
        plain, share = words, OWN_SHARE_OF_ALL
    if _letters(word for word in plain if own_letters.match(word)) < share * _letters(plain):
        return False
    own = [word for word in words if own_letters.match(word)]
    return own_letters is not CYRILLIC or len(own) < LEAST_WORDS or _is_kazakh_enough(own, language)


def _letters(words: Iterable[str]) -> int:
    return sum(map(len, words))


def _is_kazakh_enough(words: list[str], language: str) -> bool:
    share = sum(bool(KAZAKH.search(word)) for word in words) / len(words)
    return share >= LEAST_KAZAKH if language == "kk" else language != "ru" or share <= MOST_KAZAKH
