"""What both engines do alike: find speech, cut it into chunks, settle the language, put the pieces together."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import TypeAdapter

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import Samples, SpokenSegment, Transcription, Word
from appliance.engines.speech.chunks import Chunk, chunks_of, skipped
from appliance.engines.speech.guard import guarded
from appliance.engines.speech.vocabulary import Vocabulary
from appliance.engines.voice_activity import speech_regions

CHUNKS_FOR_LANGUAGE = 2
"""Up to a minute of speech decides on the language."""


class Recogniser(Protocol):
    """What differs between the engines."""

    longest_ms: int
    """Speech that the weights are given at a time."""

    takes_hot_words: bool
    """Whether it can be told of names to expect, and its weights understand that."""

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        """The probability of each language that the weights know."""
        ...

    def recognise(self, chunk: Chunk, language: str, hot_words: Sequence[str] = ()) -> list[SpokenSegment]:
        """The segments of a chunk, times in milliseconds from the chunk's start. `hot_words`: names to expect in it."""
        ...


SEGMENTS = TypeAdapter(list[SpokenSegment])


class Recalled:
    """A recogniser that is not asked again what it has answered: whatever is made of its answers comes out alike."""

    def __init__(self, recogniser: Recogniser, recall: Recall) -> None:
        self.longest_ms = recogniser.longest_ms
        self.takes_hot_words = recogniser.takes_hot_words
        self._recogniser, self._recall = recogniser, recall

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        question = ["language", zlib.crc32(samples.tobytes())]
        found: dict[str, float] = self._recall(question, lambda: dict(self._recogniser.language_probabilities(samples)))
        return dict(sorted(found.items()))

    def recognise(self, chunk: Chunk, language: str, hot_words: Sequence[str] = ()) -> list[SpokenSegment]:
        question = ["words", chunk.pieces[0].start_ms, chunk.pieces[-1].end_ms, language]
        # Sums alone: what is said and who works here is not kept with the steps.
        question += [zlib.crc32(chunk.samples.tobytes()), zlib.crc32("\n".join(hot_words).encode())]

        def listen() -> list[dict[str, Any]]:
            heard = self._recogniser.recognise(chunk, language, hot_words)
            found: list[dict[str, Any]] = SEGMENTS.dump_python(heard, mode="json")
            return found

        return SEGMENTS.validate_python(self._recall(question, listen))


def transcribe(
    recogniser: Recogniser,
    samples: Samples,
    languages: Sequence[str],
    vocabulary: Vocabulary,
    on_progress: Callable[[float], None],
    recall: Recall = afresh,
) -> Transcription:
    """Recognise a channel chunk by chunk; each chunk is a step, before which progress is told."""
    recogniser = Recalled(recogniser, recall)
    chunks = chunks_of(samples, speech_regions(samples, recall=recall), recogniser.longest_ms)
    if not chunks:
        return Transcription(languages[0] if languages else "und", 0.0, ())
    language, probability = choose_language(recogniser, chunks, languages)
    hot_words = vocabulary.hot_words(language) if recogniser.takes_hot_words else ()
    total = sum(chunk.duration_ms for chunk in chunks)
    done, segments = 0, []
    for chunk in chunks:
        on_progress(done / total)
        segments += recognise_all(recogniser, chunk, language, hot_words)
        done += chunk.duration_ms
    on_progress(1.0)
    kept, removals = guarded(segments, {language: hot_words})
    return Transcription(language, probability, tuple(kept), tuple(removals))


def recognise_all(
    recogniser: Recogniser, chunk: Chunk, language: str, hot_words: Sequence[str] = ()
) -> list[SpokenSegment]:
    """The segments of a chunk, times of the recording; speech that the engine passed over is given to it once more.

    Whisper now and then leaves a sentence out or stops before the end of its window. The second time it is told of no
    names: where there was nothing to hear it would recite them.
    """
    first = recogniser.recognise(chunk, language, hot_words)
    found = [placed(chunk, segment) for segment in first]
    for rest in skipped(chunk, [(segment.start_ms, segment.end_ms) for segment in first]):
        found += [placed(rest, segment) for segment in recogniser.recognise(rest, language)]
    return sorted(found, key=lambda segment: segment.start_ms)


def choose_language(recogniser: Recogniser, chunks: Sequence[Chunk], languages: Sequence[str]) -> tuple[str, float]:
    """The language with the highest mean probability over the first chunks, and its share among the allowed ones."""
    if len(languages) == 1:
        return languages[0], 1.0
    sums: dict[str, float] = {}
    for chunk in chunks[:CHUNKS_FOR_LANGUAGE]:
        for code, probability in recogniser.language_probabilities(chunk.samples).items():
            if not languages or code in languages:
                sums[code] = sums.get(code, 0.0) + probability
    if not sums:
        return languages[0], 0.0
    best = max(sums, key=lambda code: sums[code])
    return best, sums[best] / (sum(sums.values()) or 1.0)


def placed(chunk: Chunk, segment: SpokenSegment) -> SpokenSegment:
    """A chunk's segment with times of the recording."""
    words = tuple(Word(w.text, *chunk.original_span(w.start_ms, w.end_ms), w.probability) for w in segment.words)
    start_ms, end_ms = chunk.original_span(segment.start_ms, segment.end_ms)
    return replace(segment, start_ms=start_ms, end_ms=end_ms, words=words)


def confidence_of(words: Sequence[Word]) -> float:
    """The mean probability of the words; 0 where there are none."""
    return sum(word.probability for word in words) / len(words) if words else 0.0


def joined(pieces: Sequence[Word]) -> list[Word]:
    """Pieces of text to words: a piece that begins with a space begins one, others belong to the one before.

    The library takes the second half of "тест-драйв" for a word of its own.
    """
    words: list[Word] = []
    for piece in pieces:
        if words and not piece.text.startswith(" "):
            before = words[-1]
            mean = (before.probability + piece.probability) / 2
            words[-1] = Word(before.text + piece.text.rstrip(), before.start_ms, piece.end_ms, mean)
        elif piece.text.strip():
            words.append(Word(piece.text.strip(), piece.start_ms, piece.end_ms, piece.probability))
    return words


def spread(words: Sequence[Word], start_ms: int, end_ms: int) -> tuple[Word, ...]:
    """Words with times within their segment, in order, none without length.

    Alignment by attention places words badly now and then: several at one instant, or outside. Where fewer than half of
    a segment's words have a length of their own, they are laid out by their letters instead.
    """
    if not words:
        return ()
    inside = [(max(start_ms, min(w.start_ms, end_ms)), max(start_ms, min(w.end_ms, end_ms))) for w in words]
    if 2 * sum(end > start for start, end in inside) < len(words):
        letters = [len(w.text) + 1 for w in words]
        total, at, inside = sum(letters), 0, []
        for count in letters:
            inside.append(
                (start_ms + (end_ms - start_ms) * at // total, start_ms + (end_ms - start_ms) * (at + count) // total)
            )
            at += count
    placed_words, earliest = [], start_ms
    for word, (start, end) in zip(words, inside, strict=True):
        start_at = max(start, earliest)
        end_at = max(end, start_at)
        placed_words.append(Word(word.text, start_at, end_at, word.probability))
        earliest = start_at
    return tuple(placed_words)
