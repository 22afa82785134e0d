"""Speech recognition: sound to words with times and probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech.vocabulary import NO_NAMES, Vocabulary

SAMPLE_RATE = 16_000
"""What every engine listens at, in Hz."""

Samples = NDArray[np.float32]
"""Mono sound at 16 kHz, shape (n,), values in -1..1."""


class Sound(Protocol):
    """Samples that are read piece by piece, so that a call of an hour need not lie in memory; an array is one too."""

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    def __getitem__(self, part: slice, /) -> Samples:
        """The samples of a slice without a step."""
        ...


@dataclass(frozen=True, slots=True)
class Word:
    """One word as spoken; times in milliseconds from the start of the samples, probability 0-1."""

    text: str
    start_ms: int
    end_ms: int
    probability: float


@dataclass(frozen=True, slots=True)
class SpokenSegment:
    """Words said without a long pause. `confidence` is the mean probability of the words, 0-1."""

    start_ms: int
    end_ms: int
    text: str
    confidence: float
    language: str
    words: tuple[Word, ...]
    no_speech_probability: float = 0.0


RemovalReason = Literal["no_speech", "invention", "repetition", "word_rate", "hot_words"]
"""no_speech: the weights themselves doubt that anybody spoke. invention: listed in inventions.yaml. repetition: a loop.
word_rate: more words than can be said in the time. hot_words: names that the weights were told of, recited."""


@dataclass(frozen=True, slots=True)
class Removal:
    """Text that the weights wrote and that was taken out as invented. Times in milliseconds."""

    start_ms: int
    end_ms: int
    reason: RemovalReason
    text: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A name that was put right: what had been heard, and what the transcript says. Times in milliseconds."""

    start_ms: int
    end_ms: int
    heard: str
    text: str


@dataclass(frozen=True, slots=True)
class Transcription:
    """What one channel says. `language` is an ISO 639-1 code with its probability 0-1."""

    language: str
    language_probability: float
    segments: tuple[SpokenSegment, ...]
    removals: tuple[Removal, ...] = ()
    corrections: tuple[Correction, ...] = ()


class SpeechEngine(Protocol):
    """Recognises speech in one channel. Engines are safe to call from several threads, one call after the other."""

    name: str
    """The engine: `faster-whisper` or `whisper.cpp`."""

    weights: str
    """The weights' name, as shown in `transcript_model`."""

    def transcribe(
        self,
        samples: Sound,
        *,
        languages: Sequence[str] = (),
        vocabulary: Vocabulary = NO_NAMES,
        on_progress: Callable[[float], None] = lambda _: None,
        recall: Recall = afresh,
    ) -> Transcription:
        """Recognise everything that is said in `samples`.

        languages: the codes to choose from; empty means every language that the weights know, one means no guess.
        vocabulary: names to expect, where the engine and its weights can be told.
        on_progress: called with the share done, 0-1; what it raises aborts the recognition.
        recall: keeps what was found of each piece, so that a recognition that was ended goes on there.
        Raises EngineError when the weights or the library fail.
        """
        ...
