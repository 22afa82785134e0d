"""What an analysis tells beyond the guide's fields, where it is shown, and which versions were kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select

from appliance.models import AnalysisVersion, Pipeline, TopicTally
from appliance.store import analyses, db
from tests.conftest import SAMPLES, Running, processed, upload, wait_until


@pytest.fixture(scope="module")
def http(running: Running, people: dict[str, str]) -> httpx.Client:
    return running.client(people["admin"])


@pytest.fixture(scope="module")
def call(http: httpx.Client) -> dict[str, Any]:
    return processed(http, upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"])


def test_the_outcome_leads_to_the_segment_that_proves_it(http: httpx.Client, call: dict[str, Any]) -> None:
    analysis = call["aiAnalysis"]
    outcome = analysis["outcome"]
    assert outcome["kind"] == "test_drive"
    by_id = {segment["id"]: segment for segment in call["transcript"]}
    claims = [outcome, *analysis["cars"], *analysis["tasks"], *analysis["objections"]]
    assert len(claims) >= 3
    for claim in claims:
        segment = by_id[claim["segment_id"]]
        assert claim["start_ms"] == segment["start_ms"]
        assert claim["quote"] in segment["text"]
    assert [task["text"] for task in analysis["tasks"]] == analysis["action_items"]
    assert analysis["claims"] >= len(claims)
    assert analysis["dropped_claims"] == 0
    assert analysis["warnings"] == []


def test_calls_are_listed_by_outcome(http: httpx.Client, call: dict[str, Any]) -> None:
    def listed(**wanted: str) -> list[str]:
        found = http.get("/api/calls", params={"limit": "100", **wanted}).raise_for_status().json()["calls"]
        return [one["id"] for one in found]

    assert call["id"] in listed(outcome="test_drive")
    assert call["id"] in listed(outcome="all")
    assert call["id"] not in listed(outcome="lost")
    assert http.get("/api/calls", params={"outcome": "married"}).status_code == 422
    row = next(c for c in http.get("/api/calls", params={"limit": 100}).json()["calls"] if c["id"] == call["id"])
    assert row["aiAnalysis"]["outcome"] == call["aiAnalysis"]["outcome"]


def test_processing_again_keeps_the_version_before(http: httpx.Client) -> None:
    call = processed(http, upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"])  # its segments get other ids
    path = f"/api/calls/{call['id']}"
    before = http.get(path + "/ai-analysis/versions").json()["versions"]
    assert before[0]["is_current"]
    assert before[0]["summary"] == call["aiAnalysis"]["summary"]
    assert http.post(path + "/reprocess").status_code == 202
    processed(http, call["id"])
    after = http.get(path + "/ai-analysis/versions").json()["versions"]
    assert [version["number"] for version in after] == list(range(len(before) + 1, 0, -1))
    assert [version["is_current"] for version in after] == [True] + [False] * len(before)
    assert [version["reason"] for version in after] == ["reprocessed", "received"]
    assert after[1:] == [{**version, "is_current": False} for version in before]


def test_exchanged_speakers_are_analysed_anew_but_not_under_legal_hold(
    http: httpx.Client, running: Running, people: dict[str, str]
) -> None:
    """The built-in analyst, too, tells what the client wants from what the manager says."""
    call = processed(http, upload(http, SAMPLES / "ru-test-drive.mp3").json()["id"])
    path = f"/api/calls/{call['id']}"
    admin = running.client(people["admin"])

    def versions() -> list[dict[str, Any]]:
        return list(http.get(path + "/ai-analysis/versions").raise_for_status().json()["versions"])

    http.post(path + "/swap-speakers").raise_for_status()
    wait_until(lambda: len(versions()) == 2, 60, "the analysis of the other sides")
    assert [version["reason"] for version in versions()] == ["speakers_swapped", "received"]
    wrong = http.get(path).json()["aiAnalysis"]
    assert (wrong["summary"], wrong["action_items"]) != (
        call["aiAnalysis"]["summary"],
        call["aiAnalysis"]["action_items"],
    )
    http.post(path + "/swap-speakers").raise_for_status()
    wait_until(lambda: len(versions()) == 3, 60, "the analysis of the first sides")
    right = http.get(path).json()["aiAnalysis"]
    for field in ("summary", "action_items", "sentiment", "intents", "topics"):
        assert right[field] == call["aiAnalysis"][field]

    wait_until(lambda: state_of(call["id"]) == "completed", 60, "the call to be published")
    admin.put(path + "/hold").raise_for_status()
    http.post(path + "/swap-speakers").raise_for_status()
    assert state_of(call["id"]) == "completed"
    assert len(versions()) == 3
    admin.delete(path + "/hold").raise_for_status()
    assert http.delete(path).is_success


def state_of(call_id: str) -> str | None:
    with db.unit_of_work() as session:
        return session.scalar(select(Pipeline.state).where(Pipeline.call_id == call_id))


def test_lists_exports_and_dashboards_know_the_current_version_only(
    running: Running, people: dict[str, str], http: httpx.Client
) -> None:
    call_id = processed(http, upload(http, SAMPLES / "ru-wrong-number.wav", managerName="Борис Иванов").json()["id"])[
        "id"
    ]
    first, second = (f"тема {uuid4().hex[:8]}" for _ in range(2))
    common = {"language": "ru", "provider": "near", "model": "m", "prompt_version": "1"}
    for topic, sentiment, outcome in ((first, "negative", "lost"), (second, "positive", "sold")):
        score = 0.9 if sentiment == "positive" else -0.9
        found = {"sentiment": sentiment, "sentiment_score": score, "topics": [topic], "summary": f"Кратко: {topic}"}
        with db.unit_of_work() as session:
            made = {**common, **found, "outcome": outcome, "details": {"outcome": {"kind": outcome}}}
            analyses.keep(session, UUID(call_id), made, "reanalysed")
    listed = {"limit": 100, "outcome": "lost"}
    assert call_id not in [call["id"] for call in http.get("/api/calls", params=listed).json()["calls"]]
    shown = http.get("/api/calls", params={**listed, "outcome": "sold", "sentiment": "positive"}).json()["calls"]
    assert call_id in [call["id"] for call in shown]
    made = http.post("/api/calls/export", json={"format": "csv", "calls": [call_id]}).raise_for_status().json()
    file = httpx.get(made["download_url"]).text
    assert (file.count(first), file.count(second) > 0) == (0, True)
    topics = {one["topic"]: one["calls"] for one in http.get("/api/dashboard/trends").json()["topics"]}
    managers = http.get("/api/dashboard/managers").json()["managers"]
    known = [topic for manager in managers for topic in manager["topics"]]
    assert first not in topics
    assert first not in known
    with db.unit_of_work() as session:
        counted = {
            topic: session.scalar(
                select(func.sum(TopicTally.calls)).where(
                    TopicTally.topic == topic, TopicTally.level == "day", TopicTally.manager_id.is_(None)
                )
            )
            or 0
            for topic in (first, second)
        }
    assert counted == {first: 0, second: 1}
    versions = http.get(f"/api/calls/{call_id}/ai-analysis/versions").json()["versions"]
    assert [(version["number"], version["topics"]) for version in versions[:2]] == [(3, [second]), (2, [first])]
    assert http.delete(f"/api/calls/{call_id}").is_success
    with db.unit_of_work() as session:
        left = select(func.count()).select_from(AnalysisVersion).where(AnalysisVersion.call_id == call_id)
        assert session.scalar(left) == 0


def test_versions_of_a_call_that_is_not_there(http: httpx.Client) -> None:
    assert http.get(f"/api/calls/{uuid4()}/ai-analysis/versions").status_code == 404
    assert http.get(f"/api/calls/{uuid4()}/ai-analysis").status_code == 404
