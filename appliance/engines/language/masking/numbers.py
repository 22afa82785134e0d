"""Numbers that belong to somebody: phones, cards, passports; in digits or dictated in words, whole or in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import phonenumbers

from appliance.engines.language.builtin.lemmas import word
from appliance.engines.language.masking.lexicon import number_words, words

TOKEN = re.compile(r"[^\W\d_]+|\d+")
BETWEEN = re.compile(r"[\s,.()+\-–—№]*")
DATE = re.compile(r"\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{4}-\d\d-\d\d|\d{1,2}:\d\d")
THOUSANDS = re.compile(r"[1-9]\d{0,2}([ .,]\d{3})*[ .,]000")
YEAR = re.compile(r"(?:19|20)\d\d")

VALUES: dict[str, str] = number_words()
"""Words of numbers to their digits; `double` and `triple`, which belong to what follows, to none."""

PHONE_DIGITS = 7
"""A local number; a shorter run belongs to somebody only where the words around it say so."""

CUED_DIGITS = 4

PASSPORT = re.compile(r"паспорт|серия|passport", re.IGNORECASE)
CARD = re.compile(r"карт[аыуе]|card", re.IGNORECASE)
PHONE = re.compile(
    r"телефон|номер|позвон|перезвон|наб(?:ер|рать)|запи(?:ш|сыва)|продикту|диктую|звон|мобильн|whats|ватсап|вотсап|добавочн"
    r"|последние цифры|phone|number|call (?:me|us|him|her)|reach|cell|mobile|extension|digits",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Run:
    """Numbers one after the other. `digits` as if they were written; `amount`: a sum, a distance or the like."""

    start: int
    end: int
    digits: str
    tokens: int
    amount: bool


def value_of(token: str) -> str | None:
    """The digits of a number or a word for one; None for other words."""
    if token.isdigit():
        return token
    lower = token.lower().replace("ё", "е")
    if lower in VALUES:
        return VALUES[lower]
    if lower.isascii() or len(lower) < 3:
        return None
    return VALUES.get(word(lower, "ru").lemma)


def runs(text: str) -> list[Run]:
    """The runs of numbers in a text."""
    found: list[Run] = []
    current: list[tuple[re.Match[str], str]] = []
    for match in [*TOKEN.finditer(text), None]:
        value = value_of(match[0]) if match else None
        near = current and match and BETWEEN.fullmatch(text, current[-1][0].end(), match.start())
        if current and (value is None or not near):
            found.append(_run(text, current, match if near else None))
            current = []
        if match and value is not None:
            current.append((match, value))
    return found


def _run(text: str, parts: list[tuple[re.Match[str], str]], following: re.Match[str] | None) -> Run:
    start, end = parts[0][0].start(), parts[-1][0].end()
    digits, room = "", 0
    for _, value in parts:
        spoken = int(value) if value else 0
        if value and 0 < spoken < room and len(str(spoken)) <= len(str(room)) - 1:
            digits = digits[: -len(value)] + value  # "девятьсот" and "шестнадцать" are 916
        else:
            digits += value
        room = 100 if value.endswith("00") and len(value) == 3 else 10 if 20 <= spoken <= 90 and spoken % 10 == 0 else 0
        room = 10 if room == 0 and 100 < spoken < 1000 and spoken % 100 == 20 else room
    written = text[start:end]
    next_word = following[0].lower() if following else ""
    lemma = word(next_word, "ru").lemma if next_word and not next_word.isascii() else next_word
    years = all(YEAR.fullmatch(m[0]) for m, _ in parts)
    amount = bool(
        lemma in words("units")
        or next_word in words("units")
        or DATE.fullmatch(written)
        or THOUSANDS.fullmatch(written)
        or years
        or text[end : end + 2].strip()[:1] in {"₽", "$", "%", "€"}
    )
    return Run(start - (text[start - 1 : start] == "+"), end, digits, len(parts), amount)


def numbers(text: str, language: str, before: str) -> Iterator[tuple[int, int, str]]:  # noqa: ARG001 - as the others
    """Spans of phones, cards and passports; `before` may say what a number is."""
    for match in phonenumbers.PhoneNumberMatcher(text, "RU", leniency=phonenumbers.Leniency.VALID):
        if not PASSPORT.search(f"{before} {text[: match.start]}"):
            yield match.start, match.end, "PHONE"
    for run in runs(text):
        context = f"{before[-120:]} {text[: run.start]}"
        if run.amount and len(run.digits) < 10:
            continue
        if kind := _kind(run, context, text[max(0, run.start - 60) : run.start]):
            yield run.start, run.end, kind


def _kind(run: Run, context: str, just_before: str) -> str:
    size = len(run.digits)
    if PASSPORT.search(context) and 4 <= size <= 10:
        return "PASSPORT"
    if size >= 13 and (CARD.search(context) or 15 <= size <= 19):
        return "CARD"
    dictated_part = size >= CUED_DIGITS and run.tokens > 1 and PHONE.search(just_before)
    return "PHONE" if size >= PHONE_DIGITS or dictated_part else ""


def dictated(said: Sequence[str]) -> list[list[tuple[int, int, str]]]:
    """Pieces of numbers that are dictated over several utterances, for each of them."""
    made: list[list[tuple[int, int, str]]] = [[] for _ in said]
    bare = [[run for run in runs(text) if not run.amount and _is_all(text, run)] for text in said]
    for n, found in enumerate(bare):
        near = range(max(0, n - 3), min(len(said), n + 4))
        others = sum(len(run.digits) for m in near for run in bare[m])
        cued = any(PHONE.search(said[m]) or PASSPORT.search(said[m]) or CARD.search(said[m]) for m in near if m <= n)
        if found and others >= (CUED_DIGITS if cued else PHONE_DIGITS):
            made[n] += [(run.start, run.end, "PHONE") for run in found if len(run.digits) >= 2]
    return made


def _is_all(text: str, run: Run) -> bool:
    """Whether an utterance says hardly more than a number."""
    return len(TOKEN.findall(text[: run.start] + text[run.end :])) <= 2
