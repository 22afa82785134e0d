"""The whole archive analysed anew, in a database of its own: other tests keep their calls as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from appliance.config import settings
from appliance.models import Call, Pipeline
from appliance.services import users
from appliance.store import db
from appliance.tasks import queue
from installer import stack
from installer.site import Site
from tests.conftest import PASSWORD, Running, _free_port, let_in, processed
from tests.installer.test_external import foreign_database
from tests.llm.scripted import Handler, Scripted, serving, slowly, transcript_of, well
from tests.pipeline.test_providers import ADDRESS, TOPICS, heard, profile
from tests.pipeline.test_reanalysis import ORDERS, OTHERWISE, ordered, reached, read, versions

ADMIN, MANAGER = "admin@archive.example", "manager@archive.example"
CALLS, SAMPLE, OF_ONE_MIND = 8, 3, 2
"""Calls of the archive, of the preview, and those of which both models say the same."""


@pytest.fixture
def own(site: Site, tmp_path: Path) -> Iterator[Running]:
    """An installation on the tests' servers whose database holds nobody else's calls; this process looks at it too."""
    let_in(tmp_path)
    made = Site(tmp_path.resolve())
    made.make_folders()
    mine = {"DATABASE_URL": foreign_database(site), "DATA_DIR": str(made.data_dir)}
    made.change_settings(**site.facts() | mine)
    stack.migrate(made)
    running = Running(made, _free_port(), environment={"ANALYSIS_WORKERS": "2", "DATA_DIR": mine["DATA_DIR"]})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPLIANCE_ENV_FILE", str(made.env_file))
        _look_again()
        try:
            for email, role in ((ADMIN, "admin"), (MANAGER, "manager")):
                users.create(role, email, PASSWORD, role)
            running.start("api", "analysis", "housekeeping")
            yield running
        finally:
            for name in list(running.processes):
                running.kill(name)
            db.engine().dispose()
    _look_again()


def _look_again() -> None:
    """What goes by the settings is made anew; a queue keeps the connection to the database it was made for."""
    for cached in (settings, db.engine, queue.bell, queue.queue):
        cached.cache_clear()


def other_words(handler: Handler, body: dict[str, Any]) -> None:
    """The new model: of some calls what the old one said, of the others something else."""
    same = any(word in transcript_of(body)[0][2] for word in TOPICS[:OF_ONE_MIND])
    slowly(0.3, well() if same else well(**OTHERWISE))(handler, body)


def followed(http: httpx.Client, order: dict[str, Any]) -> list[int]:
    """How many calls were done, each time that somebody looked, until the order was completed."""
    seen, until = [], time.monotonic() + 120
    while time.monotonic() < until:
        found = read(http, order)
        seen.append(found["done"])
        if found["state"] == "completed":
            return seen
        time.sleep(0.1)
    raise AssertionError(f"not completed: {found}")


@pytest.fixture
def near() -> Iterator[Scripted]:
    with serving() as script:
        yield script


def test_the_whole_archive_by_another_model_with_a_preview_first(own: Running, near: Scripted) -> None:
    with serving() as newer:
        newer.otherwise = other_words
        http = own.client(ADMIN)
        profiles = {"near": profile(near, "local"), "newer": profile(newer, "local", model="newer", price_input=1.0)}
        http.put(ADDRESS, json={"active": "near", "profiles": profiles}).raise_for_status()
        calls = [heard(MANAGER, word) for word in TOPICS[:CALLS]]
        for call_id in calls:
            assert processed(http, call_id)["aiAnalysis"]["provider"] == "near"
        untouched = not_in_the_archive(calls[0])

        order = ordered(http, archive=True, profile="newer", preview=SAMPLE)
        assert (order["filters"], order["calls"], order["sample"], order["total"]) == ([], CALLS, SAMPLE, SAMPLE)
        shown = reached(http, order, "previewed")
        assert (shown["done"], shown["failed"], shown["skipped"]) == (SAMPLE, 0, 0)
        assert shown["expected_cost"] == pytest.approx(shown["cost"] / SAMPLE * CALLS)
        beside = read(http, order, "/preview")
        compare(beside["calls"], {row["field"]: row for row in beside["differences"]})
        assert {call["call_id"] for call in beside["calls"]} <= set(calls)
        assert len(newer.requests) == SAMPLE
        assert all(versions(call_id) == ["received"] for call_id in calls), "a preview changes no call"

        http.post(f"{ORDERS}/{order['id']}/start").raise_for_status()
        seen = followed(http, order)
    assert seen == sorted(seen)
    assert seen[-1] == CALLS
    assert len(set(seen)) > 2, "progress could be watched"
    assert len(newer.requests) == SAMPLE + CALLS
    for call_id in calls:
        kept = http.get(f"/api/calls/{call_id}/ai-analysis/versions").raise_for_status().json()["versions"]
        by_number = sorted(kept, key=lambda version: version["number"])
        assert [version["provider"] for version in by_number] == ["near", "newer"]
        assert [version["is_current"] for version in by_number] == [False, True]
        assert by_number[0]["sentiment"] == "positive"
        expected = "positive" if call_id in calls[:OF_ONE_MIND] else "negative"
        assert http.get(f"/api/calls/{call_id}/ai-analysis").json()["sentiment"] == expected
    assert versions(untouched) == []
    assert len(near.requests) == CALLS


def not_in_the_archive(like: str) -> str:
    """A call of which there is no transcript, since nobody picked up: nothing to analyse."""
    with db.unit_of_work() as session:
        taken = session.get_one(Call, like)
        missed = Call(manager_id=taken.manager_id, type="incoming", status="missed", date=taken.date, duration_ms=0)
        session.add(missed)
        session.flush()
        assert session.get(Pipeline, missed.id) is None
        return str(missed.id)


def compare(calls: list[dict[str, Any]], table: dict[str, dict[str, Any]]) -> None:
    """Old and new stand side by side, and the table counts what can be seen there."""
    assert len(calls) == SAMPLE
    differ = [call for call in calls if call["changed"]]
    for call in calls:
        assert (call["old"]["provider"], call["new"]["provider"]) == ("near", "newer")
        assert call["old"]["sentiment"] == "positive"
        assert call["new"]["sentiment"] == ("negative" if call in differ else "positive")
    assert SAMPLE - OF_ONE_MIND <= len(differ) <= SAMPLE
    sentiment = table["sentiment"]
    assert (sentiment["compared"], sentiment["changed"]) == (SAMPLE, len(differ))
    # Both are told in three digits.
    assert sentiment["agreement"] == pytest.approx(1 - len(differ) / SAMPLE, abs=0.001)
    assert table["sentiment_score"]["old_mean"] == pytest.approx(0.6)
    expected = sum(call["new"]["sentiment_score"] for call in calls) / SAMPLE
    assert table["sentiment_score"]["new_mean"] == pytest.approx(expected, abs=0.001)
