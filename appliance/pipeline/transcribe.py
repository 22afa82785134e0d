"""Transcribe: words, times and probabilities of every channel."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import update
from sqlalchemy.orm import Session

from appliance.engines import audio
from appliance.engines.speech import Transcription
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
        count = shape["channels"]
        heard = []
        for n in range(count):
            samples = audio.samples_of(decoded, shape["of"], n if count == 2 else shape["channel"])
            heard.append(
                engine.transcribe(
                    samples,
                    languages=context.equipment.settings.transcribe_languages,
                    on_progress=lambda share, done=n: context.on_progress((done + share) / count),  # type: ignore[misc]
                )
            )
        return {
            "engine": engine.name,
            "weights": engine.weights,
            "language": main_language(heard),
            "channels": TRANSCRIPTIONS.dump_python(heard, mode="json"),
        }

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        session.execute(
            update(Call)
            .where(Call.id == context.call_id)
            .values(language=output["language"], transcript_model=output["weights"])
        )
