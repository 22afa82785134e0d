"""whisper.cpp by pywhispercpp: Whisper weights in one ggml file, on any processor."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import Samples, Sound, SpokenSegment, Transcription, Word
from appliance.engines.speech.chunks import LONGEST_MS, Chunk
from appliance.engines.speech.ggml import read_vocabulary
from appliance.engines.speech.recognition import BEAM, confidence_of, spread, transcribe
from appliance.engines.speech.vocabulary import NO_NAMES, Vocabulary
from appliance.errors import EngineError

GREEDY, BEAM_SEARCH = 0, 1
"""WHISPER_SAMPLING_GREEDY and WHISPER_SAMPLING_BEAM_SEARCH of whisper.h."""

SHORTEST_SAMPLES = 16_000
"""whisper.cpp refuses to listen to less than a second."""


class WhisperCpp:
    """One set of weights. A context does one job at a time: the lock is held for a chunk, not for a call."""

    name = "whisper.cpp"
    batch = 1
    takes_hot_words = False
    """Its prompt is text said before, and goes on into the next window as such."""

    def __init__(
        self, file: Path, weights: str, *, longest_ms: int = LONGEST_MS, beam: int = BEAM, threads: int = 0
    ) -> None:
        """Load the weights, which must have been proven before: a corrupt file crashes the process.

        beam: how many texts are weighed. Raises EngineError.
        """
        from pywhispercpp.model import Model

        self.weights = weights
        self.longest_ms = longest_ms
        self._lock = threading.Lock()
        self._vocabulary = read_vocabulary(file)
        try:
            self._model = Model(
                str(file),
                params_sampling_strategy=BEAM_SEARCH if beam > 1 else GREEDY,
                beam_search={"beam_size": beam, "patience": -1.0},
                n_threads=threads or os.cpu_count() or 1,
                redirect_whispercpp_logs_to=None,
                print_progress=False,
                print_realtime=False,
                print_timestamps=False,
                no_context=True,
                token_timestamps=True,
                temperature_inc=0.4,
                suppress_nst=True,  # no notes and brackets, as the other engine does by default
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise EngineError("weights_not_a_model", f"{file} cannot be loaded: {error}") from None

    def transcribe(
        self,
        samples: Sound,
        *,
        languages: Sequence[str] = (),
        vocabulary: Vocabulary = NO_NAMES,
        on_progress: Callable[[float], None] = lambda _: None,
        recall: Recall = afresh,
    ) -> Transcription:
        """See SpeechEngine."""
        return transcribe(self, samples, languages, vocabulary, on_progress, recall)

    def language_probabilities(self, chunks: Sequence[Chunk]) -> list[dict[str, float]]:
        return [self._language_probabilities(chunk.samples) for chunk in chunks]

    def _language_probabilities(self, samples: Samples) -> dict[str, float]:
        import _pywhispercpp as library

        with self._lock:
            if not library.whisper_is_multilingual(self._model._ctx):  # type: ignore[attr-defined]  # noqa: SLF001
                return {"en": 1.0}
            _, probabilities = self._model.auto_detect_language(_long_enough(samples))
        return {code: float(probability) for code, probability in probabilities.items()}

    def recognise(
        self,
        chunks: Sequence[Chunk],
        language: str,
        hot_words: Sequence[str] = (),  # noqa: ARG002 - it takes none
    ) -> list[list[SpokenSegment]]:
        return [self._recognise(chunk, language) for chunk in chunks]

    def _recognise(self, chunk: Chunk, language: str) -> list[SpokenSegment]:
        import _pywhispercpp as library

        with self._lock:
            # Not by Model.transcribe: it drops whisper_full's status, and a failure would pass for silence.
            context, params = self._model._ctx, self._model._params  # type: ignore[attr-defined]  # noqa: SLF001
            params.language = language
            samples = _long_enough(chunk.samples)
            if status := library.whisper_full(context, params, samples, samples.size):
                raise EngineError("recognition_failed", f"whisper.cpp failed with status {status}", retryable=True)
            spoken = []
            for number in range(library.whisper_full_n_segments(context)):
                count = library.whisper_full_n_tokens(context, number)
                tokens = [library.whisper_full_get_token_data(context, number, n) for n in range(count)]
                start_ms = library.whisper_full_get_segment_t0(context, number) * 10
                end_ms = min(library.whisper_full_get_segment_t1(context, number) * 10, chunk.duration_ms)
                words = spread(self._words(tokens), start_ms, end_ms)
                text = " ".join(word.text for word in words)
                if text:
                    spoken.append(SpokenSegment(start_ms, end_ms, text, confidence_of(words), language, words))
        return spoken

    def _words(self, tokens: Sequence[object]) -> list[Word]:
        """Text tokens joined to words: a token that begins with a space begins one. Marks and times are left out."""
        groups: list[list[tuple[bytes, float, int, int]]] = []
        for token in tokens:
            number: int = token.id  # type: ignore[attr-defined]
            if number >= len(self._vocabulary):
                continue
            piece = self._vocabulary[number]
            entry = (piece, float(token.p), token.t0 * 10, token.t1 * 10)  # type: ignore[attr-defined]
            if piece.startswith(b" ") or not groups:
                groups.append([entry])
            else:
                groups[-1].append(entry)
        words = []
        for group in groups:
            text = b"".join(piece for piece, *_ in group).decode("utf-8", errors="replace").strip()
            if text:
                probability = sum(p for _, p, _, _ in group) / len(group)
                words.append(Word(text, group[0][2], group[-1][3], min(1.0, probability)))
        return words


def _long_enough(samples: Samples) -> Samples:
    import numpy as np

    return np.pad(samples, (0, max(0, SHORTEST_SAMPLES - len(samples))))
