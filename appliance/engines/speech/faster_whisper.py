"""faster-whisper: Whisper weights in CTranslate2's format, on a processor (int8) or a card (float16)."""

from __future__ import annotations

import ctypes
import importlib.util
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import SAMPLE_RATE, Sound, SpokenSegment, Transcription, Word
from appliance.engines.speech.chunks import LONGEST_MS, Chunk
from appliance.engines.speech.guard import MOST_COMPRESSED, compression_ratio
from appliance.engines.speech.recognition import BEAM, confidence_of, joined, spread, transcribe
from appliance.engines.speech.vocabulary import NO_NAMES, Vocabulary
from appliance.errors import EngineError

Features = NDArray[np.float32]
"""A window of sound as mel bands, [bands, frames], or a batch of them."""

FRAME_MS, STEP_MS = 10, 20
"""A frame of features, and a step of Whisper's timestamps."""

WINDOW_S = 30

TEMPERATURES = (0.0, 0.4, 0.8)
"""Tried in turn while the text repeats itself or its probability is low."""

LEAST_LOGPROB = -1.0
"""Mean of a text's tokens; Whisper's logprob_threshold, as its compression_ratio_threshold is MOST_COMPRESSED."""

BATCH_ON_CARD = 16
"""A card is hardly busy with one window: faster-whisper's authors measured three to four times its speed with eight."""

T = TypeVar("T")


class _EncodedOnce:
    """An encoder that keeps its last answer, by thread: the language of a window is asked first, then its words."""

    def __init__(self, encode: Callable[[Features], Any]) -> None:
        self._encode = encode
        self._kept = threading.local()

    def __call__(self, features: Features) -> Any:
        of, encoded = getattr(self._kept, "last", (None, None))
        if of is None or not np.array_equal(of, features):
            encoded = self._encode(features)
            self._kept.last = (features, encoded)
        return encoded


def load_cublas() -> list[Path]:
    """Load cuBLAS as the Python package nvidia-cublas-cu12 has it, where it is installed; returns what was loaded.

    ctranslate2 asks for `libcublas.so.12` by its name alone, which finds a library that is loaded already, or one that
    CUDA's own packages or LD_LIBRARY_PATH lead to.
    """
    package = importlib.util.find_spec("nvidia")
    folders = (
        [Path(place) / "cublas" / "lib" for place in (package.submodule_search_locations or ())] if package else []
    )
    wanted = [folder / name for folder in folders for name in ("libcublasLt.so.12", "libcublas.so.12")]
    found = [file for file in wanted if file.is_file()]
    for file in found:
        ctypes.CDLL(str(file), mode=ctypes.RTLD_GLOBAL)
    return found


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
        batch: int = 0,
        beam: int = BEAM,
        device: str = "auto",
        threads: int = 0,
    ) -> None:
        """Load the weights. Raises EngineError.

        batch: how many chunks are recognised at once; 0: what suits the device. beam: how many texts are weighed.
        """
        import ctranslate2
        from faster_whisper import WhisperModel

        self.weights = weights
        self.longest_ms = longest_ms
        self.takes_hot_words = takes_hot_words
        self._beam = beam
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        self.batch = batch or (BATCH_ON_CARD if device == "cuda" else 1)
        self._fitting = self.batch
        compute = "float16" if device == "cuda" else "int8"
        try:
            if device == "cuda":
                load_cublas()
            self._model = WhisperModel(
                str(folder), device=device, compute_type=compute, cpu_threads=threads, local_files_only=True
            )
        except (RuntimeError, ValueError, OSError, KeyError) as error:
            raise EngineError("weights_not_a_model", f"{folder} cannot be loaded: {error}") from None
        self._model.encode = _EncodedOnce(self._model.encode)

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
        if not self._model.model.is_multilingual:
            return [{"en": 1.0} for _ in chunks]
        return self._in_parts(chunks, self._language_probabilities)

    def recognise(
        self, chunks: Sequence[Chunk], language: str, hot_words: Sequence[str] = ()
    ) -> list[list[SpokenSegment]]:
        listen = self._recognise_alone if self.batch == 1 else self._recognise_together
        return self._in_parts(chunks, lambda part: listen(part, language, ", ".join(hot_words) or None))

    def _in_parts(self, chunks: Sequence[Chunk], work: Callable[[Sequence[Chunk]], list[T]]) -> list[T]:
        """What `work` makes of the chunks, so many at a time as the memory of the card takes."""
        found: list[T] = []
        while len(found) < len(chunks):
            part = chunks[len(found) : len(found) + self._fitting]
            try:
                found += work(part)
            except RuntimeError as error:  # a card without memory, a library that is missing
                if "out of memory" not in str(error) or len(part) == 1:
                    raise EngineError("recognition_failed", f"recognition failed: {error}", retryable=True) from None
                self._fitting = len(part) // 2
        return found

    def _language_probabilities(self, chunks: Sequence[Chunk]) -> list[dict[str, float]]:
        from faster_whisper.audio import pad_or_trim

        # Not by detect_language: its features end a frame later than those of transcribe, and would be encoded twice.
        windows = [pad_or_trim(self._model.feature_extractor(chunk.samples)[:, :-1]) for chunk in chunks]
        # Its batches are encoded as such, a window alone as one.
        of = [np.stack(windows)] if self.batch > 1 else windows
        found = [
            probabilities
            for each in of
            for probabilities in self._model.model.detect_language(self._model.encode(each))
        ]
        return [{token.strip("<|>"): float(share) for token, share in probabilities} for probabilities in found]

    def _recognise_alone(
        self, chunks: Sequence[Chunk], language: str, hot_words: str | None
    ) -> list[list[SpokenSegment]]:
        found = []
        for chunk in chunks:
            segments, _ = self._model.transcribe(
                chunk.samples,
                language=language,
                beam_size=self._beam,
                temperature=TEMPERATURES,
                word_timestamps=True,
                # Without the text before: the library would put it behind the hot words, and nothing of a window would
                # be left for what is said.
                condition_on_previous_text=False,
                hotwords=hot_words,
            )
            found.append([spoken for segment in segments if (spoken := self._spoken(segment, chunk, language))])
        return found

    def _recognise_together(
        self, chunks: Sequence[Chunk], language: str, hot_words: str | None
    ) -> list[list[SpokenSegment]]:
        """As a batch, each chunk at the beginning of a window of its own.

        The library tries no second temperature in a batch: a chunk that would have needed one is recognised alone.
        """
        from faster_whisper import BatchedInferencePipeline

        sound = np.zeros(len(chunks) * WINDOW_S * SAMPLE_RATE, np.float32)
        clips = []
        for number, chunk in enumerate(chunks):
            samples, start = chunk.samples, number * WINDOW_S * SAMPLE_RATE
            sound[start : start + len(samples)] = samples
            # Half a sample more, as the library cuts fractions off.
            clips.append({"start": number * WINDOW_S, "end": (start + len(samples) + 0.5) / SAMPLE_RATE})
        segments, _ = BatchedInferencePipeline(self._model).transcribe(  # one for each batch: it has a state
            sound,
            language=language,
            beam_size=self._beam,
            batch_size=len(chunks),
            clip_timestamps=clips,
            without_timestamps=False,
            word_timestamps=True,
            hotwords=hot_words,
        )
        of_each: list[list[Any]] = [[] for _ in chunks]
        for segment in segments:
            of_each[segment.seek // (WINDOW_S * 1000 // FRAME_MS)].append(segment)
        found = []
        for number, (chunk, own) in enumerate(zip(chunks, of_each, strict=True)):
            if _needs_another_try(own):
                found += self._recognise_alone([chunk], language, hot_words)
            else:
                at_ms = number * WINDOW_S * 1000
                found.append([spoken for segment in own if (spoken := self._spoken(segment, chunk, language, at_ms))])
        return found

    def _spoken(self, segment: Any, chunk: Chunk, language: str, at_ms: int = 0) -> SpokenSegment | None:
        """A segment of the library's, `at_ms` taken off its times; None where it is empty."""
        text = segment.text.strip()
        if not text:
            return None
        start_ms, end_ms = self._borders(segment, chunk, at_ms)
        heard = [
            Word(w.word, round(float(w.start) * 1000) - at_ms, round(float(w.end) * 1000) - at_ms, float(w.probability))
            for w in segment.words or ()
        ]
        words = spread(joined(heard), start_ms, end_ms)
        no_speech = float(segment.no_speech_prob)
        return SpokenSegment(start_ms, end_ms, text, confidence_of(words), language, words, no_speech)

    def _borders(self, segment: Any, chunk: Chunk, at_ms: int) -> tuple[int, int]:
        """Start and end as the weights wrote them: the library's come from its words, which small weights misplace."""
        # Timestamps come right after this token; not every tokenizer of OpenAI's own weights names them.
        first = self._model.hf_tokenizer.token_to_id("<|notimestamps|>") + 1
        seek_ms = segment.seek * FRAME_MS - at_ms
        times = [seek_ms + (token - first) * STEP_MS for token in segment.tokens if token >= first]
        if not times:
            return round(segment.start * 1000) - at_ms, round(segment.end * 1000) - at_ms
        start_ms = min(times[0], chunk.duration_ms)
        end_ms = times[-1] if len(times) > 1 else round(segment.end * 1000) - at_ms
        return start_ms, max(start_ms, min(end_ms, chunk.duration_ms))


def _needs_another_try(segments: Sequence[Any]) -> bool:
    """Whether the library itself would decode a window again, with another temperature."""
    text = "".join(segment.text for segment in segments)
    return any(segment.avg_logprob < LEAST_LOGPROB for segment in segments) or compression_ratio(text) > MOST_COMPRESSED
