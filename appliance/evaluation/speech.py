"""Word error rate of speech engines on recordings with a reference."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.engines.speech import SAMPLE_RATE, Samples, SpeechEngine
from appliance.evaluation.wording import normalised


@dataclass(frozen=True, slots=True)
class Item:
    """A recording of one channel, what is said in it, and the group that it is counted in."""

    samples: Samples
    reference: str
    language: str
    group: str


@dataclass(frozen=True, slots=True)
class SpeechScore:
    """Error rates of one group of items: word and character error rate, share of languages heard right, real time."""

    group: str
    items: int
    words: int
    word_error_rate: float
    character_error_rate: float
    language_accuracy: float
    real_time_factor: float


def evaluate(engine: SpeechEngine, items: Sequence[Item], languages: Sequence[str]) -> list[SpeechScore]:
    """Transcribe every item and score each group, in the order in which the groups first appear."""
    import jiwer

    groups: dict[str, list[tuple[Item, str, bool, float]]] = {}
    for item in items:
        began = time.monotonic()
        found = engine.transcribe(item.samples, languages=languages)
        elapsed_s = time.monotonic() - began
        text = normalised(" ".join(segment.text for segment in found.segments), item.language)
        groups.setdefault(item.group, []).append((item, text, found.language == item.language, elapsed_s))
    scores = []
    for group, rows in groups.items():
        references = [normalised(item.reference, item.language) for item, *_ in rows]
        texts = [text for _, text, *_ in rows]
        audio_s = sum(len(item.samples) for item, *_ in rows) / SAMPLE_RATE
        scores.append(
            SpeechScore(
                group=group,
                items=len(rows),
                words=sum(len(reference.split()) for reference in references),
                word_error_rate=float(jiwer.wer(references, texts)),
                character_error_rate=float(jiwer.cer(references, texts)),
                language_accuracy=sum(right for *_, right, _ in rows) / len(rows),
                real_time_factor=sum(elapsed for *_, elapsed in rows) / audio_s,
            )
        )
    return scores
