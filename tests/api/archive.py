"""A program of test_schemathesis.py: calls of some managers in an installation, by APPLIANCE_ENV_FILE; told as JSON."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy import select

from appliance.models import Call, Segment
from appliance.services import demo_data
from appliance.store import db, deletions
from appliance.store.users import by_email

SAMPLE = "ru-wrong-number"


def fill(email: str, number: int) -> dict[str, list[str]]:
    """Calls of a manager; the ids of all, and everything by which somebody else would know that these are shown."""
    word, ids = uuid4().hex, [uuid4() for _ in range(number)]
    for n, call_id in enumerate(ids):
        call = Call(id=call_id, type="incoming", status="completed", client_name=f"Клиент {word}")
        call.phone, call.date = f"+7495{n:07}", datetime.now(UTC) - timedelta(days=n)
        demo_data._store_recording(call, SAMPLE)
        with db.unit_of_work() as session:
            manager = by_email(session, email)
            assert manager is not None
            call.manager_id = call.uploaded_by_id = manager.id
            session.add(call)
            session.flush()
            demo_data._add_conversation(session, call, demo_data.conversation_of(SAMPLE))
            said = session.scalars(select(Segment).where(Segment.call_id == call.id, Segment.position == 0)).one()
            said.text += f" {word}"
            deletions.withdraw(session, str(call.audio_key))
    with db.unit_of_work() as session:
        segments = session.scalars(select(Segment.id).where(Segment.call_id.in_(ids))).all()
    return {"calls": list(map(str, ids)), "signs": [word, *map(str, ids), *map(str, segments)]}


print(json.dumps({email: fill(email, int(sys.argv[1])) for email in sys.argv[2:]}))
