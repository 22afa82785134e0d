"""faster-whisper: Whisper weights in CTranslate2's format, on a processor (int8) or a card (float16)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import Samples, SpokenSegment, Transcription, Word
from appliance.engines.speech.chunks import LONGEST_MS, Chunk
from appliance.engines.speech.recognition import confidence_of, joined, spread, transcribe
from appliance.engines.speech.vocabulary import NO_NAMES, Vocabulary
from appliance.errors import EngineError

BEAM = 5
FRAME_MS, STEP_MS = 10, 20
"""A frame of features, and a step of Whisper's timestamps."""

TEMPERATURES = (0.0, 0.4, 0.8)
"""Tried in turn while the text repeats itself or its probability is low."""


class FasterWhisper:
    """One set of weights, loaded once; several threads may use it, the library queues them."""

    name = "faster-whisper"

    def __init__(
        self,
        folder: Path,
        weights: str,
        *,
        longest_ms: int = LONGEST_MS,
        takes_hot_words: bool = False,
        device: str = "auto",
        threads: int = 0,
    ) -> None:
        """Load the weights. Raises EngineError."""
        import ctranslate2
        from faster_whisper import WhisperModel

        self.weights = weights
        self.longest_ms = longest_ms
        self.takes_hot_words = takes_hot_words
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        compute = "float16" if device == "cuda" else "int8"
        try:
            self._model = WhisperModel(
                str(folder), device=device, compute_type=compute, cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise EngineError("weights_not_a_model", f"{folder} cannot be loaded: {error}") from None

    def transcribe(
        self,
        samples: Samples,
        *,
        languages: Sequence[str] = (),
        vocabulary: Vocabulary = NO_NAMES,
        on_progress: Callable[[float], None] = lambda _: None,
        recall: Recall = afresh,
    ) -> Transcription:
        """See SpeechEngine."""
        return transcribe(self, samples, languages, vocabulary, on_progress, recall)

    def language_probabilities(self, samples: Samples) -> Mapping[str, float]:
        if not self._model.model.is_multilingual:
            return {"en": 1.0}
        _, _, probabilities = self._model.detect_language(samples)
        return {code: float(probability) for code, probability in probabilities or ()}

    def recognise(self, chunk: Chunk, language: str, hot_words: Sequence[str] = ()) -> list[SpokenSegment]:
        try:
            return self._recognise(chunk, language, hot_words)
        except RuntimeError as error:  # a card without memory, a library that is missing
            raise EngineError("recognition_failed", f"recognition failed: {error}", retryable=True) from None

    def _recognise(self, chunk: Chunk, language: str, hot_words: Sequence[str]) -> list[SpokenSegment]:
        segments, _ = self._model.transcribe(
            chunk.samples,
            language=language,
            beam_size=BEAM,
            temperature=TEMPERATURES,
            word_timestamps=True,
            # Without the text before: the library would put it behind the hot words, and nothing of a window would
            # be left for what is said.
            condition_on_previous_text=False,
            hotwords=", ".join(hot_words) or None,
        )
        spoken = []
        for segment in segments:
            start_ms, end_ms = self._borders(segment, chunk)
            heard = [
                Word(w.word, round(float(w.start) * 1000), round(float(w.end) * 1000), float(w.probability))
                for w in segment.words or ()
            ]
            words = spread(joined(heard), start_ms, end_ms)
            if segment.text.strip():
                no_speech = float(segment.no_speech_prob)
                text, confidence = segment.text.strip(), confidence_of(words)
                spoken.append(SpokenSegment(start_ms, end_ms, text, confidence, language, words, no_speech))
        return spoken

    def _borders(self, segment: Any, chunk: Chunk) -> tuple[int, int]:
        """Start and end as the weights wrote them: the library's come from its words, which small weights misplace."""
        # Timestamps come right after this token; not every tokenizer of OpenAI's own weights names them.
        first = self._model.hf_tokenizer.token_to_id("<|notimestamps|>") + 1
        times = [segment.seek * FRAME_MS + (token - first) * STEP_MS for token in segment.tokens if token >= first]
        if not times:
            return round(segment.start * 1000), round(segment.end * 1000)
        start_ms = min(times[0], chunk.duration_ms)
        end_ms = times[-1] if len(times) > 1 else round(segment.end * 1000)
        return start_ms, max(start_ms, min(end_ms, chunk.duration_ms))
