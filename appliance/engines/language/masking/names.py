"""Names of people: Slovnet's tagger and the grammar for Russian, capitals and what introduces a name for English."""

from __future__ import annotations

import importlib.util
import re
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from appliance.engines.language.builtin.lemmas import _morphology as morphology
from appliance.engines.language.masking.lexicon import words

WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
CUE = re.compile(
    r"(?:меня зовут|зовут|меня звать|мо[её] имя|на имя|фамилия|по фамилии)\s+(?:(?:моя|мой|у меня)\s+)?", re.IGNORECASE
)
ENGLISH_CUE = re.compile(
    r"\b(?:my name is|name's|this is|i am|i'm|speak (?:to|with)|ask for|mr\.?|mrs\.?|ms\.?|miss|dr\.?"
    r"|(?:last|first) name is|named)\s+",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"(?:^|[.!?…]\s+|[\"«]\s*)$")
LIKELY = 0.35
"""Share of a word's readings that must be a name."""

CERTAIN, RARE = 0.6, 0.1
"""The same for a word in lower case, and for one that is a common word as well."""

_lock = threading.Lock()


@lru_cache
def _tagger() -> Any:
    from navec import Navec
    from slovnet import NER

    spec = importlib.util.find_spec("natasha")
    home = Path(str(spec.origin)).parent / "data" if spec else Path()
    tagger = NER.load(home / "model" / "slovnet_ner_news_v1.tar")
    tagger.navec(Navec.load(home / "emb" / "navec_news_v1_1B_250K_300d_100q.tar"))
    return tagger


@lru_cache(maxsize=50_000)
def _shares(lower: str) -> tuple[float, float, float]:
    """How likely a Russian word is a first name, a patronymic, a surname."""
    made = [0.0, 0.0, 0.0]
    for reading in morphology().parse(lower):
        for n, tag in enumerate(("Name", "Patr", "Surn")):
            if tag in reading.tag:
                made[n] += reading.score
    return made[0], made[1], made[2]


def names(text: str, language: str, before: str) -> Iterator[tuple[int, int, str]]:  # noqa: ARG001 - as the others
    """Spans of names; a name of several words is one span."""
    cyrillic = bool(re.search("[а-яё]", text, re.IGNORECASE))
    marks = _russian(text) if cyrillic else _english(text)
    yield from ((a, b, "NAME") for a, b in _joined(text, sorted(set(marks))))


def _russian(text: str) -> Iterator[tuple[int, int]]:
    with _lock:
        tagged = [(s.start, s.stop) for s in _tagger()(text).spans if s.type == "PER"]
    found = list(WORD.finditer(text))
    cued = {m.end() for m in CUE.finditer(text)}
    named_before = False
    for n, match in enumerate(found):
        lower = match[0].lower().replace("ё", "е")
        first, patronymic, last = _shares(lower)
        capital = match[0][0].isupper()
        begins = bool(SENTENCE.search(text[: match.start()]))
        following = found[n + 1][0].lower() if n + 1 < len(found) else ""
        between = text[found[n - 1].end() : match.start()] if n else ""
        is_cued = match.start() in cued
        if _is_car(lower):
            is_name = is_cued and first >= LIKELY
        elif (
            (_is_in(match.start(), tagged) and not (begins and _is_verb(lower)))
            or patronymic >= LIKELY
            or (is_cued and (capital or first or last))
        ):
            is_name = True
        elif lower in words("not_names"):
            is_name = capital and first >= RARE and (not begins or text[match.end() : match.end() + 1] == ",")
        elif first >= LIKELY:
            is_name = capital or first >= CERTAIN
        elif last >= LIKELY and len(lower) > 3:
            beside = named_before or max(_shares(following)[:2]) >= LIKELY
            is_name = (capital and not begins) or beside
        else:
            is_name = named_before and capital and len(lower) > 2 and between.isspace()
        named_before = is_name
        if is_name:
            yield match.span()


def _is_in(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


def _is_verb(lower: str) -> bool:
    """A request at the beginning of a sentence has a capital too, and the tagger takes it for a name at times."""
    return "VERB" in morphology().parse(lower)[0].tag and not any(_shares(lower))


def _is_car(lower: str) -> bool:
    forms = {lower, *(str(reading.normal_form).replace("ё", "е") for reading in morphology().parse(lower))}
    return not forms.isdisjoint(words("cars"))


def _english(text: str) -> Iterator[tuple[int, int]]:
    cued = {m.end() for m in ENGLISH_CUE.finditer(text)}
    named_before = False
    for match in re.finditer(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text):
        lower = match[0].lower().removesuffix("'s")
        begins = bool(SENTENCE.search(text[: match.start()]))
        known = lower in words("english_capitals") or lower in words("cars")
        is_name = match[0][0].isupper() and not known and (not begins or match.start() in cued or named_before)
        named_before = is_name
        if is_name:
            yield match.start(), match.start() + len(match[0].removesuffix("'s"))


def _joined(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Neighbours with nothing but a space between are one name."""
    current: tuple[int, int] | None = None
    for start, end in spans:
        if current and text[current[1] : start].isspace():
            current = (current[0], end)
            continue
        if current:
            yield current
        current = (start, end)
    if current:
        yield current


def known_names(text: str, people: Sequence[str]) -> list[tuple[int, int, str]]:
    """Where words of names that were found elsewhere in the call stand, in whatever case they are written."""
    wanted = {_stem(part) for person in people for part in WORD.findall(person) if len(part) > 2}
    return [(m.start(), m.end(), "NAME") for m in WORD.finditer(text) if len(m[0]) > 2 and _stem(m[0]) in wanted]


@lru_cache(maxsize=50_000)
def _stem(token: str) -> str:
    lower = token.lower().replace("ё", "е")
    if lower in words("not_names") or lower in words("cars"):
        return token  # a common word is a name only where it is written as that one was
    return str(morphology().parse(lower)[0].normal_form)
