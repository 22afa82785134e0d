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
from appliance.engines.language.masking.people import (
    LEAST_LETTERS,
    LIKELY,
    RARE,
    SENTENCE,
    WORD,
    People,
    is_other_word,
    shares,
)
from appliance.engines.speech.vocabulary import forms_of, key_of

CUE = re.compile(
    r"(?:меня зовут|зовут|меня звать|мо[её] имя|на имя|фамилия|по фамилии)\s+(?:(?:моя|мой|у меня)\s+)?", re.IGNORECASE
)
HINT = re.compile(
    r"(?<!\w)(?:это|я|с вами|беспокоит|говорит|звонит|менеджер\w{0,2}|мастер\w{0,2}|директор\w{0,2}|господин\w{0,2}"
    r"|госпож\w{1,2}|муж\w{0,2}|жен[аеуы]|сын\w{0,2}|дочь|брат\w{0,2})\s+",
    re.IGNORECASE,
)
"""A name may follow, and much else: words that might be one are shown to the tagger with capitals."""

NAME_WORDS = 3
"""First name, patronymic and surname."""

ENGLISH_CUE = re.compile(
    r"\b(?:my name is|name's|this is|speak(?:ing)? (?:to|with)|ask for|mr\.?|mrs\.?|ms\.?|miss|dr\.?"
    r"|(?:last|first) name is|named)\s+",
    re.IGNORECASE,
)
ENGLISH_HINT = re.compile(r"\b(?:i am|i'm)\s+", re.IGNORECASE)

CERTAIN = 0.6
"""Share of the readings of a word in lower case that must be a first name."""

CERTAIN_SURNAME, SURNAME_LETTERS = 0.9, 5
"""The same of a surname, and how long it must be: many of them are other words as well."""

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


def names(text: str, people: People) -> Iterator[tuple[int, int, str]]:
    """Spans of names, those of `people` among them; a name of several words is one span."""
    cyrillic = bool(re.search("[а-яё]", text, re.IGNORECASE))
    marks = {*(_russian(text) if cyrillic else _english(text)), *people.spans(text)}
    yield from ((a, b, "NAME") for a, b in _joined(text, sorted(marks)))


def _russian(text: str) -> Iterator[tuple[int, int]]:
    found = list(WORD.finditer(text))
    tagged = [*_tagged(text), *_tagged_in_capitals(text, found)]
    cued = {m.end() for m in CUE.finditer(text)}
    named_before = False
    for n, match in enumerate(found):
        lower = match[0].lower().replace("ё", "е")
        first, patronymic, last = shares(lower)
        capital = match[0][0].isupper()
        begins = bool(SENTENCE.search(text[: match.start()]))
        following = found[n + 1][0].lower() if n + 1 < len(found) else ""
        between = text[found[n - 1].end() : match.start()] if n else ""
        is_cued = match.start() in cued
        is_known = bool(morphology().word_is_known(lower))
        if _is_car(lower):
            is_name = is_cued and first >= LIKELY
        elif (
            (_is_in(match.start(), tagged) and not (begins and _is_verb(lower)))
            or patronymic >= LIKELY
            or (is_cued and (capital or first or last or not is_known))
        ):
            is_name = True
        elif lower in words("not_names"):
            is_name = capital and first >= RARE and (not begins or text[match.end() : match.end() + 1] == ",")
        elif first >= LIKELY:
            is_name = capital or first >= CERTAIN
        elif last >= LIKELY and len(lower) > 3:
            beside = named_before or max(shares(following)[:2]) >= LIKELY
            alone = last >= CERTAIN_SURNAME and is_known and len(lower) >= SURNAME_LETTERS
            is_name = (capital and not begins) or beside or alone
        else:
            is_name = named_before and (capital or not is_known) and len(lower) > 2 and between.isspace()
        named_before = is_name
        if is_name:
            yield match.span()


def _tagged(text: str) -> list[tuple[int, int]]:
    with _lock:
        return [(span.start, span.stop) for span in _tagger()(text).spans if span.type == "PER"]


def _tagged_in_capitals(text: str, found: Sequence[re.Match[str]]) -> list[tuple[int, int]]:
    """The same in a copy where words that may be names have capitals: the tagger learnt from news, which have them."""
    hinted = {m.end() for m in HINT.finditer(text)}
    marked: list[tuple[int, int]] = []
    for n, match in enumerate(found):
        if match.start() not in hinted:
            continue
        for candidate in found[n : n + NAME_WORDS]:
            if not _may_be_a_name(candidate[0]):
                break
            marked.append(candidate.span())
    if not marked:
        return []
    copy = list(text)
    for start, _ in marked:
        capital = copy[start].upper()
        copy[start] = capital if len(capital) == 1 else copy[start]  # places must stay as they are
    tagged = _tagged("".join(copy))
    return [span for span in marked if _is_in(span[0], tagged)]


def _may_be_a_name(word: str) -> bool:
    """Whether a word in lower case is a name at times, or none that the dictionary knows."""
    lower = key_of(word)
    if word[0].isupper() or len(lower) < LEAST_LETTERS or _is_car(lower):
        return False
    first, patronymic, last = shares(lower)
    return (
        not morphology().word_is_known(lower)
        or max(patronymic, last, first) >= RARE
        or (first > 0 and lower in words("not_names"))
    )


def _is_in(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


def _is_verb(lower: str) -> bool:
    """A request at the beginning of a sentence has a capital too, and the tagger takes it for a name at times."""
    return "VERB" in morphology().parse(lower)[0].tag and not any(shares(lower))


@lru_cache
def _cars() -> frozenset[str]:
    """Names of cars in every case: the dictionary takes some of them for people's."""
    return frozenset(key_of(form) for name in words("cars") for form in forms_of(name))


def _is_car(lower: str) -> bool:
    forms = {lower, *(key_of(str(reading.normal_form)) for reading in morphology().parse(lower))}
    return lower in _cars() or not forms.isdisjoint(words("cars"))


def _english(text: str) -> Iterator[tuple[int, int]]:
    cued = {m.end() for m in ENGLISH_CUE.finditer(text)}
    hinted = {m.end() for m in ENGLISH_HINT.finditer(text)}
    end_before: int | None = None
    for match in re.finditer(r"[^\W\d_]+(?:['-][^\W\d_]+)*", text):
        lower = match[0].lower().removesuffix("'s")
        begins = bool(SENTENCE.search(text[: match.start()]))
        named_before = end_before is not None
        is_cued = match.start() in cued
        if lower in words("english_capitals") or lower in words("cars"):
            is_name = False
        elif match[0][0].isupper() and (not begins or is_cued or match.start() in hinted or named_before):
            is_name = True
        else:
            beside = end_before is not None and text[end_before : match.start()].isspace()
            is_name = _is_english_name(lower, cued=is_cued, beside=beside)
        end_before = match.end() if is_name else None
        if is_name:
            yield match.start(), match.start() + len(match[0].removesuffix("'s"))


def _is_english_name(lower: str, *, cued: bool, beside: bool) -> bool:
    """Whether a word is a name although its case does not say so. cued: what comes before says it."""
    if lower in words("english_names"):
        return True
    if len(lower) < LEAST_LETTERS or not (cued or beside):
        return False
    is_surname = lower in words("english_surnames_double") or not is_other_word(lower)
    return is_surname or (cued and lower in words("english_names_double"))


def _joined(text: str, spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Neighbours with nothing but a space between, and such as overlap, are one name."""
    current: tuple[int, int] | None = None
    for start, end in spans:
        if current and (start < current[1] or text[current[1] : start].isspace()):
            current = (current[0], max(current[1], end))
            continue
        if current:
            yield current
        current = (start, end)
    if current:
        yield current
