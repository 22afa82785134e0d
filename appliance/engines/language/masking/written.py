"""What has a form of its own: e-mail addresses, VINs, licence plates, cards with a right check digit."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Each begins where a word does: begun anew at every letter of a long one, they would take its square in time.
EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PART = r"[\w-]+(?:\s(?:точка|дефис|тире|подчеркивание|нижнее подч[её]ркивание|dot|dash|underscore)\s[\w-]+)*"
SPOKEN_EMAIL = re.compile(
    rf"(?<![\w-]){_PART}\s(?:собака|собачка|at)\s[\w-]+(?:\s(?:дефис|dash)\s[\w-]+)?(?:\s?(?:точка|dot)\s[a-zа-я]{{2,8}}|\.[a-zа-я]{{2,6}})+",
    re.IGNORECASE,
)
VIN = re.compile(
    r"(?<![\w])(?=(?:[\s-]?[A-HJ-NPR-Z0-9]){17}(?!\w))(?:[A-HJ-NPR-Z0-9][\s-]?){16}[A-HJ-NPR-Z0-9]", re.IGNORECASE
)
_L = "авекмнорстухabekmhopctyx"
PLATE = re.compile(rf"(?<!\w)[{_L}][\s-]?\d{{3}}[\s-]?[{_L}][\s-]?[{_L}](?:[\s-]?\d{{2,3}})?(?!\w)", re.IGNORECASE)
_N = (
    r"(?:ноль|один|одна|два|три|четыре|пять|шесть|семь|восемь|девять|\w+надцать|двадцать|тридцать|сорок|\w+десят|девяносто"
    r"|сто|двести|триста|четыреста|\w+сот|\d+)"
)
_LETTER = r"(?:[авекмнорстух]|вэ|ка|эм|эн|эр|эс|тэ|ха|ве)"
SPOKEN_PLATE = re.compile(
    rf"(?<!\w){_LETTER}\s{_N}(?:\s{_N}){{0,2}}\s{_LETTER}\s?{_LETTER}(?:\s(?:регион\s)?{_N}(?:\s{_N}){{0,2}})?(?!\w)",
    re.IGNORECASE,
)
CARD = re.compile(r"(?<![\d])\d(?:[ -]?\d){12,18}(?!\d)")


def written(text: str, language: str, before: str) -> Iterator[tuple[int, int, str]]:  # noqa: ARG001 - as the others
    """Spans of what has a form of its own."""
    for pattern in (EMAIL, SPOKEN_EMAIL):
        yield from ((m.start(), m.end(), "EMAIL") for m in pattern.finditer(text))
    for match in VIN.finditer(text):
        letters, digits = (sum(check(c) for c in match[0]) for check in (str.isalpha, str.isdigit))
        if digits >= 4 and letters >= 2:
            yield match.start(), match.end(), "VIN"
    for pattern in (PLATE, SPOKEN_PLATE):
        yield from ((m.start(), m.end(), "PLATE") for m in pattern.finditer(text))
    for match in CARD.finditer(text):
        if luhn(re.sub(r"\D", "", match[0])):
            yield match.start(), match.end(), "CARD"


def luhn(digits: str) -> bool:
    """Whether the check digit of a card's number is right (ISO/IEC 7812-1)."""
    doubled = [int(d) * (1 + n % 2) for n, d in enumerate(reversed(digits))]
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0
