"""Assign roles: which speaker is the client (A) and which the manager (B). Writes the transcript."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from appliance.engines.roles import assign_roles
from appliance.models import Call, Segment
from appliance.pipeline.diarize import SPEAKER_SEGMENTS
from appliance.pipeline.stage import Queue, StageContext


class AssignRoles:
    """Output: `manager` (the speaker number that is B), `rule` that decided, `confidence` 0-1."""

    name = "assign roles"
    queue: Queue = "speech"

    def run(self, context: StageContext) -> dict[str, Any]:
        roles = assign_roles(
            SPEAKER_SEGMENTS.validate_python(context.outputs["diarize"]["segments"]),
            direction=context.direction,
            manager_channel=context.equipment.settings.stereo_manager_channel,
            stereo=context.outputs["diarize"]["diarizer"] == "channels",
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
                "speaker": "B" if segment.speaker == output["manager"] else "A",
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
                speakers_swapped=False,
                client_ms=_spoken(rows, "A"),
                manager_ms=_spoken(rows, "B"),
            )
        )


def _spoken(rows: list[dict[str, Any]], speaker: str) -> int:
    """How long a speaker speaks, in milliseconds."""
    return sum(row["end_ms"] - row["start_ms"] for row in rows if row["speaker"] == speaker)
