"""Who said which words: the engine's words laid over the diarizer's turns, or over the channels of a stereo call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.engines.diarization import SpeakerTurn
from appliance.engines.speech import SpokenSegment, Word

PAUSE_MS = 1000
"""A pause this long within one speaker's words begins a new segment."""

LONG_MS = 20_000
"""A segment this long ends with its sentence."""

SENTENCE_END = (".", "!", "?", "…")


@dataclass(frozen=True, slots=True)
class SpeakerSegment:
    """What one speaker number says without a break. Fields as in SpokenSegment."""

    start_ms: int
    end_ms: int
    speaker: int
    text: str
    confidence: float
    language: str
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class _SaidWord:
    word: Word
    speaker: int
    language: str


def attribute(segments: Sequence[SpokenSegment], turns: Sequence[SpeakerTurn]) -> list[SpeakerSegment]:
    """Give each word to the voice that speaks while it is said, then join each voice's words to segments.

    A segment of the engine is one sentence of one person more often than not, and its outer times are better than those
    of its words: where one voice holds most of it, it gets the whole segment.
    """
    said: list[_SaidWord] = []
    for segment in segments:
        shares = _shares(segment.start_ms, segment.end_ms, turns)
        whole = max(shares, key=lambda voice: shares[voice], default=0)
        mostly_one = not shares or shares[whole] >= DOMINANT * sum(shares.values())
        for word in segment.words or (_whole_segment(segment),):
            speaker = whole if mostly_one else _voice_at(word, turns)
            said.append(_SaidWord(word, speaker, segment.language))
    return _joined(_without_single_flips(said))


DOMINANT = 0.8
"""Share of a segment's speech from which on all of it is one person's."""


def merge_channels(left: Sequence[SpokenSegment], right: Sequence[SpokenSegment]) -> list[SpeakerSegment]:
    """Both channels of a stereo call in order of time, overlaps kept; speaker 0 is left, 1 is right."""
    merged = []
    for speaker, segments in ((0, left), (1, right)):
        said = [
            _SaidWord(word, speaker, segment.language)
            for segment in segments
            for word in segment.words or (_whole_segment(segment),)
        ]
        merged += _joined(said)
    return sorted(merged, key=lambda segment: (segment.start_ms, segment.speaker))


def _whole_segment(segment: SpokenSegment) -> Word:
    return Word(segment.text, segment.start_ms, segment.end_ms, segment.confidence)


def _shares(start_ms: int, end_ms: int, turns: Iterable[SpeakerTurn]) -> dict[int, int]:
    """Milliseconds of each voice between two times."""
    shares: dict[int, int] = {}
    for turn in turns:
        overlap = min(end_ms, turn.end_ms) - max(start_ms, turn.start_ms)
        if overlap > 0:
            shares[turn.speaker] = shares.get(turn.speaker, 0) + overlap
    return shares


def _voice_at(word: Word, turns: Sequence[SpeakerTurn]) -> int:
    """The voice that covers most of a word, or the nearest one."""
    shares = _shares(word.start_ms, max(word.end_ms, word.start_ms + 1), turns)
    if shares:
        return max(shares, key=lambda voice: shares[voice])
    middle = (word.start_ms + word.end_ms) // 2
    return min(turns, key=lambda t: max(t.start_ms - middle, middle - t.end_ms)).speaker if turns else 0


def _without_single_flips(said: Sequence[_SaidWord]) -> list[_SaidWord]:
    """A single word between two of another voice, right after and right before them, is theirs."""
    smooth = list(said)
    for n in range(1, len(said) - 1):
        before, here, after = said[n - 1], said[n], said[n + 1]
        close = after.word.start_ms - before.word.end_ms < PAUSE_MS
        if before.speaker == after.speaker != here.speaker and close:
            smooth[n] = _SaidWord(here.word, before.speaker, here.language)
    return smooth


def _joined(said: Sequence[_SaidWord]) -> list[SpeakerSegment]:
    groups: list[list[_SaidWord]] = []
    for entry in said:
        if groups and not _begins_segment(groups[-1], entry):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    return [_segment_of(group) for group in groups]


def _begins_segment(group: Sequence[_SaidWord], entry: _SaidWord) -> bool:
    last = group[-1]
    if entry.speaker != last.speaker or entry.language != last.language:
        return True
    if entry.word.start_ms - last.word.end_ms >= PAUSE_MS:
        return True
    is_long = last.word.end_ms - group[0].word.start_ms >= LONG_MS
    return is_long and last.word.text.endswith(SENTENCE_END)


def _segment_of(group: Sequence[_SaidWord]) -> SpeakerSegment:
    words = tuple(entry.word for entry in group)
    return SpeakerSegment(
        start_ms=words[0].start_ms,
        end_ms=max(word.end_ms for word in words),
        speaker=group[0].speaker,
        text=" ".join(word.text for word in words),
        confidence=sum(word.probability for word in words) / len(words),
        language=group[0].language,
        words=words,
    )
