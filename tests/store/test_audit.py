"""The audit trail's chain: whole under concurrency, closed to changes, broken by whatever is changed all the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from appliance.cli import app
from appliance.models import AuditEntry
from appliance.store import audit, db
from installer import postgres
from installer.site import Site


@pytest.fixture
def call_id(site: Site) -> UUID:
    """A call that nobody else writes about."""
    return uuid4()


def write(call_id: UUID, count: int) -> None:
    for number in range(count):
        with db.unit_of_work() as session:
            audit.append(session, "call_read", call_id=call_id, details={"ё": "да", "n": number, "list": ["a", "b"]})


def verdict() -> audit.Verdict:
    with db.unit_of_work() as session:
        return audit.verify(session)


def written(call_id: UUID) -> list[AuditEntry]:
    with db.unit_of_work() as session:
        query = select(AuditEntry).where(AuditEntry.call_id == call_id).order_by(AuditEntry.id)
        return list(session.scalars(query))


def test_entries_of_many_at_once_make_one_chain(call_id: UUID) -> None:
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(write, call_id, 10) for _ in range(8)]:
            done.result()
    assert len(written(call_id)) == 80
    found = verdict()
    assert found.broken_id is None
    assert found.entries >= 80


def test_what_rolls_back_leaves_no_entry(call_id: UUID) -> None:
    def fail() -> None:
        with db.unit_of_work() as session:
            audit.append(session, "call_read", call_id=call_id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert written(call_id) == []


def test_a_number_that_json_may_change_is_refused(call_id: UUID) -> None:
    with pytest.raises(TypeError), db.unit_of_work() as session:
        audit.append(session, "call_read", call_id=call_id, details={"share": 0.1})  # type: ignore[dict-item]
    assert written(call_id) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET action = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DROP TABLE audit_log",
        "ALTER TABLE audit_log DISABLE TRIGGER ALL",
        "CREATE TABLE audit_log_2 (id int)",
        "UPDATE alembic_version SET version_num = '0000'",
        "ALTER ROLE appliance SUPERUSER",
        "SET ROLE appliance_owner",
    ],
)
def test_the_applications_role_cannot(call_id: UUID, statement: str) -> None:
    write(call_id, 1)
    with pytest.raises(DBAPIError) as caught, db.unit_of_work() as session:
        session.execute(text(statement))
    assert caught.value.orig
    assert caught.value.orig.sqlstate == "42501"  # insufficient_privilege
    assert len(written(call_id)) == 1


def test_not_even_the_owner_changes_an_entry_by_mistake(site: Site, call_id: UUID) -> None:
    write(call_id, 1)
    with psycopg.connect(postgres.owner_address(site)) as connection:
        for statement in ("UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"), connection.transaction():
                connection.execute(statement)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_log SET action = 'call_written' WHERE id = {second}",
        "UPDATE audit_log SET user_id = gen_random_uuid() WHERE id = {second}",
        "UPDATE audit_log SET at = at + interval '1 microsecond' WHERE id = {second}",
        "UPDATE audit_log SET details = details || '{{\"n\": 7}}' WHERE id = {second}",
        "DELETE FROM audit_log WHERE id = {second}",
    ],
)
def test_what_is_changed_all_the_same_is_found(site: Site, call_id: UUID, tampering: str) -> None:
    write(call_id, 3)
    _, second, third = (entry.id for entry in written(call_id))
    with Session(db.engine(postgres.admin_address(site))) as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))  # a superuser can pass the triggers by
        session.execute(text(tampering.format(second=second)))
        found = audit.verify(session).broken_id
        session.rollback()
    assert found in {second, third}
    assert verdict().broken_id is None


def test_the_operator_lists_and_verifies(call_id: UUID) -> None:
    write(call_id, 2)
    listed = CliRunner().invoke(app, ["audit", "list", "--since", "2020-01-01", "--call", str(call_id), "--json"])
    assert listed.exit_code == 0
    assert listed.output.count("call_read") == 2
    verified = CliRunner().invoke(app, ["audit", "verify"])
    assert verified.exit_code == 0
    head = verified.output.strip().rsplit(" ", 1)[-1]
    assert CliRunner().invoke(app, ["audit", "verify", "--anchor", head]).exit_code == 0
    number = head.partition(":")[0]
    cut = CliRunner().invoke(app, ["audit", "verify", "--anchor", f"{number}:{'00' * 32}"])
    assert cut.exit_code == 1
    assert "BROKEN" in cut.output
