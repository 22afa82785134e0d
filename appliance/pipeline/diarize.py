"""Diarize: whose voice said which words. A channel is a speaker in stereo; voices are told apart in mono."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from appliance.engines import audio
from appliance.engines.diarization import alike
from appliance.engines.diarization.attribution import SpeakerSegment, attribute, merge_channels
from appliance.engines.diarization.handover import taken_over
from appliance.engines.recall import Recall, in_files
from appliance.engines.roles import both_sides_speak
from appliance.engines.speech import Transcription
from appliance.engines.voice_activity import Region
from appliance.errors import EngineError, StageError
from appliance.pipeline.decode import decoded_file
from appliance.pipeline.stage import Queue, StageContext
from appliance.pipeline.transcribe import TRANSCRIPTIONS

SPEAKER_SEGMENTS = TypeAdapter(list[SpeakerSegment])


class Diarize:
    """Output: `diarizer` (`channels` for stereo) and `segments`: what each speaker number said, in order of time."""

    name = "diarize"
    queue: Queue = "speech"

    def run(self, context: StageContext) -> dict[str, Any]:
        heard = TRANSCRIPTIONS.validate_python(context.outputs["transcribe"]["channels"])
        if len(heard) == 2:
            name = "channels"
            segments = _by_channels(context, heard, _recall(context, name))
        else:
            shape = context.outputs["decode"]
            try:
                diarizer = context.equipment.diarizer
            except EngineError as error:
                # The operator can mend this: the call waits for it as long as attempts last.
                raise StageError(error.code, str(error), retryable=True) from None
            samples = audio.channel_of(decoded_file(context), shape["of"], shape["channel"])
            recall = _recall(context, diarizer.name)
            context.on_progress(0.1)
            turns = diarizer.diarize(
                samples, speakers=2, on_progress=lambda share: context.on_progress(0.1 + 0.8 * share), recall=recall
            )
            if len({turn.speaker for turn in turns}) == 1 and both_sides_speak([s.text for s in heard[0].segments]):
                turns = alike.parted(samples, heard[0].segments, context.equipment.voice_encoder, recall)
            name, segments = diarizer.name, attribute(heard[0].segments, turns)
        return {"diarizer": name, "segments": SPEAKER_SEGMENTS.dump_python(list(segments), mode="json")}

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        """Nothing yet: the segments are written once it is known who is the client."""


def _recall(context: StageContext, diarizer: str) -> Recall:
    """Voices are kept beside the sound that they were taken from, and go with it: whose they are is personal data."""
    about = {"stage": Diarize.name, "diarizer": diarizer}
    return in_files(context.equipment.scratch(context.call_id), context.recall(about), context.between)


def _by_channels(context: StageContext, heard: Sequence[Transcription], recall: Recall) -> list[SpeakerSegment]:
    """Both channels in order of time; a voice that takes over within a channel is told from the one before."""
    decoded, shape = decoded_file(context), context.outputs["decode"]
    segments = merge_channels(heard[0].segments, heard[1].segments)
    for channel in (0, 1):
        context.check()
        said = [Region(segment.start_ms, segment.end_ms) for segment in heard[channel].segments]
        samples = audio.channel_of(decoded, shape["of"], channel)
        moment_ms = context.equipment.handovers.moment_ms(samples, said, recall)
        if moment_ms is not None:
            segments = taken_over(segments, channel, moment_ms)
    return segments
