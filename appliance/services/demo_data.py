"""The demonstration's people and calls, for whoever tries the frontend out before the first real recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import yaml
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from appliance.config import settings
from appliance.engines import audio
from appliance.engines.language import Conversation, Utterance
from appliance.engines.language.builtin import BuiltinAnalyst
from appliance.errors import ApplianceError
from appliance.models import AiAnalysis, Call, Pipeline, Segment, User
from appliance.pipeline import plan
from appliance.pipeline.analyse import judged
from appliance.services import phones, users
from appliance.store import analyses, db, deletions, events, objects
from appliance.store.users import by_email, manager_named

PASSWORD = "password123"  # noqa: S105 - known to everybody, and refused outside the demonstration
ADMIN, MANAGER = "admin@autogroup.ru", "manager@autogroup.ru"

SAMPLES = Path(__file__).parent.parent.parent / "samples"
CALLS = Path(__file__).parent / "data" / "demo_calls.yaml"

WRITTEN = "samples"
"""What the transcripts are of: the lines that the samples were spoken from, not an engine's hearing."""


class NotADemonstration(ApplianceError):
    code = "not_a_demonstration"
    status = 409
    ru = (
        "Эта установка рабочая: демо-данные в неё не добавляются. "
        "Для показа: make seed-demo DATA_DIR=var-demo PORT=8001"
    )
    en = (
        "This installation is not a demonstration: no demo data goes into it. "
        "To show the product: make seed-demo DATA_DIR=var-demo PORT=8001"
    )


@dataclass(frozen=True, slots=True)
class Planned:
    """One call of the demonstration. Its name is its idempotency key, so that it is made once."""

    name: str
    kind: str
    date: datetime
    facts: dict[str, Any]

    @property
    def key(self) -> str:
        return f"seed-demo {self.name}"


def create_users() -> None:
    """The two demo users, once."""
    if not users.exists(ADMIN):
        users.create("Администратор", ADMIN, PASSWORD, "admin")
    if not users.exists(MANAGER):
        users.create("Анна Смирнова", MANAGER, PASSWORD, "manager")


def seed(report: Callable[[str], None], now: datetime | None = None) -> int:
    """Make what is missing of the demonstration's users and calls; returns how many calls were made.

    Raises NotADemonstration where DEMO is not set.
    """
    if not settings().demo:
        raise NotADemonstration
    create_users()
    with db.unit_of_work() as session:
        owner = session.scalars(select(User.id).where(func.lower(User.email) == ADMIN)).one()
        there = set(session.scalars(select(Call.idempotency_key).where(Call.uploaded_by_id == owner)))
    missing = [planned for planned in plan_calls(now or datetime.now(UTC)) if planned.key not in there]
    for planned in missing:
        _make(owner, planned)
        report(planned.name)
    return len(missing)


def plan_calls(now: datetime) -> Iterator[Planned]:
    """The calls, newest first as far as the file says so; none of them lies in the future."""
    listed = yaml.safe_load(CALLS.read_text(encoding="utf-8"))
    for kind, calls in listed.items():
        for name, facts in calls.items():
            yield Planned(name, kind, _moment(now, facts["ago"], facts["at"]), facts)


def _moment(now: datetime, ago: int, at: str) -> datetime:
    zone = ZoneInfo(settings().site_timezone)
    day = now.astimezone(zone).date() - timedelta(days=ago)
    return min(datetime.combine(day, time.fromisoformat(at), zone), now - timedelta(minutes=10))


@lru_cache
def dialogues() -> dict[str, Any]:
    """What is said in the samples, by whom."""
    loaded: dict[str, Any] = yaml.safe_load((SAMPLES / "dialogues.yaml").read_text(encoding="utf-8"))
    return loaded


def timings() -> dict[str, list[list[int]]]:
    """When each line of a sample is said: start and end in ms."""
    loaded: dict[str, list[list[int]]] = yaml.safe_load((SAMPLES / "timings.yaml").read_text(encoding="utf-8"))
    return loaded


def conversation_of(name: str) -> Conversation:
    """A sample as an analyst reads it."""
    known = dialogues()[name]
    lines = zip(known["lines"], timings()[name], strict=True)
    return Conversation(
        tuple(Utterance(str(n), who, start, end, said) for n, ((who, said), (start, end)) in enumerate(lines)),
        known["language"],
        known["direction"],
    )


def _make(owner: UUID, planned: Planned) -> None:
    known = {**dialogues().get(planned.name, {}), **planned.facts}
    call = Call(
        id=uuid4(),
        type=known.get("direction", "incoming"),
        status="missed" if planned.kind == "missed" else "completed",
        phone=phones.parse(known["phone"]),
        client_name=known.get("client") or None,
        uploaded_by_id=owner,
        idempotency_key=planned.key,
        date=planned.date,
    )
    if planned.kind != "missed":
        _store_recording(call, planned.name)
    with db.unit_of_work() as session:
        call.manager_id = _manager(session, known["manager"]).id
        session.add(call)
        session.flush()
        if planned.kind == "recorded":
            _add_conversation(session, call, conversation_of(planned.name))
        elif planned.kind == "failed":
            failed = {"error_code": planned.facts["code"], "error": planned.facts["error"]}
            session.add(AiAnalysis(call_id=call.id, processing_status="failed"))
            session.add(Pipeline(call_id=call.id, stage="transcribe", state="failed", **failed))
        events.append(session, "call_created", call.id)
        if call.audio_key:
            deletions.withdraw(session, call.audio_key)


def _manager(session: Session, name: str) -> User:
    """The demo manager has calls to see, also where a namesake was there before."""
    own = by_email(session, MANAGER)
    return own if own is not None and own.name == name else manager_named(session, name)


def _store_recording(call: Call, name: str) -> None:
    """Store the sample. As with an upload, an interruption leaves no orphan: the key is marked before it is written."""
    file = next(f for f in SAMPLES.glob(f"{name}.*") if f.suffix in {".wav", ".mp3", ".m4a"})
    facts, size = audio.probe(file), file.stat().st_size
    key = f"recordings/{call.id}.{facts.extension}"
    with db.unit_of_work() as session:
        deletions.mark_unfinished(session, key)
    with file.open("rb") as opened:
        objects.put(key, opened, size, facts.media_type)
    call.duration_ms = facts.duration_ms
    call.audio_key, call.audio_type, call.audio_bytes = key, facts.media_type, size
    call.audio_codec, call.audio_channels = facts.codec, facts.channels


def _add_conversation(session: Session, call: Call, conversation: Conversation) -> None:
    call.language, call.transcript_model = conversation.language, WRITTEN
    spoken = {who: sum(u.end_ms - u.start_ms for u in conversation.utterances if u.speaker == who) for who in "AB"}
    call.client_ms, call.manager_ms = spoken["A"], spoken["B"]
    for position, line in enumerate(conversation.utterances):
        times = {"start_ms": line.start_ms, "end_ms": line.end_ms}
        said = {"speaker": line.speaker, "text": line.text, "language": conversation.language}
        session.add(Segment(call_id=call.id, position=position, confidence=1.0, words=[], **times, **said))
    session.add(AiAnalysis(call_id=call.id))
    session.add(Pipeline(call_id=call.id, stage=plan.STAGES[-1].name, state="completed"))
    session.flush()
    record = BuiltinAnalyst().analyse(conversation)
    analyses.keep(session, call.id, judged(record, analyses.places(session, call.id), elapsed_ms=0), "received")
