"""Calls: receive one, show one, and what else people do with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from appliance import logs, metrics
from appliance.config import Settings, settings
from appliance.engines import audio, sandbox
from appliance.engines.roles import Channel
from appliance.models import AiAnalysis, AnalysisVersion, Call, Pipeline
from appliance.models.calls import CallType
from appliance.pipeline import plan
from appliance.pipeline.analyse import Analyse
from appliance.pipeline.publish import Publish
from appliance.services import failures, phones
from appliance.store import analyses, arrivals, audit, calls, db, deletions, events, objects, pipelines, sides, users
from appliance.store.call_filters import CallFilter, Sort
from appliance.store.visibility import Viewer, visible_to
from appliance.tasks import queue

log = logs.get(__name__)

REFUSALS = {
    "not_audio": failures.UnsupportedAudio,
    "no_sound": failures.NoSound,
    "audio_empty": failures.EmptyAudio,
    "audio_truncated": failures.TruncatedAudio,
    "audio_excessive": failures.ExcessiveAudio,
    "decoder_died": failures.UnsupportedAudio,
}

PADDING_MS = 1000
"""Codecs pad what they are given, mp3 by a tenth of a second: that makes no call of the greatest length too long."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A recording that arrived: the open file and its path (read from any position), and what was said of it.

    manager_channel: of a stereo recording, where it is known. extension: whose call it is; `manager_name` where
    there is none. arrival: key of what arrived by itself.
    """

    file: BinaryIO
    path: Path
    direction: CallType
    manager_name: str
    client_name: str | None = None
    phone: str | None = None
    date: datetime | None = None
    idempotency_key: str | None = None
    extension: str | None = None
    arrival: str | None = None
    manager_channel: Channel | None = None


def receive(viewer: Viewer | None, upload: Upload) -> UUID:
    """Take a recording in: check it, store it, create its call, ring for the pipeline. Returns the call's id.

    Nobody is the viewer of what arrived by itself; then `upload.arrival` keeps it from being taken in twice.

    Nothing is stored of a recording that is refused. An upload that dies on the way leaves no orphan: its key is
    marked for deletion before it is written, and the mark is withdrawn by the transaction that creates the call.
    Raises the failures of REFUSALS, UploadTooLarge, RecordingTooLong, InvalidPhone, NotAllowed.
    """
    if viewer is not None:
        _changeable(viewer)
    phone = phones.parse(upload.phone) if upload.phone else None
    if known := _received_before(viewer, upload):
        return known
    facts = examine(upload.file, upload.path, settings())
    call_id = uuid4()
    key = f"recordings/{call_id}.{facts.extension}"
    size = upload.file.seek(0, os.SEEK_END)
    with db.unit_of_work() as session:
        deletions.mark_unfinished(session, key)
    upload.file.seek(0)
    objects.put(key, upload.file, size, facts.media_type)
    try:
        _create(viewer, upload, call_id, key, facts, size, phone)
    except IntegrityError:
        if not (known := _received_before(viewer, upload)):
            raise
        with db.unit_of_work() as session:
            deletions.mark(session, [key])
        return known
    queue.ring(call_id, "speech")
    metrics.UPLOAD_BYTES.inc(size)
    log.info("call_received", call_id=str(call_id), bytes=size, seconds=facts.duration_ms / 1000, codec=facts.codec)
    return call_id


def examine(file: BinaryIO, path: Path, limits: Settings) -> audio.AudioFacts:
    """What a recording is; refuses what is no recording, is damaged, too large or too long."""
    if file.seek(0, os.SEEK_END) > limits.upload_max_bytes:
        raise failures.UploadTooLarge(megabytes=limits.upload_max_bytes // 2**20)
    try:
        facts = sandbox.probe(path)
    except audio.UnreadableAudio as error:
        raise REFUSALS[error.code] from None
    if facts.duration_ms > limits.upload_max_minutes * 60_000 + PADDING_MS:
        raise failures.RecordingTooLong(minutes=limits.upload_max_minutes)
    return facts


def _received_before(viewer: Viewer | None, upload: Upload) -> UUID | None:
    with db.unit_of_work() as session:
        if viewer is None:
            return arrivals.call_of(session, upload.arrival) if upload.arrival else None
        if not upload.idempotency_key:
            return None
        same = (Call.uploaded_by_id == viewer.id, Call.idempotency_key == upload.idempotency_key)
        return session.scalar(select(Call.id).where(*same))


def _whose(session: Session, viewer: Viewer | None, upload: Upload) -> UUID:
    if viewer is not None and viewer.role == "manager":
        return viewer.id
    return users.manager_of_call(session, upload.extension, upload.manager_name).id


def _create(
    viewer: Viewer | None,
    upload: Upload,
    call_id: UUID,
    key: str,
    facts: audio.AudioFacts,
    size: int,
    phone: str | None,
) -> None:
    with db.unit_of_work() as session:
        uploader = viewer.id if viewer is not None else None
        call = Call(
            id=call_id,
            type=upload.direction,
            status="in-progress",
            phone=phone,
            client_name=(upload.client_name or "").strip() or None,
            manager_id=_whose(session, viewer, upload),
            uploaded_by_id=uploader,
            idempotency_key=upload.idempotency_key,
            duration_ms=facts.duration_ms,
            date=upload.date or datetime.now(UTC),
            audio_key=key,
            audio_type=facts.media_type,
            audio_bytes=size,
            audio_codec=facts.codec,
            audio_channels=facts.channels,
            manager_channel=upload.manager_channel,
        )
        session.add(call)
        session.flush()
        its_turn = pipelines.turn(facts.duration_ms / 1000)
        row = Pipeline(call_id=call_id, stage=plan.FIRST, turn_at=its_turn, rung_at=datetime.now(UTC))
        session.add_all([AiAnalysis(call_id=call_id), row])
        if upload.arrival:
            arrivals.note(session, upload.arrival, call_id)
        events.append(session, "call_created", call_id)
        audit.append(session, "call_uploaded", user_id=uploader, call_id=call_id)
        deletions.withdraw(session, key)


def show(viewer: Viewer, call_id: UUID) -> Call:
    """A call with everything that belongs to it, and a note that the viewer read it.

    One that is still processed holds nothing yet, and is asked for again and again: that is not noted.
    Raises CallNotFound, also where the viewer may not see it.
    """
    with db.unit_of_work() as session:
        call = _detail(session, viewer, call_id)
        if call.status != "in-progress" or call.segments:
            _note_reading(session, viewer, call_id, "all")
    return call


def _detail(session: Session, viewer: Viewer, call_id: UUID) -> Call:
    call = calls.detail(session, viewer, call_id)
    if call is None:
        raise failures.CallNotFound
    return call


def _changed(viewer: Viewer, call_id: UUID) -> Call:
    """The call as it is after a change of the viewer's, in a transaction of its own: entities keep what they loaded."""
    with db.unit_of_work() as session:
        return _detail(session, viewer, call_id)


def _note_reading(session: Session, viewer: Viewer, call_id: UUID, part: str) -> None:
    audit.append(session, "call_read", user_id=viewer.id, call_id=call_id, details={"part": part})


def show_analysis(viewer: Viewer, call_id: UUID) -> AiAnalysis:
    """A call's analysis alone. Raises CallNotFound."""
    with db.unit_of_work() as session:
        analysis = analyses.current(session, viewer, call_id)
        if analysis is None:
            raise failures.CallNotFound
        if analysis.processing_status != "pending":
            _note_reading(session, viewer, call_id, "analysis")
    return analysis


def analysis_versions(viewer: Viewer, call_id: UUID) -> tuple[int, Sequence[AnalysisVersion]]:
    """The number of a call's current analysis, and every one that was made. Raises CallNotFound."""
    with db.unit_of_work() as session:
        analysis = analyses.current(session, viewer, call_id)
        if analysis is None:
            raise failures.CallNotFound
        _note_reading(session, viewer, call_id, "analysis versions")
        return analysis.version, analyses.versions(session, viewer, call_id)


def browse(viewer: Viewer, wanted: CallFilter, sort: Sort, limit: int, offset: int) -> tuple[Sequence[Call], int]:
    """One page of calls and the number of all that the filter lets through."""
    with db.unit_of_work() if wanted.transcript else db.reading() as session:
        found, total = calls.page(session, viewer, wanted, sort, limit, offset, settings().site_timezone)
        if wanted.transcript:
            audit.append(session, "searched", user_id=viewer.id, details={"found": total, "offset": offset})
        return found, total


def _changeable(viewer: Viewer) -> None:
    if viewer.role == "analyst":
        raise failures.NotAllowed


def delete_calls(viewer: Viewer, ids: Sequence[UUID]) -> int:
    """Delete those of the calls that the viewer may see, with their recordings; returns how many there were.

    Raises CallHeld, and deletes none, where one of them is under legal hold.
    """
    _changeable(viewer)
    with db.unit_of_work() as session:
        seen = calls.visible_ids(session, viewer, ids)
        if held := calls.held(session, seen):
            raise failures.CallHeld(calls=len(held))
        gone = calls.remove(session, seen)
        for call_id in gone:
            audit.append(session, "call_deleted", user_id=viewer.id, call_id=call_id)
    return len(gone)


def delete_call(viewer: Viewer, call_id: UUID) -> None:
    """Delete one call. Raises CallNotFound, CallHeld."""
    if not delete_calls(viewer, [call_id]):
        raise failures.CallNotFound


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person knows better than the upload said; None leaves as it is."""

    client_name: str | None = None
    direction: CallType | None = None
    manager_name: str | None = None

    @property
    def fields(self) -> list[str]:
        """The names of what changes."""
        return [name for name, value in asdict(self).items() if value is not None]


def correct(viewer: Viewer, call_id: UUID, correction: Correction) -> Call:
    """Change a call's client, direction or manager. Only admins give a call to another manager.

    Raises CallNotFound, NotAllowed.
    """
    _changeable(viewer)
    if correction.manager_name is not None and viewer.role != "admin":
        raise failures.NotAllowed
    with db.unit_of_work() as session:
        call = session.scalar(select(Call).where(Call.id == call_id, visible_to(viewer)))
        if call is None:
            raise failures.CallNotFound
        if correction.client_name is not None:
            call.client_name = correction.client_name.strip() or None
        if correction.direction is not None:
            call.type = correction.direction
        if correction.manager_name is not None:
            call.manager_id = users.manager_named(session, correction.manager_name).id
        audit.append(
            session, "call_corrected", user_id=viewer.id, call_id=call_id, details={"fields": correction.fields}
        )
    return _changed(viewer, call_id)


def swap_speakers(viewer: Viewer, call_id: UUID) -> Call:
    """Client and manager were taken for each other: turn every segment round, and remember that a person did so.

    The analysis is made anew in the background, but for a call under legal hold.
    Raises CallNotFound, CallBeingProcessed.
    """
    _changeable(viewer)
    with db.unit_of_work() as session:
        calls.lock(session, [call_id])
        call = session.scalar(select(Call).where(Call.id == call_id, visible_to(viewer)).with_for_update())
        if call is None:
            raise failures.CallNotFound
        if call.status == "in-progress":
            raise failures.CallBeingProcessed
        sides.turn(session, call_id)
        call.speakers_swapped = not call.speakers_swapped
        call.client_ms, call.manager_ms = call.manager_ms, call.client_ms
        audit.append(session, "speakers_swapped", user_id=viewer.id, call_id=call_id)
        is_held = call.held_since is not None  # its analysis stays, too
        anew = not is_held and pipelines.analyse_swapped(session, call_id, Analyse.name, Publish.name)
    if anew:
        queue.ring(call_id, Analyse.queue)
    return _changed(viewer, call_id)


def reprocess(viewer: Viewer, call_id: UUID) -> None:
    """Send a call through the pipeline again, from its recording.

    Raises CallNotFound, CallHeld, NoRecording, CallBeingProcessed.
    """
    _changeable(viewer)
    with db.unit_of_work() as session:
        calls.lock(session, [call_id])
        call = session.scalar(select(Call).where(Call.id == call_id, visible_to(viewer)).with_for_update())
        if call is None:
            raise failures.CallNotFound
        if call.held_since is not None:  # its transcript would be replaced
            raise failures.CallHeld(calls=1)
        if call.audio_key is None:
            raise failures.NoRecording
        if not pipelines.restart(session, call_id, plan.FIRST):
            raise failures.CallBeingProcessed
        audit.append(session, "call_reprocessed", user_id=viewer.id, call_id=call_id)
    queue.ring(call_id, "speech")
