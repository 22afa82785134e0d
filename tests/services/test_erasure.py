"""A number is erased from every table and file; others' calls stay; the trail says that it happened, not who it was."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, select, text
from typer.testing import CliRunner

from appliance.cli import app
from appliance.config import settings
from appliance.models import AiAnalysis, AnalysisVersion, AuditEntry, Call, Export, LlmRequest, Pipeline, Segment, User
from appliance.models.base import Base
from appliance.models.pipelines import StageOutput, StageStep
from appliance.models.reanalyses import Reanalysis, ReanalysisTask
from appliance.services import calls as services
from appliance.services import erasure, exports, failures, holds
from appliance.store import audit, calls, db, events, objects
from appliance.store import erasure as traces
from appliance.store.call_filters import CallFilter
from appliance.store.visibility import Viewer
from installer.site import Site

NOW = datetime.now(UTC)


def random_number() -> str:
    return f"+7999{random.SystemRandom().randrange(10**7):07}"


def add_call(owner: UUID, phone: str, said: list[tuple[str, str]], **fields: Any) -> UUID:
    """A finished call with everything that can hang on one, its recording and scratch file too."""
    call_id = uuid4()
    key = f"recordings/{call_id}.wav"
    objects.ensure_bucket()
    objects.put(key, io.BytesIO(b"sound"), 5, "audio/wav")
    scratch(call_id).mkdir(parents=True)
    with db.unit_of_work() as session:
        facts = {"phone": phone, "manager_id": owner, "date": NOW, "audio_key": key, **fields}
        session.add(Call(id=call_id, type="incoming", status="completed", **facts))
        session.flush()
        for position, (speaker, words) in enumerate(said):
            times = {"start_ms": position * 1000, "end_ms": position * 1000 + 900}
            session.add(
                Segment(
                    call_id=call_id,
                    position=position,
                    speaker=speaker,
                    text=words,
                    language="ru",
                    confidence=0.9,
                    words=[[words, 0, 1, 0.9]],
                    **times,
                )
            )
        found = {"summary": f"Просил звонить на {phone}", "details": {"callback": phone}}
        session.add(AiAnalysis(call_id=call_id, processing_status="completed", version=1, **found))
        session.add(AnalysisVersion(call_id=call_id, number=1, **found))
        session.add(Pipeline(call_id=call_id, stage="publish", state="completed"))
        session.flush()
        session.add(StageOutput(call_id=call_id, stage="decode", output={"phone": phone}, elapsed_ms=1))
        session.add(StageStep(call_id=call_id, position=0, question={"asked": phone}, answer={"said": phone}))
        reanalysis = Reanalysis(profile="erasure-test", state="completed", filters=[], total=1, sample=1)
        session.add(reanalysis)
        session.flush()
        task = {"position": 0, "sampled": True, "state": "done", "result": found}
        session.add(ReanalysisTask(reanalysis_id=reanalysis.id, call_id=call_id, **task))
        session.add(
            LlmRequest(
                profile="erasure-test",
                model="m",
                host="h",
                purpose="analysis",
                call_id=call_id,
                leaves=False,
                masked={},
                bytes_sent=1,
                reserved_cost=0,
                cost=0,
            )
        )
        events.append(session, "call_processed", call_id)
    return call_id


def scratch(call_id: UUID) -> Path:
    return settings().data_dir / "scratch" / str(call_id)


def tables_that_hold(what: str) -> list[str]:
    """Every table of the database in a row of which this text stands, whether there is a model of it or not."""
    of_ours = "table_schema = 'public' AND table_type = 'BASE TABLE'"
    every = f"SELECT table_name FROM information_schema.tables WHERE {of_ours}"
    holding = 'SELECT count(*) FROM "{}" t WHERE t::text LIKE :what'
    with db.unit_of_work() as session:
        names = session.scalars(text(every)).all()
        assert {*names} > {*Base.metadata.tables}
        return [name for name in names if session.scalar(text(holding.format(name)), {"what": f"%{what}%"})]


def there(call_id: UUID) -> bool:
    with db.unit_of_work() as session:
        return session.get(Call, call_id) is not None


@pytest.fixture
def owner(site: Site) -> Iterator[Viewer]:
    """A manager of this test's own."""
    with db.unit_of_work() as session:
        user = User(name=f"Стирание {uuid4().hex[:8]}", role="manager")
        session.add(user)
    yield Viewer(user.id, user.name, "manager", uuid4())
    with db.unit_of_work() as session:
        left = session.scalars(select(Call.id).where(Call.manager_id == user.id)).all()
        calls.remove(session, left)
        session.execute(delete(LlmRequest).where(LlmRequest.profile == "erasure-test"))
        session.execute(delete(Reanalysis).where(Reanalysis.profile == "erasure-test"))
        session.execute(delete(User).where(User.id == user.id))


def erase(*arguments: str, answer: str = "") -> str:
    done = CliRunner().invoke(app, ["erase", *arguments], input=answer)
    assert done.exit_code == 0, done.output
    return done.output


def test_no_trace_is_left_of_a_number_and_all_of_the_others(owner: Viewer) -> None:
    number, other = random_number(), random_number()
    mine = [add_call(owner.id, number, [("A", f"Мой номер {number}")]) for _ in range(2)]
    spoken = f"8 ({number[2:5]}) {number[5:8]}"
    naming = add_call(owner.id, other, [("A", spoken), ("B", "Так"), ("A", f"{number[8:10]}-{number[10:]}")])
    innocent = add_call(owner.id, other, [("A", f"Код {number[2:]}5"), ("B", number[2:7])])
    exports.make(owner, "csv", CallFilter(), "ru")
    with db.unit_of_work() as session:
        file = session.scalars(select(Export.object_key).where(Export.user_id == owner.id)).one()

    told = erase("--phone", f"8 ({number[2:5]}) {number[5:]}", "--dry-run")
    assert "calls: 2 found" in told
    assert str(naming) in told
    assert str(innocent) not in told
    assert all(there(call_id) for call_id in mine)

    told = erase(answer=f"{number[1:]}\ny\n")
    assert "segments: 2 erased" in told
    assert "recordings: 2 erased" in told
    for key in [file, *(f"recordings/{call_id}.wav" for call_id in mine)]:
        with pytest.raises(objects.ObjectMissing):
            objects.stream(key, 0, 0)
    assert not any(scratch(call_id).exists() for call_id in mine)
    assert all(tables_that_hold(str(call_id)) == [] for call_id in mine)
    assert tables_that_hold(number[2:]) == ["segments"]  # the innocent's code
    with db.unit_of_work() as session:
        newest = select(AuditEntry).where(AuditEntry.action == traces.ACTION).order_by(AuditEntry.id.desc())
        spent = select(func.count()).where(LlmRequest.profile == "erasure-test", LlmRequest.call_id.is_(None))
        assert session.scalar(spent) == 2
        entry = session.scalars(newest).first()
        assert audit.verify(session).broken_id is None
    assert entry is not None
    assert (entry.action, entry.details["calls"], entry.details["mentions"]) == ("number_erased", 2, 1)

    assert "calls: 1 erased" in erase("--phone", number, "--mentions", "--yes")
    assert not there(naming)
    assert there(innocent)
    assert list(objects.stream(f"recordings/{innocent}.wav", 0, 0)) == [b"sound"]


def test_what_is_no_number_and_what_nobody_has(site: Site) -> None:
    with pytest.raises(failures.InvalidPhone):
        erasure.erase("12")
    assert "calls: 0 erased" in erase("--phone", random_number(), "--yes")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("+7 916 123-45-67", True),
        ("89161234567.", True),
        ("916 123 45 67", True),
        ("99161234567", False),
        ("916123456789", False),
        ("916 рублей 123 45 67", False),
    ],
)
def test_spellings_that_are_meant(site: Site, said: str, meant: bool) -> None:
    with db.unit_of_work() as session:
        found = session.scalar(
            select(text(":said ~ :wanted")), {"said": said, "wanted": traces.pattern("+79161234567")}
        )
    assert found is meant


def test_an_export_that_was_read_before_an_erasure_vanishes(owner: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The erasure commits between the reading of the rows and the making of the link."""
    number = random_number()
    add_call(owner.id, number, [])
    put = objects.put

    def erase_first(key: str, *rest: Any) -> None:
        erasure.erase(number)
        put(key, *rest)

    monkeypatch.setattr(objects, "put", erase_first)
    with pytest.raises(failures.CallsErasedMeanwhile):
        exports.make(owner, "csv", CallFilter(), "ru")
    with db.unit_of_work() as session:
        assert session.scalars(select(Export).where(Export.user_id == owner.id)).all() == []


def test_what_the_store_cannot_delete_stays_due(owner: Viewer, monkeypatch: pytest.MonkeyPatch) -> None:
    number = random_number()
    call_id = add_call(owner.id, number, [])

    def away(_: str) -> None:
        raise objects.ObjectStoreUnavailable

    with monkeypatch.context() as patched:
        patched.setattr(objects, "delete", away)
        assert "1 files are deleted as soon" in erase("--phone", number, "--yes")
    assert not there(call_id)
    assert tables_that_hold(f"recordings/{call_id}") == ["object_deletions"]


def test_an_export_older_than_the_calls_stays(owner: Viewer) -> None:
    number, kept = random_number(), f"downloads/{uuid4()}.csv"
    with db.unit_of_work() as session:
        session.add(Export(user_id=owner.id, format="csv", object_key=kept, expires_at=NOW + timedelta(hours=1)))
    add_call(owner.id, number, [])
    assert erasure.erase(number).counts["exports"] == 0
    with db.unit_of_work() as session:
        assert session.execute(delete(Export).where(Export.object_key == kept).returning(Export.id)).all()


def test_a_held_call_survives_every_deletion_until_it_is_released(owner: Viewer) -> None:
    number = random_number()
    held, free = (add_call(owner.id, number, []) for _ in range(2))
    admin = Viewer(uuid4(), "admin", "admin", uuid4())
    with pytest.raises(failures.NotAllowed):
        holds.hold(owner, held)
    since = holds.hold(admin, held).held_since
    assert since is not None
    assert holds.hold(admin, held).held_since == since
    with pytest.raises(failures.CallHeld):
        services.delete_calls(owner, [free, held])
    with pytest.raises(failures.CallHeld):
        services.reprocess(admin, held)
    assert there(free)

    done = CliRunner().invoke(app, ["erase", "--phone", number, "--yes"])
    assert done.exit_code == 1, done.output
    assert "calls: 1 erased" in done.output
    assert f"1 calls are under legal hold and stay, until an admin releases them:\n  {held}" in done.output
    assert (there(held), there(free)) == (True, False)
    assert list(objects.stream(f"recordings/{held}.wav", 0, 0)) == [b"sound"]

    assert holds.release(admin, held).held_since is None
    services.delete_call(owner, held)
    with db.unit_of_work() as session:
        actions = select(AuditEntry.action).where(AuditEntry.call_id == held).order_by(AuditEntry.id)
        assert session.scalars(actions).all() == ["call_held", "call_released", "call_deleted"]
