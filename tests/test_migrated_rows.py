"""Every migration over rows in every table: nothing is lost, what it fills in is right, and so is the way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from psycopg.rows import dict_row
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance.models import Base
from appliance.store import db
from appliance.store.nodes import MIGRATIONS
from installer import postgres
from installer.site import Site
from tests.migrated_rows import CALLS, FAMILY, ROWS

DATABASE = "migrated_rows"
GROW = {"0018": {"call_tallies", "topic_tallies"}}
"""Tables that a migration puts rows of its own into, beside those that were there."""

Rows = dict[str, list[dict[str, Any]]]


class Migrated:
    """A database of its own that is brought from revision to revision."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.config = Config()
        self.config.set_main_option("script_location", str(MIGRATIONS))
        script = ScriptDirectory.from_config(self.config)
        self.revisions = [each.revision for each in script.walk_revisions()][::-1]

    def ask(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.address, row_factory=dict_row) as connection:
            cursor = connection.execute(query)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    def value(self, query: str) -> Any:
        return next(iter(self.ask(query)[0].values()))

    def rows(self) -> Rows:
        """Of every table, as JSON has them."""
        tables = [each["tablename"] for each in self.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        known = sorted(set(tables) - {"alembic_version"})
        return {
            table: [row["found"] for row in self.ask(f"SELECT to_jsonb(t) AS found FROM {table} t")] for table in known
        }

    def up(self, revision: str) -> None:
        command.upgrade(self.config, revision)

    def down(self, revision: str) -> None:
        command.downgrade(self.config, revision)


@pytest.fixture
def migrated(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Migrated]:
    address = postgres.address(site, postgres.OWNER, site.owner_password(), DATABASE)
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE))
    make = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(DATABASE), sql.Identifier(postgres.OWNER))
    monkeypatch.setattr(db, "owner_dsn", lambda: address)
    with psycopg.connect(postgres.admin_address(site, "postgres"), autocommit=True) as admin:
        admin.execute(drop)
        admin.execute(make)
        with psycopg.connect(postgres.admin_address(site, DATABASE), autocommit=True) as inside:
            inside.execute("CREATE EXTENSION pg_trgm")
        try:
            yield Migrated(address)
        finally:
            db.engine(address).dispose()
            admin.execute(drop)


def lost(before: Rows, after: Rows) -> list[str]:
    """Rows that are no more, in tables and columns that are still there."""
    gone = []
    for table, old in before.items():
        if table in after and old:
            kept = old[0].keys() & (after[table][0].keys() if after[table] else old[0].keys())
            missing = _counted(old, kept) - _counted(after[table], kept)
            gone += [f"{table}: {row}" for row in missing]
    return gone


def _counted(rows: list[dict[str, Any]], columns: Any) -> Counter[str]:
    return Counter(repr([(name, row[name]) for name in sorted(columns)]) for row in rows)


def test_every_migration_keeps_every_row_and_fills_in_what_is_right(migrated: Migrated) -> None:
    before: Rows = {}
    for revision in migrated.revisions:
        migrated.up(revision)
        after = migrated.rows()
        assert lost(before, after) == [], revision
        more = {table for table, old in before.items() if len(after[table]) > len(old)}
        assert more == GROW.get(revision, set()), revision
        assert not_whole(migrated) == [], revision
        if check := FILLED.get(revision):
            check(migrated)
        if rows := ROWS.get(revision):
            migrated.ask(rows)
        before = migrated.rows()
        # A migration that makes a table brings rows for it into tests/migrated_rows.py.
        assert [table for table, found in before.items() if not found] == [], revision
        if revision >= "0003":
            assert tallies(migrated) == counted(migrated, months_of_all=revision >= "0018"), revision
    command.check(migrated.config)
    _read_by_the_entities(migrated)
    _counts_on(migrated)


def not_whole(migrated: Migrated) -> list[dict[str, Any]]:
    return migrated.ask(
        "SELECT conname AS name FROM pg_constraint WHERE NOT convalidated"
        " UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid OR NOT indisready"
    )


def _read_by_the_entities(migrated: Migrated) -> None:
    with Session(db.engine(migrated.address)) as session:
        for mapper in Base.registry.mappers:
            assert session.scalars(select(mapper.class_)).all(), mapper.class_


def _counts_on(migrated: Migrated) -> None:
    """The triggers count what comes after all migrations, and a recount says the same."""
    migrated.ask(f"DELETE FROM calls WHERE id = '{CALLS[1]}'")
    migrated.ask(f"UPDATE calls SET duration_ms = 20000, date = date + interval '40 days' WHERE id = '{CALLS[7]}'")
    expected = counted(migrated, months_of_all=True)
    assert tallies(migrated) == expected
    migrated.ask("SELECT recount_calls('Europe/Moscow')")
    assert tallies(migrated) == expected


def test_the_way_back_keeps_what_the_older_schema_has_a_place_for(migrated: Migrated) -> None:
    """Nobody is led there: a release refuses a later database. It is for those who develop."""
    for revision in migrated.revisions:
        migrated.up(revision)
        if rows := ROWS.get(revision):
            migrated.ask(rows)
    for revision in migrated.revisions[-2::-1]:
        before = migrated.rows()
        migrated.down(revision)
        after = migrated.rows()
        if revision == "0020":  # it knows no such reason
            for row in before["analysis_versions"]:
                row["reason"] = {"speakers_swapped": "reanalysed"}.get(row["reason"], row["reason"])
        if revision == "0017":  # whole months of all managers go again
            for table in ("call_tallies", "topic_tallies"):
                before[table] = [row for row in before[table] if row["level"] == "day" or row["manager_id"]]
        assert lost(before, after) == [], revision
        assert not_whole(migrated) == [], revision
    migrated.up("head")
    assert tallies(migrated) == counted(migrated, months_of_all=True)


def test_a_later_database_is_refused_and_left_as_it_is(migrated: Migrated) -> None:
    migrated.up("head")
    migrated.ask(ROWS["0004"])
    migrated.ask("UPDATE alembic_version SET version_num = '9999'")
    before = migrated.rows()
    with pytest.raises(CommandError, match="9999"):
        migrated.up("head")
    assert migrated.rows() == before
    assert migrated.value("SELECT version_num FROM alembic_version") == "9999"


def _versions(migrated: Migrated) -> None:
    of = "SELECT array_agg(call_id::text ORDER BY call_id) FROM"
    assert migrated.value(f"{of} analysis_versions WHERE number = 1") == CALLS[:2]
    assert migrated.value(f"{of} ai_analyses WHERE version = 1") == CALLS[:2]
    assert migrated.value("SELECT count(*) FROM ai_analyses WHERE version = 0") == 2


def _copied(migrated: Migrated) -> None:
    columns = "sentiment, sentiment_score, topics, client_ms, manager_ms"
    found = [tuple(row.values()) for row in migrated.ask(f"SELECT {columns} FROM calls ORDER BY id")]
    nothing = (None, None, [], 0, 0)
    assert found == [
        ("positive", 0.7, ["тест-драйв", "кредит"], 3500, 5000),
        ("negative", -0.4, ["кредит"], 800, 0),
        *[nothing] * 5,
    ]


def _turns(migrated: Migrated) -> None:
    turns = "SELECT turn_at FROM pipelines WHERE state IN ('waiting', 'running') ORDER BY turn_at"
    at = [row["turn_at"] for row in migrated.ask(turns)]
    assert at == [
        datetime(2025, 2, 3, 10, 1, tzinfo=UTC) + timedelta(seconds=30),
        datetime(2025, 2, 3, 12, 1, tzinfo=UTC) + timedelta(seconds=90),
    ]


def _sessions(migrated: Migrated) -> None:
    began = f"SELECT DISTINCT began_at FROM refresh_tokens WHERE family = '{FAMILY}'"
    assert [row["began_at"] for row in migrated.ask(began)] == [datetime(2025, 3, 1, 8, tzinfo=UTC)]
    assert migrated.value("SELECT count(*) FROM refresh_tokens WHERE began_at IS NULL") == 0


def _preview_costs(migrated: Migrated) -> None:
    costs = migrated.ask("SELECT preview_cost FROM reanalysis_tasks ORDER BY position")
    assert [row["preview_cost"] for row in costs] == [0.02, 0, 0]


FILLED: dict[str, Callable[[Migrated], None]] = {
    "0002": _versions,
    "0003": _copied,
    "0008": _turns,
    "0014": _sessions,
    "0019": _preview_costs,
}
"""What a migration works out for rows that were there."""

Place = tuple[Any, ...]


def tallies(migrated: Migrated) -> dict[str, dict[Place, tuple[float, ...]]]:
    """What the database has counted, merged rows and loose ones together."""
    found = {}
    for table, key, sums in (
        ("calls", "type, status, sentiment", "calls, duration_ms, score, client_ms, manager_ms"),
        ("topics", "topic", "calls"),
    ):
        place = f"level, start, manager_id, {key}"
        summed = ", ".join(f"sum({name})" for name in sums.split(", "))
        wide = len(place.split(", "))
        rows = f"SELECT {place}, {summed} FROM {table[:-1]}_tallies GROUP BY {place} HAVING sum(calls) <> 0"
        with psycopg.connect(migrated.address) as connection:
            every = connection.execute(rows).fetchall()  # type: ignore[arg-type]
        found[table] = {row[:wide]: tuple(round(float(value), 6) for value in row[wide:]) for row in every}
    return found


def counted(migrated: Migrated, *, months_of_all: bool) -> dict[str, dict[Place, tuple[float, ...]]]:
    """The same from the calls, one by one."""
    of_calls: dict[Place, list[float]] = {}
    of_topics: dict[Place, list[float]] = {}
    for call in migrated.ask("SELECT * FROM calls"):
        day = call["date"].astimezone(ZoneInfo("Europe/Moscow")).date()
        for where in _places(day, call["manager_id"], months_of_all=months_of_all):
            place = (*where, call["type"], call["status"], call["sentiment"])
            sums = [1, call["duration_ms"], call["sentiment_score"] or 0, call["client_ms"], call["manager_ms"]]
            of_calls[place] = [a + b for a, b in zip(of_calls.get(place, [0] * 5), sums, strict=True)]
            for topic in call["topics"]:
                of_topics[*where, topic] = [of_topics.get((*where, topic), [0])[0] + 1]
    return {
        name: {place: tuple(round(float(value), 6) for value in sums) for place, sums in every.items()}
        for name, every in (("calls", of_calls), ("topics", of_topics))
    }


def _places(day: date, manager: UUID, *, months_of_all: bool) -> list[tuple[str, date, UUID | None]]:
    month = day.replace(day=1)
    places = [("day", day, None), ("day", day, manager), ("month", month, manager)]
    return [*places, ("month", month, None)] if months_of_all else places
