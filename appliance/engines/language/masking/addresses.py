"""Addresses: a street with its house, in either order of words, written or spoken."""

from __future__ import annotations

import re
from collections.abc import Iterator

_STREET = (
    r"(?:улиц[аеуы]|ул\.?|проспект[еау]?|пр-т|переул(?:ок|ке|ка)|шоссе|бульвар[еа]?|набережн(?:ая|ой|ую)|проезд[еа]?|площад[ьи]"
    r"|микрорайон[еа]?|мкр\.?|пос[её]л(?:ок|ке|ка)|деревн[яеи]|тупик[еа]?)"
)
_NUMBER = (
    r"(?:\d+\s?[а-яa-z]?(?:/\d+)?(?!\w)|(?:ноль|один|два|три|четыре|пять|шесть|семь|восемь|девять|десять|\w+надцать|двадцать"
    r"|тридцать|сорок|\w+десят|девяносто|сто|двести|триста|четыреста|\w+сот|первый|второй|третий|пятый)(?!\w))"
)
_NUMBERS = rf"{_NUMBER}(?:\s{_NUMBER}){{0,2}}"
_HOUSE = rf"(?:,?\s*(?:дом[еа]?|д\.?|корпус|корп\.?|строение|стр\.?|квартир[аеу]|кв\.?|подъезд|этаж|офис)\s*{_NUMBERS})"
_STOP = r"(?!дом|д\.|корпус|квартир|и\b|на\b|в\b|во\b|у\b|это\b|там\b|где\b|рядом\b|около\b|сейчас\b|есть\b|у\b)"
_WORD = rf"(?:\d+-?\w*\s)?{_STOP}[\w-]+(?:\s{_STOP}\w+)?"
_PROPER = r"(?:\d+-?\w*\s)?[А-ЯЁ][\w-]+(?:\s(?:[А-ЯЁ][\w-]+|[а-яё]+(?:ого|ова|ина|ской|кой)(?!\w)))?"
_ADJECTIVE = r"(?:ский|ской|ском|ского|ское|ская|скую|ный|ном|ная|ной|ую|вая|вой)"
_TAIL = rf"(?:{_HOUSE}+|,?\s{_NUMBERS}{_HOUSE}*)"
RUSSIAN = (
    re.compile(rf"(?<!\w)(?i:{_STREET})\s{_PROPER}(?i:{_TAIL})?"),
    re.compile(rf"(?<!\w){_STREET}\s{_WORD}{_TAIL}", re.IGNORECASE),
    re.compile(rf"(?<!\w)[А-ЯЁ][\w-]+{_ADJECTIVE}\s(?i:{_STREET})(?!\w)(?i:{_TAIL})?"),
    re.compile(rf"(?<![\w-])[\w-]+{_ADJECTIVE}\s{_STREET}{_TAIL}", re.IGNORECASE),
    re.compile(rf"(?<!\w)(?:дом[еа]?|квартир[аеу])\s{_NUMBERS}{_HOUSE}+", re.IGNORECASE),
    re.compile(rf"(?<!\w)квартир[аеу]\s{_NUMBERS}", re.IGNORECASE),
)
ENGLISH = (
    re.compile(
        r"(?<!\w)\d+[A-Za-z]?\s(?:[A-Z][\w']+\s){1,3}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Way|Place|Square)"
        r"\b\.?(?:,?\s(?:apartment|apt\.?|flat|unit|suite)\s\w+)?",
        re.IGNORECASE,
    ),
    re.compile(r"(?<!\w)(?:apartment|flat)\s\d+\w?", re.IGNORECASE),
)


def addresses(text: str, language: str, before: str) -> Iterator[tuple[int, int, str]]:  # noqa: ARG001 - as the others
    """Spans of addresses. A town alone is none, nor is "our street" without a name."""
    taken: list[tuple[int, int]] = []
    for pattern in (*RUSSIAN, *ENGLISH):
        for match in pattern.finditer(text):
            if all(match.end() <= a or b <= match.start() for a, b in taken):
                taken.append(match.span())
                yield match.start(), match.end(), "ADDRESS"
