"""What both engines do alike: find speech, cut it into chunks, settle the language, put the pieces together."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from pydantic import TypeAdapter

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import Sound, SpokenSegment, Transcription, Word
from appliance.engines.speech.chunks import Chunk, Piece, chunks_of, skipped
from appliance.engines.speech.guard import guarded
from appliance.engines.speech.vocabulary import Vocabulary
from appliance.engines.voice_activity import speech_regions

BEAM = 5
"""Texts that are weighed against each other, as Whisper's authors measured it."""

CHUNKS_FOR_LANGUAGE = 2
"""Up to a minute of speech decides on the language that is spoken at first."""

SURE_OF_LANGUAGE = 0.8
"""Share of a language among the allowed ones from which on a chunk is taken to be in it."""

SHORTEST_FOR_LANGUAGE_MS = 3000
"""A word or two sound alike in many languages."""


class Recogniser(Protocol):
    """What differs between the engines."""

    longest_ms: int
    """Speech that the weights are given at a time."""

    takes_hot_words: bool
    """Whether it can be told of names to expect, and its weights understand that."""

    batch: int
    """How many chunks it is best given at once."""

    def language_probabilities(self, chunks: Sequence[Chunk]) -> list[dict[str, float]]:
        """For each chunk the probability of each language that the weights know."""
        ...

    def recognise(
        self, chunks: Sequence[Chunk], language: str, hot_words: Sequence[str] = ()
    ) -> list[list[SpokenSegment]]:
        """The segments of each chunk, times in milliseconds from the chunk's start. `hot_words`: names to expect."""
        ...


SEGMENTS = TypeAdapter(list[list[SpokenSegment]])


class Recalled:
    """A recogniser that is not asked again what it has answered: whatever is made of its answers comes out alike."""

    def __init__(self, recogniser: Recogniser, recall: Recall) -> None:
        self.longest_ms = recogniser.longest_ms
        self.takes_hot_words = recogniser.takes_hot_words
        self.batch = recogniser.batch
        self._recogniser, self._recall = recogniser, recall

    def language_probabilities(self, chunks: Sequence[Chunk]) -> list[dict[str, float]]:
        found = self._recall(["language", _sums_of(chunks)], lambda: self._recogniser.language_probabilities(chunks))
        return [dict(sorted(of_one.items())) for of_one in found]

    def recognise(
        self, chunks: Sequence[Chunk], language: str, hot_words: Sequence[str] = ()
    ) -> list[list[SpokenSegment]]:
        spans = [[chunk.pieces[0].start_ms, chunk.pieces[-1].end_ms] for chunk in chunks]
        question = ["words", spans, language, _sums_of(chunks), zlib.crc32("\n".join(hot_words).encode())]

        def listen() -> list[list[dict[str, Any]]]:
            heard = self._recogniser.recognise(chunks, language, hot_words)
            found: list[list[dict[str, Any]]] = SEGMENTS.dump_python(heard, mode="json")
            return found

        return SEGMENTS.validate_python(self._recall(question, listen))


def _sums_of(chunks: Sequence[Chunk]) -> list[int]:
    """What is said and who works here is not kept with the steps: sums tell as well whether it is the same."""
    return [zlib.crc32(chunk.samples.tobytes()) for chunk in chunks]


def transcribe(
    recogniser: Recogniser,
    samples: Sound,
    languages: Sequence[str],
    vocabulary: Vocabulary,
    on_progress: Callable[[float], None],
    recall: Recall = afresh,
) -> Transcription:
    """Recognise a channel batch by batch; each is a step, before which progress is told."""
    recogniser = Recalled(recogniser, recall)
    chunks = chunks_of(samples, speech_regions(samples, recall=recall), recogniser.longest_ms)
    if not chunks:
        return Transcription(languages[0] if languages else "und", 0.0, ())
    total = sum(chunk.duration_ms for chunk in chunks)
    spoken = SpokenLanguages(recogniser, chunks, languages)
    told: dict[str, Sequence[str]] = {}
    done, segments = 0, []
    for first in range(0, len(chunks), recogniser.batch):
        on_progress(done / total)
        batch = chunks[first : first + recogniser.batch]
        heard: list[SpokenSegment] = []
        for language, of_one in spoken.by_language(batch).items():
            if language not in told:
                told[language] = vocabulary.hot_words(language) if recogniser.takes_hot_words else ()
            heard += recognise_all(recogniser, of_one, language, told[language])
        segments += sorted(heard, key=lambda segment: segment.start_ms)
        done += sum(chunk.duration_ms for chunk in batch)
    on_progress(1.0)
    kept, removals = guarded(segments, told)
    return Transcription(*spoken.mostly, tuple(kept), tuple(removals))


def recognise_all(
    recogniser: Recogniser, chunks: Sequence[Chunk], language: str, hot_words: Sequence[str] = ()
) -> list[SpokenSegment]:
    """The segments of some chunks, times of the recording; speech that the engine passed over is given to it once more.

    Whisper now and then leaves a sentence out or stops before the end of its window. The second time it is told of no
    names: where there was nothing to hear it would recite them.
    """
    found: list[SpokenSegment] = []
    rests: list[Chunk] = []
    for chunk, heard in zip(chunks, recogniser.recognise(chunks, language, hot_words), strict=True):
        found += [placed(chunk, segment) for segment in heard]
        rests += skipped(chunk, [(segment.start_ms, segment.end_ms) for segment in heard])
    if rests:
        for rest, heard in zip(rests, recogniser.recognise(rests, language), strict=True):
            found += [placed(rest, segment) for segment in heard]
    return found


class SpokenLanguages:
    """Tells the language of each chunk of a channel: people change it within a call."""

    def __init__(self, recogniser: Recogniser, chunks: Sequence[Chunk], languages: Sequence[str]) -> None:
        """languages: those to choose from; empty means every one that the weights know."""
        self._recogniser, self._allowed = recogniser, tuple(languages)
        self._shares: dict[tuple[Piece, ...], Mapping[str, float]] = {}
        self._spoken_ms: dict[str, int] = {}
        self._last = self._likeliest(chunks[: max(CHUNKS_FOR_LANGUAGE, recogniser.batch)])

    def by_language(self, chunks: Sequence[Chunk]) -> dict[str, list[Chunk]]:
        """Chunks, in the order of the call, by the language of each."""
        self._listen_to(chunks)
        found: dict[str, list[Chunk]] = {}
        for chunk in chunks:
            found.setdefault(self._language_of(chunk), []).append(chunk)
        return found

    def _language_of(self, chunk: Chunk) -> str:
        """The language of a chunk where that is sure; otherwise that of the chunk before it."""
        language, share = max(self._shares[chunk.pieces].items(), key=lambda item: item[1])
        if share >= SURE_OF_LANGUAGE and chunk.duration_ms >= SHORTEST_FOR_LANGUAGE_MS:
            self._last = language
        self._spoken_ms[self._last] = self._spoken_ms.get(self._last, 0) + chunk.duration_ms
        return self._last

    @property
    def mostly(self) -> tuple[str, float]:
        """The language that most was spoken in so far, and its mean share."""
        language = max(self._spoken_ms, key=lambda code: self._spoken_ms[code])
        of_each = [shares.get(language, 0.0) for shares in self._shares.values()]
        return language, sum(of_each) / len(of_each)

    def _likeliest(self, chunks: Sequence[Chunk]) -> str:
        self._listen_to(chunks)
        sums: dict[str, float] = {}
        for chunk in chunks[:CHUNKS_FOR_LANGUAGE]:
            for code, share in self._shares[chunk.pieces].items():
                sums[code] = sums.get(code, 0.0) + share
        return max(sums, key=lambda code: sums[code])

    def _listen_to(self, chunks: Sequence[Chunk]) -> None:
        """Note the share of each allowed language, 1 in all."""
        new = [chunk for chunk in chunks if chunk.pieces not in self._shares]
        if len(self._allowed) == 1:
            self._shares |= {chunk.pieces: {self._allowed[0]: 1.0} for chunk in new}
        elif new:
            for chunk, heard in zip(new, self._recogniser.language_probabilities(new), strict=True):
                self._shares[chunk.pieces] = self._among_allowed(heard)

    def _among_allowed(self, heard: Mapping[str, float]) -> dict[str, float]:
        known = {code: share for code, share in heard.items() if not self._allowed or code in self._allowed}
        total = sum(known.values())
        if not total:
            return dict.fromkeys(self._allowed, 1 / len(self._allowed))
        return {code: share / total for code, share in known.items()}


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
