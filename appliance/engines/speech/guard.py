"""What Whisper invents: credits of videos over silence and music, loops, more words than anybody can say in the time.

Nothing vanishes unseen: whatever is taken out of a transcript is recorded with its time and the reason.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import yaml

from appliance.engines.speech import Removal, RemovalReason, SpokenSegment, Word

DATA = Path(__file__).parent / "inventions.yaml"

NO_SPEECH = 0.6
"""Whisper's own threshold (openai/whisper, transcribe.py), together with a low probability of the text."""

UNSURE = 0.37
"""Mean word probability of about Whisper's logprob_threshold of -1."""

DOUBTFUL_NO_SPEECH = 0.3
DOUBTFUL_CONFIDENCE = 0.4

MOST_COMPRESSED = 2.4
"""Whisper's compression_ratio_threshold: text that zlib shrinks more than this goes round in circles."""

FASTEST_WORDS_PER_S = 9.0
"""Rapid Russian is 4-5 words a second, an auctioneer's 6; beyond it the words were never said."""

FEWEST_TO_RATE = 6
"""The length of shorter segments is too uncertain to judge their pace."""

LONGEST_PHRASE = 8
PHRASE_REPEATS, WORD_REPEATS = 4, 6
"""So often in a row is a loop, not an answer: people say "да, да, да, да" and "алло? алло? алло?"."""


RECITED_NAMES = 4
"""So many hot words one after the other, in the very order in which the weights were told of them, are recited."""


@dataclass(frozen=True, slots=True)
class _Inventions:
    never: re.Pattern[str]
    alone: re.Pattern[str]
    doubtful: re.Pattern[str]


@lru_cache
def _inventions() -> _Inventions:
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    never, alone, doubtful = (
        "|".join(f"(?:{pattern})" for pattern in data[kind]) for kind in ("never", "alone", "doubtful")
    )
    return _Inventions(
        re.compile(rf"(?<!\w)(?:{never})(?!\w)"),
        re.compile(rf"(?:(?:{alone})(?: |$))+"),
        re.compile(rf"(?:(?:{doubtful})(?: |$))+"),
    )


def guarded(
    segments: Sequence[SpokenSegment], hot_words: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> tuple[list[SpokenSegment], list[Removal]]:
    """The segments without what was invented, and what was taken out of them, both in order of time.

    hot_words: the names that the weights were told to expect in each language, in that order.
    """
    told = {language: _Recited(names) for language, names in hot_words.items()}
    kept: list[SpokenSegment] = []
    removals: list[Removal] = []
    for segment in segments:
        recited = told.get(segment.language, NOTHING_RECITED)
        if reason := _whole_invention(segment) or recited.why_all_of(segment):
            removals.append(_removal(segment, reason))
            continue
        rest: SpokenSegment | None = segment
        recitals: tuple[RemovalReason, Cut] = ("hot_words", recited.within)
        for kind, cut in (*CUTS, recitals):
            if rest is not None and (gone := cut(_plain(rest))):
                removals += [_part(rest, first, last, kind) for first, last in gone]
                rest = _without(rest, gone)
        if rest is not None and compression_ratio(rest.text) > MOST_COMPRESSED:
            removals.append(_removal(rest, "repetition"))
        elif rest is not None:
            kept.append(rest)
    return kept, sorted(removals, key=lambda removal: removal.start_ms)


def compression_ratio(text: str) -> float:
    """Bytes of a text over its bytes compressed, as Whisper counts it."""
    raw = text.encode()
    return len(raw) / len(zlib.compress(raw)) if raw else 0.0


def plain(text: str) -> str:
    """Lower case, е for ё, no punctuation."""
    return " ".join(re.sub(r"[^\w\s]|_", " ", text.lower().replace("ё", "е").replace("'", "")).split())


def _whole_invention(segment: SpokenSegment) -> RemovalReason | None:
    said, listed = plain(segment.text), _inventions()
    if segment.no_speech_probability > NO_SPEECH and segment.confidence < UNSURE:
        return "no_speech"
    if not said or listed.alone.fullmatch(said):
        return "invention"
    unsure = segment.no_speech_probability > DOUBTFUL_NO_SPEECH or segment.confidence < DOUBTFUL_CONFIDENCE
    if unsure and listed.doubtful.fullmatch(said):
        return "invention"
    count, length_s = len(said.split()), (segment.end_ms - segment.start_ms) / 1000
    if count >= FEWEST_TO_RATE and count > FASTEST_WORDS_PER_S * length_s:
        return "word_rate"
    return None


def _plain(segment: SpokenSegment) -> list[str]:
    """Each of a segment's words in plain form; one written word may be several, or none."""
    return [plain(word.text) for word in _words_of(segment)]


def _words_of(segment: SpokenSegment) -> tuple[Word, ...]:
    if segment.words:
        return segment.words
    return tuple(Word(text, segment.start_ms, segment.end_ms, segment.confidence) for text in segment.text.split())


def _listed(words: Sequence[str]) -> list[tuple[int, int]]:
    """First and last word of each listed invention."""
    starts, text = [], ""
    for word in words:
        starts.append(len(text))
        text += word + " " if word else ""
    found = []
    for match in _inventions().never.finditer(text):
        inside = [n for n, start in enumerate(starts) if words[n] and match.start() <= start < match.end()]
        if inside:
            found.append((inside[0], inside[-1]))
    return found


def _repeated(words: Sequence[str]) -> list[tuple[int, int]]:
    """First and last word of what only repeats the phrase before it."""
    found, at = [], 0
    while at < len(words):
        for length in range(1, LONGEST_PHRASE + 1):
            phrase, times = words[at : at + length], 1
            while words[at + times * length : at + (times + 1) * length] == phrase:
                times += 1
            if times >= (WORD_REPEATS if length == 1 else PHRASE_REPEATS):
                found.append((at + length, at + times * length - 1))
                at += times * length - 1
                break
        at += 1
    return found


Cut = Callable[[Sequence[str]], list[tuple[int, int]]]
"""Which words of a segment's plain ones go: first and last of each stretch."""

CUTS: tuple[tuple[RemovalReason, Cut], ...] = (("invention", _listed), ("repetition", _repeated))


class _Recited:
    """Finds the hot words where nobody said them: Whisper goes on with its prompt where it hears nothing."""

    def __init__(self, hot_words: Sequence[str]) -> None:
        self._told = [(plain(word), n) for n, name in enumerate(hot_words) for word in name.split()]
        self._known = {word for word, _ in self._told}

    def why_all_of(self, segment: SpokenSegment) -> RemovalReason | None:
        """Why a segment goes that holds nothing but hot words, where the weights doubt that anybody spoke."""
        said = set(_plain(segment)) - {""}
        return "hot_words" if said <= self._known and segment.no_speech_probability > DOUBTFUL_NO_SPEECH else None

    def within(self, words: Sequence[str]) -> list[tuple[int, int]]:
        """First and last word of each stretch that goes through the names in their order."""
        found, at = [], 0
        while at < len(words):
            length, names = max((self._along(words, at, start) for start in range(len(self._told))), default=(0, 0))
            if names >= RECITED_NAMES:
                found.append((at, at + length - 1))
            at += length if names >= RECITED_NAMES else 1
        return found

    def _along(self, words: Sequence[str], at: int, start: int) -> tuple[int, int]:
        """How many words from `at` on are those told from `start` on, and of how many names."""
        length = 0
        for said, (word, _) in zip(words[at:], self._told[start:], strict=False):
            if said != word:
                break
            length += 1
        return length, len({n for _, n in self._told[start : start + length]})


NOTHING_RECITED = _Recited(())


def _removal(segment: SpokenSegment, reason: RemovalReason) -> Removal:
    return Removal(segment.start_ms, segment.end_ms, reason, segment.text)


def _part(segment: SpokenSegment, first: int, last: int, reason: RemovalReason) -> Removal:
    gone = _words_of(segment)[first : last + 1]
    text = " ".join(word.text for word in gone)
    return Removal(gone[0].start_ms, max(w.end_ms for w in gone), reason, text)


def _without(segment: SpokenSegment, gone: Sequence[tuple[int, int]]) -> SpokenSegment | None:
    left = [word for n, word in enumerate(_words_of(segment)) if not any(first <= n <= last for first, last in gone)]
    if not any(plain(word.text) for word in left):
        return None
    return replace(
        segment,
        start_ms=left[0].start_ms,
        end_ms=max(word.end_ms for word in left),
        text=" ".join(word.text for word in left),
        confidence=sum(word.probability for word in left) / len(left),
        words=tuple(left) if segment.words else (),
    )
