"""Transcribe: words, times and probabilities of every channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import update
from sqlalchemy.orm import Session

from appliance import metrics
from appliance.engines import audio, cross_talk
from appliance.engines.speech import SAMPLE_RATE, Correction, Removal, Sound, Transcription
from appliance.engines.speech.corrections import corrected
from appliance.errors import EngineError, StageError
from appliance.models import Call
from appliance.pipeline.decode import decoded_file
from appliance.pipeline.stage import Queue, StageContext

TRANSCRIPTIONS = TypeAdapter(list[Transcription])


def main_language(transcriptions: list[Transcription]) -> str:
    """The language that most of the words are in; `und` where nothing was said."""
    words: dict[str, int] = {}
    for transcription in transcriptions:
        for segment in transcription.segments:
            words[segment.language] = words.get(segment.language, 0) + len(segment.words)
    return max(words, key=lambda language: words[language], default="und")


def noted(heard: list[Transcription]) -> dict[str, list[dict[str, Any]]]:
    """What was taken out as invented (`removals`) and names that were put right (`corrections`), each in order of time.

    `channel` counts from 0, left before right.
    """
    return {
        "removals": _in_order([transcription.removals for transcription in heard]),
        "corrections": _in_order([transcription.corrections for transcription in heard]),
    }


def _in_order(notes: Sequence[Sequence[Removal | Correction]]) -> list[dict[str, Any]]:
    found = [{**asdict(note), "channel": channel} for channel, of_one in enumerate(notes) for note in of_one]
    return sorted(found, key=lambda note: (note["start_ms"], note["channel"]))


def _count(heard: list[Transcription], audio_s: float, elapsed_s: float) -> None:
    metrics.AUDIO_SECONDS.inc(audio_s)
    metrics.REAL_TIME_FACTOR.observe(elapsed_s / max(audio_s, 1e-3))
    segments = [segment for transcription in heard for segment in transcription.segments]
    for segment in segments:
        metrics.WORDS.labels(segment.language).inc(len(segment.words))
    if segments:
        metrics.CONFIDENCE.observe(sum(segment.confidence for segment in segments) / len(segments))


class Transcribe:
    """Output: `engine`, `weights`, `language`, and `channels`: a Transcription each, left before right."""

    name = "transcribe"
    queue: Queue = "speech"

    def run(self, context: StageContext) -> dict[str, Any]:
        decoded, shape = decoded_file(context), context.outputs["decode"]
        try:
            engine = context.equipment.speech
        except EngineError as error:
            # The operator can mend this: the call waits for it as long as attempts last.
            raise StageError(error.code, str(error), retryable=True) from None
        count, vocabulary = shape["channels"], context.equipment.vocabulary()
        recall = context.recall({"stage": self.name, "engine": engine.name, "weights": engine.weights})
        heard, heard_samples = [], 0
        echoes = cross_talk.echoes(decoded, recall) if count == 2 else ()
        for n in range(count):
            samples: Sound = audio.channel_of(decoded, shape["of"], n if count == 2 else shape["channel"])
            heard_samples += len(samples)
            if echoes:
                samples = cross_talk.silence(samples, echoes[n])
            found = engine.transcribe(
                samples,
                languages=context.equipment.settings.transcribe_languages,
                vocabulary=vocabulary,
                on_progress=lambda share, done=n: context.on_progress((done + share) / count),  # type: ignore[misc]
                recall=recall,
            )
            heard.append(corrected(found, vocabulary))
        _count(heard, heard_samples / SAMPLE_RATE, context.elapsed_s())
        return {
            "engine": engine.name,
            "weights": engine.weights,
            "language": main_language(heard),
            "channels": TRANSCRIPTIONS.dump_python(heard, mode="json"),
        }

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        heard = TRANSCRIPTIONS.validate_python(output["channels"])
        session.execute(
            update(Call)
            .where(Call.id == context.call_id)
            .values(
                language=output["language"],
                transcript_model=output["weights"],
                **noted(heard),
            )
        )
