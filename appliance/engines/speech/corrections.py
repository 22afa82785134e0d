"""Names that were nearly heard are put right: "хавал джульен" is written "Хавал Джулион".

Only a word that no dictionary knows is touched, so that ordinary speech stays as it is; what was heard is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from rapidfuzz import process
from rapidfuzz.distance import OSA

from appliance.engines.speech import Correction, SpokenSegment, Transcription, Word
from appliance.engines.speech.vocabulary import Vocabulary, is_cyrillic, key_of

ALIKE_ALONE = 0.8
"""Least likeness of a word to a name that nothing beside it speaks for: one letter of five. None of the 1196
sentences of the repository's dialogues, masking set and training phrases is changed by it."""

ALIKE_BESIDE = 0.75
"""Beside the make or model that it belongs to: "джулин" to "Джулион"."""

SHORTEST_ALONE, SHORTEST_BESIDE = 6, 4
"""Letters: short words are like too many others."""

LANGUAGES = ("ru", "en")
"""Those with a dictionary; elsewhere only listed mishearings are put right."""

LONGEST_HEARD = 4

LETTERS = re.compile(r"^(\W*)([^\W\d_](?:.*[^\W_])?)(\W*)$", re.DOTALL)
UNSTRESSED = str.maketrans({"о": "а", "е": "и", "э": "и", "ы": "и", "я": "а", "ю": "у", "ь": "", "ъ": ""})


def corrected(transcription: Transcription, vocabulary: Vocabulary) -> Transcription:
    """The transcription with its names put right, each with what had been heard in `corrections`."""
    segments: list[SpokenSegment] = []
    found: list[Correction] = []
    for segment in transcription.segments:
        segment, changes = _segment_corrected(segment, vocabulary)  # noqa: PLW2901 - it takes its place
        segments.append(segment)
        found += changes
    return replace(transcription, segments=tuple(segments), corrections=tuple(found))


def _segment_corrected(segment: SpokenSegment, vocabulary: Vocabulary) -> tuple[SpokenSegment, list[Correction]]:
    words = segment.words or tuple(
        Word(text, segment.start_ms, segment.end_ms, segment.confidence) for text in segment.text.split()
    )
    kept, changes = _listed(words, vocabulary)
    if segment.language in LANGUAGES:
        kept, alike = _alike(kept, vocabulary)
        changes = sorted(changes + alike, key=lambda change: change.start_ms)
    if not changes:
        return segment, []
    text = " ".join(word.text for word in kept)
    return replace(segment, text=text, words=tuple(kept) if segment.words else ()), changes


def _listed(words: Sequence[Word], vocabulary: Vocabulary) -> tuple[list[Word], list[Correction]]:
    """Known mishearings, the longest first."""
    kept: list[Word] = []
    changes: list[Correction] = []
    keys = [key_of(_parts(word.text)[1]) for word in words]
    at = 0
    while at < len(words):
        for length in range(min(LONGEST_HEARD, len(words) - at), 0, -1):
            written = vocabulary.heard.get(tuple(keys[at : at + length]))
            if written:
                right = _respelt(words[at : at + length], written)
                changes.append(_correction(words[at : at + length], right))
                kept += right
                at += length
                break
        else:
            kept.append(words[at])
            at += 1
    return kept, changes


def _alike(words: Sequence[Word], vocabulary: Vocabulary) -> tuple[list[Word], list[Correction]]:
    kept = list(words)
    changes: list[Correction] = []
    keys = [key_of(_parts(word.text)[1]) for word in words]
    for at, key in enumerate(keys):
        if len(key) < SHORTEST_BESIDE or key in vocabulary.right or is_ordinary(key):
            continue
        beside = {
            **(vocabulary.second_after.get(keys[at - 1], {}) if at else {}),
            **(vocabulary.first_before.get(keys[at + 1], {}) if at + 1 < len(keys) else {}),
        }
        name = likest(key, beside, ALIKE_BESIDE)
        if name is None and len(key) >= SHORTEST_ALONE:
            name = likest(key, vocabulary.alone_forms, ALIKE_ALONE)
        if name is not None:
            kept[at] = _respelt(words[at : at + 1], (name,))[0]
            keys[at] = key_of(name)
            changes.append(_correction(words[at : at + 1], kept[at : at + 1]))
    return kept, changes


def likest(key: str, names: Mapping[str, str], least: float) -> str | None:
    """The name that a word sounds most like, at least so much."""
    if not names:
        return None
    sound, letters = sound_of(key), is_cyrillic(key)
    sounds = {form: sound_of(form) for form in names if is_cyrillic(form) == letters}
    found = process.extract(sound, sounds, scorer=OSA.normalized_similarity, score_cutoff=least, limit=5)
    near = [(form, score) for other, score, form in found if other[:1] == sound[:1]]
    best = max((score for _, score in near), default=0)
    # Of what sounds the same, the letters decide: the ending that was heard stays.
    likely = [form for form, score in near if score == best]
    return names[max(likely, key=lambda form: OSA.normalized_similarity(key, form))] if likely else None


@lru_cache(maxsize=65_536)
def sound_of(word: str) -> str:
    """A word without what is hardly heard: which of two unstressed vowels it is, soft signs, double letters."""
    return re.sub(r"(.)\1+", r"\1", word.translate(UNSTRESSED).replace("тс", "ц"))


@lru_cache(maxsize=65_536)
def is_ordinary(word: str) -> bool:
    """Whether a dictionary knows a word: pymorphy3's for Cyrillic letters, simplemma's English one for others."""
    if is_cyrillic(word):
        parts = [part for part in word.split("-") if part]
        return all(bool(_dictionary().word_is_known(part)) for part in parts)
    import simplemma

    return bool(simplemma.is_known(word, lang="en"))


@lru_cache(maxsize=1)
def _dictionary() -> Any:
    import pymorphy3

    return pymorphy3.MorphAnalyzer(lang="ru")


def _parts(text: str) -> tuple[str, str, str]:
    """A word between its punctuation; nothing but punctuation and digits is no word."""
    found = LETTERS.match(text)
    return (found[1], found[2], found[3]) if found else (text, "", "")


def _respelt(words: Sequence[Word], written: Sequence[str]) -> list[Word]:
    """The words written otherwise, over the same time; punctuation around them stays."""
    before, after = _parts(words[0].text)[0], _parts(words[-1].text)[2]
    texts = list(written)
    texts[0] = before + texts[0]
    texts[-1] += after
    if len(texts) == len(words):
        return [replace(word, text=text) for word, text in zip(words, texts, strict=True)]
    start_ms, length_ms = words[0].start_ms, words[-1].end_ms - words[0].start_ms
    probability = sum(word.probability for word in words) / len(words)
    borders = [start_ms + length_ms * n // len(texts) for n in range(len(texts) + 1)]
    return [Word(text, borders[n], borders[n + 1], probability) for n, text in enumerate(texts)]


def _correction(heard: Sequence[Word], written: Sequence[Word]) -> Correction:
    return Correction(
        heard[0].start_ms,
        heard[-1].end_ms,
        " ".join(word.text for word in heard),
        " ".join(word.text for word in written),
    )
