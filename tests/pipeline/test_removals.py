"""What was taken out of a transcript can be read on the call."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

from sqlalchemy import delete, select

from appliance.engines.speech import Removal, Transcription
from appliance.models import Call, Pipeline, User
from appliance.pipeline.transcribe import TRANSCRIPTIONS, Transcribe
from appliance.store import db
from tests.conftest import Running


def test_removals_are_recorded_and_shown(running: Running, people: dict[str, str]) -> None:
    call_id = uuid4()
    heard = [
        Transcription("ru", 1.0, (), (Removal(5000, 6000, "repetition", "да да"),)),
        Transcription("ru", 1.0, (), (Removal(1000, 2000, "invention", "Продолжение следует..."),)),
    ]
    output = {"language": "und", "weights": "x", "channels": TRANSCRIPTIONS.dump_python(heard, mode="json")}
    with db.unit_of_work() as session:
        owner = session.scalars(select(User).where(User.email == people["anna"])).one()
        call = Call(id=call_id, type="incoming", status="completed", manager_id=owner.id, date=datetime.now(UTC))
        session.add(call)
        session.flush()
        session.add(Pipeline(call_id=call_id, stage="publish", state="completed"))
        Transcribe().record(session, SimpleNamespace(call_id=call_id), output)  # type: ignore[arg-type]
    try:
        shown = running.client(people["anna"]).get(f"/api/calls/{call_id}").json()
        assert shown["removals"] == [
            {"start_ms": 1000, "end_ms": 2000, "channel": 1, "reason": "invention", "text": "Продолжение следует..."},
            {"start_ms": 5000, "end_ms": 6000, "channel": 0, "reason": "repetition", "text": "да да"},
        ]
    finally:
        with db.unit_of_work() as session:
            session.execute(delete(Call).where(Call.id == call_id))
