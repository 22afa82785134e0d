"""Texts made comparable before words are counted: what is written differently but said alike counts as alike."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

PUNCTUATION = re.compile(r"[^\w\s]|_")
GROUPED = {
    "ru": re.compile(r"(?<=\d)[\s\u00a0\u202f](?=\d{3}(?!\d))"),
    "en": re.compile(r"(?<=\d),(?=\d{3}(?!\d))"),
}
"""The space in 1 200 000, the comma in 1,200,000."""

NUMBER = re.compile(r"\d+(?:[.,]\d+)?")
LONGEST_NUMBER = 15
"""Digits; more of them are a VIN or a card, read out one by one."""

SIGNS = {"ru": {"%": " процентов ", "₽": " рублей ", "$": " долларов "}, "en": {"%": " percent ", "$": " dollars "}}


def normalised(text: str, language: str) -> str:
    """Without case, punctuation and the difference between ё and е; numbers as words; a hyphen parts words.

    Russian numerals stand in their first form: nobody writes "двух" as anything but 2, and 2 does not say its case.
    """
    lowered = text.lower().replace("ё", "е")
    for sign, word in SIGNS.get(language, {}).items():
        lowered = lowered.replace(sign, word)
    if language in GROUPED:
        lowered = GROUPED[language].sub("", lowered)
    worded = NUMBER.sub(lambda found: f" {_in_words(found[0], language)} ", lowered)
    words = PUNCTUATION.sub(" ", worded.replace("ё", "е")).split()
    return " ".join(_first_form(word) for word in words) if language == "ru" else " ".join(words)


@lru_cache(maxsize=4096)
def _in_words(number: str, language: str) -> str:
    from num2words import num2words

    if len(number) > LONGEST_NUMBER or (number.startswith("0") and number.isdigit()):
        return " ".join(_in_words(digit, language) if digit != "0" else _zero(language) for digit in number)
    try:
        return str(num2words(number.replace(",", "."), lang=language))
    except (NotImplementedError, ArithmeticError, ValueError):
        return number


def _zero(language: str) -> str:
    return "ноль" if language == "ru" else "zero"


@lru_cache(maxsize=1)
def _morphology() -> Any:
    import pymorphy3

    return pymorphy3.MorphAnalyzer(lang="ru")


@lru_cache(maxsize=65_536)
def _first_form(word: str) -> str:
    """The first form of a Russian numeral; any other word as it is."""
    likeliest = _morphology().parse(word)[0]
    return str(likeliest.normal_form).replace("ё", "е") if likeliest.tag.POS == "NUMR" else word
