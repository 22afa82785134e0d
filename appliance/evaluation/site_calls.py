"""A set of a site's own calls: those whose client and manager a person has exchanged, as the person left them.

Who is client and who manager is checked there. Nobody has checked the words yet: they are a draft to correct by ear.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from appliance.errors import EngineError
from appliance.evaluation.sets import Checked, Reference, Turn
from appliance.models import Call
from appliance.store import audit, db, objects

GROUP = "corrected calls"


def make(count: int, folder: Path) -> Iterator[Path]:
    """Write the newest corrected calls, at most `count`, into a folder that only its owner may read.

    A reference that lies there already is left as it is: somebody may have put its words right. Yields the path of each
    recording that was written, once the audit trail says so. Raises EngineError where no call was corrected.
    """
    wanted = _corrected(count)
    if not wanted:
        raise EngineError("no_corrected_calls", "nobody has exchanged client and manager of a call yet")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    with db.unit_of_work() as session:
        audit.append(session, "export_made", details={"for": "evaluation", "calls": len(wanted)})
    for call_id, key in wanted:
        audio = folder / Path(key).name
        reference = audio.with_suffix(".json")
        if reference.exists():
            continue
        try:
            objects.download(key, audio)
        except objects.ObjectMissing:
            continue  # deleted or past its retention since it was looked up
        with db.unit_of_work() as session:
            call = _whole(session, call_id)
            if call is not None:
                reference.write_text(_reference(call).model_dump_json(indent=1), encoding="utf-8")
                audit.append(session, "recording_fetched", call_id=call_id, details={"for": "evaluation"})
        if call is None:
            audio.unlink()
        else:
            yield audio


def _corrected(count: int) -> Sequence[tuple[UUID, str]]:
    query = (
        select(Call.id, Call.audio_key)
        .where(Call.speakers_swapped, Call.status == "completed", Call.audio_key.is_not(None), Call.segments.any())
        .order_by(Call.date.desc(), Call.id)
        .limit(count)
    )
    with db.unit_of_work() as session:
        return [(call_id, key) for call_id, key in session.execute(query) if key]


def _whole(session: Session, call_id: UUID) -> Call | None:
    """The call as it is now: one that is erased, or processed anew, since it was looked up is left out."""
    query = (
        select(Call)
        .where(Call.id == call_id, Call.status == "completed", Call.audio_key.is_not(None))
        .options(selectinload(Call.segments), selectinload(Call.manager))
    )
    return session.scalar(query)


def _reference(call: Call) -> Reference:
    return Reference(
        language=call.language,
        direction=call.type,
        manager=call.manager.name,
        group=GROUP,
        segments=[Turn(start_ms=s.start_ms, end_ms=s.end_ms, speaker=s.speaker, text=s.text) for s in call.segments],
        checked=Checked(text=False),
    )
