"""Assign roles: which speaker is the client (A) and which the manager (B). Writes the transcript."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from appliance.engines.diarization.handover import detail_of, side_of
from appliance.engines.roles import as_corrected, assign_roles
from appliance.models import Call, Segment
from appliance.pipeline.diarize import SPEAKER_SEGMENTS
from appliance.pipeline.stage import Queue, StageContext
from appliance.store import pipelines


class AssignRoles:
    """Output: `manager` (the side that is B, 0 or 1), `rule` that decided, `confidence` 0-1."""

    name = "assign roles"
    queue: Queue = "speech"

    def run(self, context: StageContext) -> dict[str, Any]:
        said = SPEAKER_SEGMENTS.validate_python(context.outputs["diarize"]["segments"])
        segments = [replace(segment, speaker=side_of(segment.speaker)) for segment in said]
        known = context.outputs.get(pipelines.CORRECTED)
        roles = (as_corrected(segments, known) if known else None) or assign_roles(
            segments,
            direction=context.direction,
            manager_channel=context.equipment.settings.stereo_manager_channel,
            exchange_channel=context.manager_channel,
            stereo=channels_apart(context),
            names=(context.manager_name,),
        )
        return {"manager": roles.manager, "rule": roles.rule, "confidence": roles.confidence}

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        said = SPEAKER_SEGMENTS.validate_python(context.outputs["diarize"]["segments"])
        rows = [
            {
                "call_id": context.call_id,
                "position": position,
                "start_ms": segment.start_ms,
                "end_ms": segment.end_ms,
                "speaker": "B" if side_of(segment.speaker) == output["manager"] else "A",
                "speaker_detail": detail_of(segment.speaker, output["manager"]),
                "text": segment.text,
                "language": segment.language,
                "confidence": segment.confidence,
                "words": [[w.text, w.start_ms, w.end_ms, round(w.probability, 3)] for w in segment.words],
            }
            for position, segment in enumerate(said)
        ]
        session.execute(delete(Segment).where(Segment.call_id == context.call_id))
        if rows:
            session.execute(insert(Segment), rows)
        session.execute(
            update(Call)
            .where(Call.id == context.call_id)
            .values(
                roles_rule=output["rule"],
                roles_confidence=output["confidence"],
                # What a person put right stays so when the call is processed anew.
                speakers_swapped=output["rule"] == "correction",
                channels_apart=channels_apart(context),
                client_ms=_spoken(rows, "A"),
                manager_ms=_spoken(rows, "B"),
            )
        )


def channels_apart(context: StageContext) -> bool:
    """Whether each side has a channel of its own."""
    return bool(context.outputs["diarize"]["diarizer"] == "channels")


def _spoken(rows: list[dict[str, Any]], speaker: str) -> int:
    """How long a speaker speaks, in milliseconds."""
    return sum(row["end_ms"] - row["start_ms"] for row in rows if row["speaker"] == speaker)
