"""Calls of the past analysed anew: previewed apart, started, killed, paused, cancelled; nothing lost, nothing twice."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, func, select, update

from appliance.engines.language.prompts import ANALYSIS, prompts
from appliance.models import AiAnalysis, AnalysisVersion, Call, Event, LlmProfile, Pipeline, Reanalysis, ReanalysisTask
from appliance.services import erasure
from appliance.store import db
from tests.conftest import ROOT, Running, processed, wait_until
from tests.llm.scripted import Handler, Scripted, says, serving, slowly, status, transcript_of, well
from tests.pipeline.test_providers import ADDRESS, TOPICS, heard, profile, remove, started

ORDERS = "/api/admin/reanalysis"
OTHERWISE = {"sentiment": "negative", "sentiment_score": -0.5, "topics": ["масло", "гарантия"]}
"""What the new model says of every call."""


@pytest.fixture(scope="module")
def own(running: Running) -> Iterator[Running]:
    """An installation of this module's own, of two analysis workers, one of which may analyse calls anew."""
    settings = {"DATA_RESIDENCY": "cloud-masked", "ANALYSIS_WORKERS": "2", "STAGE_ATTEMPTS": "2"}
    with started(running, "api", "analysis", "housekeeping", **settings) as made:
        yield made


@pytest.fixture
def http(own: Running, people: dict[str, str]) -> Iterator[httpx.Client]:
    yield own.client(people["admin"])
    with db.unit_of_work() as session:
        session.execute(delete(Reanalysis))


@pytest.fixture
def near(http: httpx.Client) -> Iterator[Scripted]:
    """The provider that analyses fresh calls, and those of the past where none other is named."""
    with serving() as script:
        change = {"active": "near", "profiles": {"near": profile(script, "local", timeout_s=2, price_input=1.0)}}
        http.put(ADDRESS, json=change).raise_for_status()
        yield script
        http.put(ADDRESS, json={"active": "builtin"}).raise_for_status()


@pytest.fixture
def calls(near: Scripted, http: httpx.Client, people: dict[str, str]) -> Iterator[list[str]]:
    """Four calls that were analysed once; from now on the model says something else."""
    made = [heard(people["anna"], word) for word in TOPICS[:4]]
    for call_id in made:
        processed(http, call_id)
    near.requests.clear()
    near.otherwise = well(**OTHERWISE)
    yield made
    remove(http, made)


def ordered(http: httpx.Client, **body: Any) -> dict[str, Any]:
    return http.post(ORDERS, json=body).raise_for_status().json()  # type: ignore[no-any-return]


def read(http: httpx.Client, order: dict[str, Any], part: str = "") -> dict[str, Any]:
    return http.get(f"{ORDERS}/{order['id']}{part}").raise_for_status().json()  # type: ignore[no-any-return]


def reached(http: httpx.Client, order: dict[str, Any], state: str, within_s: float = 120) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        found = read(http, order)
        return found if found["state"] == state else None

    return wait_until(there, within_s, f"the order to be {state}")  # type: ignore[no-any-return]


def versions(call_id: str) -> list[str | None]:
    """Why each analysis of a call was made, the first first."""
    with db.unit_of_work() as session:
        query = select(AnalysisVersion.reason).where(AnalysisVersion.call_id == call_id)
        return list(session.scalars(query.order_by(AnalysisVersion.number)))


def sentiments(http: httpx.Client, calls: list[str]) -> set[str]:
    return {http.get(f"/api/calls/{call_id}/ai-analysis").json()["sentiment"] for call_id in calls}


def told(call_id: str) -> int:
    """How often everybody was told that a call is processed."""
    with db.unit_of_work() as session:
        events = select(func.count()).where(Event.call_id == call_id, Event.type == "call_processed")
        return session.scalar(events) or 0


def test_a_preview_is_kept_apart_and_the_rest_follows_when_it_is_started(
    http: httpx.Client, near: Scripted, calls: list[str]
) -> None:
    order = ordered(http, calls=calls, preview=2)
    assert (order["profile"], order["calls"], order["sample"], order["total"]) == ("near", 4, 2, 2)
    assert http.post(ORDERS, json={"archive": True}).json()["code"] == "reanalysis_under_way"
    shown = reached(http, order, "previewed")
    assert (shown["done"], shown["failed"], shown["skipped"]) == (2, 0, 0)
    assert shown["cost"] == pytest.approx(0.002)
    assert shown["expected_cost"] == pytest.approx(0.004)
    found = read(http, order, "/preview")
    assert len(found["calls"]) == len(near.requests) == 2
    for call in found["calls"]:
        assert (call["old"]["sentiment"], call["new"]["sentiment"]) == ("positive", "negative")
        assert call["old"]["summary"] == call["new"]["summary"]
        assert call["changed"] == ["sentiment", "sentiment_score", "topics"]
        assert call["new"]["prompt_tokens"] == 1000
    table = {row["field"]: row for row in found["differences"]}
    assert (table["sentiment"]["compared"], table["sentiment"]["changed"], table["sentiment"]["agreement"]) == (2, 2, 0)
    assert (table["sentiment_score"]["old_mean"], table["sentiment_score"]["new_mean"]) == (0.6, -0.5)
    assert (table["topics"]["agreement"], table["topics"]["new_mean"]) == (0, 2)
    assert (table["outcome"]["changed"], table["action_items"]["agreement"]) == (0, 1)
    assert sentiments(http, calls) == {"positive"}
    assert all(versions(call_id) == ["received"] for call_id in calls)

    begun = http.post(f"{ORDERS}/{order['id']}/start").raise_for_status().json()
    assert (begun["total"], begun["sample"]) == (4, 2)
    done = reached(http, order, "completed")
    assert (done["done"], done["cost"]) == (4, pytest.approx(0.006))
    assert sentiments(http, calls) == {"negative"}
    assert all(versions(call_id) == ["received", "reanalysed"] for call_id in calls)
    assert len(near.requests) == 6
    assert read(http, order, "/preview")["calls"][0]["old"]["sentiment"] == "positive"
    assert http.post(f"{ORDERS}/{order['id']}/start").json()["code"] == "reanalysis_not_previewed"
    assert http.post(f"{ORDERS}/{order['id']}/cancel").json()["code"] == "reanalysis_over"
    assert order["id"] in [one["id"] for one in http.get(ORDERS).json()["reanalyses"]]
    entries = http.get("/api/admin/audit", params={"limit": 50}).json()["entries"]
    mine = [entry["action"] for entry in entries if entry["details"].get("reanalysis") == order["id"]]
    assert mine == [
        *("reanalysis_preview_read", "reanalysis_started", "reanalysis_preview_read", "reanalysis_previewed"),
    ]


STRICTER, NEXT = "  - sentiment is negative where the client had to ask for anything twice.", "next"
"""A line of a new prompt set, and its version."""


@pytest.fixture
def upgraded(own: Running, tmp_path: Path) -> Iterator[None]:
    """The worker that analyses has the code of a release whose prompt set is another one."""
    shutil.copytree(ROOT / "appliance", tmp_path / "appliance")
    file = tmp_path / ANALYSIS.relative_to(ROOT)
    text = file.read_text(encoding="utf-8").replace(f'version: "{prompts().version}"', f'version: "{NEXT}"')
    file.write_text(text.replace("\nuser: |", f"\n{STRICTER}\nuser: |"), encoding="utf-8")
    own.kill("analysis")
    own.environment["PYTHONPATH"] = str(tmp_path)
    own.start("analysis")
    yield
    own.kill("analysis")
    del own.environment["PYTHONPATH"]
    own.start("analysis")


def by_its_prompt(handler: Handler, body: dict[str, Any]) -> None:
    """A model that does what it is told: what the new prompt set changes is seen in its answers."""
    is_told = STRICTER.strip() in body["messages"][0]["content"]
    (well(**OTHERWISE) if is_told else well())(handler, body)


def test_a_new_prompt_is_previewed_and_kept_as_a_version_of_each_call(
    http: httpx.Client, near: Scripted, calls: list[str], upgraded: None
) -> None:
    """Same profile, same model: calls may be analysed anew because a release words its questions otherwise."""
    near.otherwise = by_its_prompt
    order = ordered(http, calls=calls, preview=2)
    reached(http, order, "previewed")
    found = read(http, order, "/preview")
    for call in found["calls"]:
        sides = [(call[side]["prompt_version"], call[side]["sentiment"]) for side in ("old", "new")]
        assert sides == [(prompts().version, "positive"), (NEXT, "negative")]
        assert (call["old"]["provider"], call["old"]["model"]) == (call["new"]["provider"], call["new"]["model"])
    table = {row["field"]: row for row in found["differences"]}
    assert [table[name]["changed"] for name in ("sentiment", "topics", "intents", "summary_words")] == [2, 2, 0, 0]
    assert {tuple(prompt_versions(http, call_id)) for call_id in calls} == {(prompts().version,)}

    http.post(f"{ORDERS}/{order['id']}/start").raise_for_status()
    assert reached(http, order, "completed")["done"] == len(calls)
    for call_id in calls:
        assert prompt_versions(http, call_id) == [prompts().version, NEXT]
        assert http.get(f"/api/calls/{call_id}/ai-analysis").json()["prompt_version"] == NEXT
    assert sentiments(http, calls) == {"negative"}


def prompt_versions(http: httpx.Client, call_id: str) -> list[str]:
    """By which prompt set each analysis of a call was made, the first first."""
    kept = http.get(f"/api/calls/{call_id}/ai-analysis/versions").raise_for_status().json()["versions"]
    return [version["prompt_version"] for version in sorted(kept, key=lambda version: version["number"])]


def test_a_worker_that_is_killed_loses_no_call_and_analyses_none_twice(
    own: Running, http: httpx.Client, near: Scripted, calls: list[str]
) -> None:
    near.otherwise = slowly(0.7, well(**OTHERWISE))
    order = ordered(http, calls=calls)
    wait_until(lambda: read(http, order)["done"] >= 1 and near.in_flight, 60, "a call in the midst of the order")
    own.kill("analysis")
    own.start("analysis")
    done = reached(http, order, "completed")
    assert (done["done"], done["failed"], done["skipped"]) == (4, 0, 0)
    assert all(versions(call_id) == ["received", "reanalysed"] for call_id in calls)
    assert all(told(call_id) == 2 for call_id in calls), "in a small order, each call is told of"


def test_of_an_archive_only_calls_that_had_no_analysis_are_told_of(
    http: httpx.Client, near: Scripted, calls: list[str]
) -> None:
    """And a call whose analysis had failed is whole again."""
    with db.unit_of_work() as session:
        failed = {"state": "failed", "error_code": "llm_invalid_answer", "error": "no JSON"}
        session.execute(update(Pipeline).where(Pipeline.call_id == calls[0]).values(failed))
        lacking = {"processing_status": "failed"}
        session.execute(update(AiAnalysis).where(AiAnalysis.call_id == calls[0]).values(lacking))
    near.otherwise = slowly(0.3, well(**OTHERWISE))
    order = ordered(http, calls=calls)
    with db.unit_of_work() as session:
        session.execute(update(Reanalysis).values(total=1000))  # as if it were the archive
    reached(http, order, "completed")
    call = http.get(f"/api/calls/{calls[0]}").json()
    assert "processing_error" not in call
    assert (call["aiAnalysis"]["processing_status"], call["aiAnalysis"]["sentiment"]) == ("completed", "negative")
    assert told(calls[0]) == 2
    assert sum(told(call_id) for call_id in calls[2:]) == 2


def test_what_may_not_be_changed_is_skipped_and_what_fails_keeps_what_it_has(
    http: httpx.Client, near: Scripted, calls: list[str]
) -> None:
    held, broken, gone, fine = calls
    http.put(f"/api/calls/{held}/hold").raise_for_status()
    word = TOPICS[calls.index(broken)]

    def answer(handler: Any, body: dict[str, Any]) -> None:
        of_broken = word in transcript_of(body)[0][2]
        (says("no JSON") if of_broken else slowly(0.5, well(**OTHERWISE)))(handler, body)

    near.otherwise = answer
    near.steps.append(slowly(1.5, answer))
    order = ordered(http, calls=calls)
    wait_until(lambda: near.requests, 60, "the first call")
    http.delete(f"/api/calls/{gone}").raise_for_status()
    done = reached(http, order, "completed")
    http.delete(f"/api/calls/{held}/hold").raise_for_status()
    assert (done["total"], done["done"], done["failed"], done["skipped"]) == (4, 1, 1, 2)
    most = 0.0011 * len(near.requests)  # one of a call that is deleted meanwhile may be missing
    assert 0.0029 < done["cost"] < most, "two answers that cannot be used are paid for as well"
    assert versions(fine) == ["received", "reanalysed"]
    assert versions(broken) == versions(held) == ["received"]
    call = http.get(f"/api/calls/{broken}").json()
    assert (call["aiAnalysis"]["processing_status"], call["aiAnalysis"]["sentiment"]) == ("completed", "positive")


def test_a_preview_that_fails_tells_what_the_rest_would_cost(
    http: httpx.Client, near: Scripted, calls: list[str]
) -> None:
    near.otherwise = says("no JSON")
    shown = reached(http, ordered(http, calls=calls, preview=2), "previewed")
    assert (shown["done"], shown["failed"]) == (0, 2)
    assert shown["cost"] == pytest.approx(0.004, rel=0.05), "two calls of two requests each"
    assert shown["expected_cost"] == pytest.approx(2 * shown["cost"])


def test_while_the_provider_is_away_the_order_waits_and_says_so(
    http: httpx.Client, near: Scripted, calls: list[str]
) -> None:
    near.otherwise = status(503)
    order = ordered(http, calls=calls)
    waits = wait_until(lambda: read(http, order)["waits"], 60, "the order to wait")
    assert waits["code"] == "llm_unavailable"
    assert read(http, order)["failed"] == 0
    near.otherwise = well(**OTHERWISE)
    http.put(ADDRESS, json={"profiles": {"near": profile(near, "local")}}).raise_for_status()
    done = reached(http, order, "completed")
    assert (done["done"], done["waits"]) == (4, None)


def test_an_order_is_cancelled_in_its_midst(http: httpx.Client, near: Scripted, calls: list[str]) -> None:
    near.otherwise = slowly(0.7, well(**OTHERWISE))
    order = ordered(http, filters={"transcript": "Здравствуйте, меня зовут", "dateTo": "2001-05-06"})
    assert order["filters"] == ["dateTo", "transcript"]
    assert order["calls"] == 4
    wait_until(lambda: read(http, order)["done"] >= 1, 60, "the first call")
    assert http.post(f"{ORDERS}/{order['id']}/cancel").json()["state"] == "cancelled"
    wait_until(lambda: not near.in_flight, 30, "the call in flight")
    time.sleep(1)
    begun = len(near.requests)
    time.sleep(2)
    assert len(near.requests) == begun < 4
    assert read(http, order)["state"] == "cancelled"
    assert read(http, order)["done"] == sum(len(versions(call_id)) == 2 for call_id in calls) == begun


def test_fresh_calls_go_first(http: httpx.Client, near: Scripted, calls: list[str], people: dict[str, str]) -> None:
    near.otherwise = slowly(0.7, well(**OTHERWISE))
    order = ordered(http, calls=calls)
    wait_until(lambda: near.in_flight, 60, "the first call of the past")
    fresh = heard(people["anna"], TOPICS[5])
    assert processed(http, fresh, 60)["aiAnalysis"]["provider"] == "near"
    assert read(http, order)["done"] < 4
    remove(http, [fresh])
    reached(http, order, "completed")


def test_profiles_that_may_not_be_used_are_refused_and_dear_ones_wait(
    own: Running, http: httpx.Client, near: Scripted, calls: list[str], people: dict[str, str]
) -> None:
    with serving() as far:
        dear = profile(far, "cloud", price_input=10.0, price_output=10.0, daily_cost_cap=0.001)
        http.put(ADDRESS, json={"profiles": {"far": dear}}).raise_for_status()
        order = ordered(http, calls=calls, profile="far", preview=1)
        waits = wait_until(lambda: read(http, order)["waits"], 60, "the order to wait")
        assert waits["code"] == "llm_cost_cap"
        assert not far.requests
        http.post(f"{ORDERS}/{order['id']}/cancel").raise_for_status()
        http.put(ADDRESS, json={"profiles": {"far": {**dear, "daily_cost_cap": 100}}}).raise_for_status()
        order = ordered(http, calls=calls, profile="far", preview=1)
        reached(http, order, "previewed")
        assert len(far.requests) == 1
        sent = http.get("/api/admin/audit", params={"action": "llm_request_sent", "limit": 1}).json()["entries"][0]
        assert (sent["user_id"], sent["details"]["profile"]) == (http.get("/api/auth/me").json()["id"], "far")
        assert not near.requests
        strict = Running(own.site, _port(), environment={"DATA_RESIDENCY": "local-only"})
        strict.start("api")
        try:
            there = strict.client(people["admin"])
            refused = there.post(ORDERS, json={"calls": calls, "profile": "far"})
            assert refused.json()["code"] == "cloud_provider_refused"
            assert there.post(f"{ORDERS}/{order['id']}/start").json()["code"] == "cloud_provider_refused"
        finally:
            strict.kill("api")
        with db.unit_of_work() as session:
            session.execute(delete(LlmProfile).where(LlmProfile.name == "far"))


def _port() -> int:
    from tests.conftest import _free_port

    return _free_port()


@pytest.mark.parametrize(
    ("body", "status_code", "code"),
    [
        ({}, 422, "calls_not_chosen"),
        ({"filters": {}}, 422, "calls_not_chosen"),
        ({"archive": True, "calls": [str(uuid4())]}, 422, "calls_not_chosen"),
        ({"calls": [str(uuid4())]}, 422, "nothing_to_reanalyse"),
        ({"calls": [str(uuid4())], "profile": "nobody"}, 422, "llm_provider_unknown"),
        ({"calls": [str(uuid4())], "preview": 101}, 422, "validation_failed"),
    ],
)
def test_orders_that_are_refused(http: httpx.Client, body: dict[str, Any], status_code: int, code: str) -> None:
    answer = http.post(ORDERS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status_code, code)


def test_an_order_that_is_not_there(http: httpx.Client) -> None:
    for send, part in ((http.get, ""), (http.get, "/preview"), (http.post, "/start"), (http.post, "/cancel")):
        asked: Callable[[str], httpx.Response] = send
        answer = asked(f"{ORDERS}/{uuid4()}{part}")
        assert (answer.status_code, answer.json()["code"]) == (404, "reanalysis_not_found")


def test_an_erased_number_leaves_no_trace_in_a_preview(http: httpx.Client, near: Scripted, calls: list[str]) -> None:
    number = f"+7999{uuid4().int % 10**7:07}"
    near.otherwise = well(summary=f"Просил звонить на {number}")
    reached(http, ordered(http, calls=calls[:2], preview=1), "previewed")
    with db.unit_of_work() as session:
        found = select(ReanalysisTask.call_id).where(ReanalysisTask.result.is_not(None))
        previewed = session.scalars(found).one()
    assert erasure.look(number).mentions == [previewed]
    erasure.erase(number, mentions=True)
    with db.unit_of_work() as session:
        assert session.scalars(found).all() == []
        assert session.get(Call, UUID(str(previewed))) is None
