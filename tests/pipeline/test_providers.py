"""Whole calls and their providers: switched in mid-flight, forbidden, masked, down, too dear; and nothing leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, select, update

from appliance.engines.language.prompts import prompts
from appliance.models import (
    AiAnalysis,
    AnalysisVersion,
    Call,
    Event,
    LlmChoice,
    LlmProfile,
    LlmRequest,
    Pipeline,
    Segment,
    StageOutput,
    User,
)
from appliance.store import db, pipelines
from appliance.tasks import queue
from tests.api.test_monitoring import read
from tests.conftest import SAMPLES, Running, _free_port, processed, upload, wait_until
from tests.llm.scripted import Scripted, is_about_sides, says, serving, slowly, status, transcript_of, well

WORKERS = ("housekeeping", "analysis", "speech")
ADDRESS = "/api/admin/llm"
TOPICS = (
    *("масло", "фильтр", "колодки", "диски", "стекло", "фара", "бампер", "капот", "дверь", "салон"),
    *("руль", "коврик", "багажник", "кузов", "подвеска", "рычаг", "насос", "датчик", "ремень", "глушитель"),
)
"""One for each call, and nobody's name."""
NAME, PHONE = "Иван Петрович Сидоров", "восемь девятьсот шестнадцать сто двадцать три сорок пять шестьдесят семь"


@contextmanager
def started(running: Running, *names: str, **environment: str) -> Iterator[Running]:
    """The same installation with processes of its own settings, and no other workers beside them."""
    for name in [name for name in running.processes if name != "api"]:
        running.kill(name)
    with db.unit_of_work() as session:
        session.execute(delete(LlmRequest))
    own = Running(running.site, _free_port(), environment=environment)
    try:
        own.start(*names)
        yield own
    finally:
        for name in list(own.processes):
            own.kill(name)
        with db.unit_of_work() as session:
            session.execute(delete(LlmChoice))
            session.execute(delete(LlmProfile))
        running.start(*WORKERS)


@pytest.fixture
def near() -> Iterator[Scripted]:
    with serving() as script:
        yield script


@pytest.fixture
def far() -> Iterator[Scripted]:
    with serving() as script:
        yield script


def profile(server: Scripted, residency: str, **changes: Any) -> dict[str, Any]:
    return {"residency": residency, "base_url": server.url, "model": "m", "api_key": "k", "timeout_s": 60, **changes}


def heard(
    manager: str,
    word: str,
    confidence: float = 0.9,
    *,
    answered: str = "Автосалон, слушаю вас.",
    client: str | None = None,
) -> str:
    """A call that waits for its analysis; `word` is said in it alone. confidence: in who is client and who manager."""
    call_id = uuid4()
    said = [(0, f"Здравствуйте, меня зовут {NAME}, {word}, мой телефон {PHONE}."), (1, answered)]
    segments = [
        {
            "start_ms": n * 4000,
            "end_ms": n * 4000 + 3000,
            "speaker": speaker,
            "text": text,
            "confidence": 0.9,
            "language": "ru",
            "words": [],
        }
        for n, (speaker, text) in enumerate(said)
    ]
    outputs: dict[str, dict[str, Any]] = {
        "decode": {},
        "transcribe": {"language": "ru"},
        "diarize": {"segments": segments, "diarizer": "channels"},
        "assign roles": {"manager": 1, "rule": "direction", "confidence": confidence},
    }
    with db.unit_of_work() as session:
        owner = session.scalars(select(User).where(User.email == manager)).one()
        facts: dict[str, Any] = {"type": "incoming", "status": "in-progress", "date": datetime(2001, 5, 5, tzinfo=UTC)}
        facts |= {"roles_rule": "direction", "roles_confidence": confidence, "client_ms": 3000, "manager_ms": 2000}
        facts |= {"language": "ru", "client_name": client}
        session.add(Call(id=call_id, manager_id=owner.id, duration_ms=8000, **facts))
        session.flush()
        for position, segment in enumerate(segments):
            side = "B" if segment["speaker"] == 1 else "A"
            session.add(Segment(call_id=call_id, position=position, **{**segment, "speaker": side}))
        session.add(AiAnalysis(call_id=call_id))
        session.add(Pipeline(call_id=call_id, stage="analyse"))
        session.add_all(StageOutput(call_id=call_id, stage=s, output=o, elapsed_ms=1) for s, o in outputs.items())
    queue.ring(call_id, "analysis")
    return str(call_id)


def words_sent(server: Scripted) -> list[str]:
    """The word that each request was about."""
    lines = [transcript_of(body)[0][2] for body in server.requests]
    return [next(part.strip() for part in line.split(",") if part.strip() in TOPICS) for line in lines]


def remove(http: httpx.Client, calls: list[str]) -> None:
    http.post("/api/calls/batch-delete", json={"ids": calls}).raise_for_status()


def test_switching_while_twenty_calls_are_in_flight(
    running: Running, people: dict[str, str], near: Scripted, far: Scripted
) -> None:
    """local > cloud > local: every call once, by a profile that was allowed then, masked where it left, audited."""
    near.otherwise = far.otherwise = slowly(0.4, well())
    with started(running, "api", "analysis", "housekeeping", DATA_RESIDENCY="cloud-masked") as own:
        http = own.client(people["admin"])
        me = http.get("/api/auth/me").json()["id"]
        profiles = {
            "near": profile(near, "local", parallel=3),
            "far": profile(far, "cloud", parallel=3, price_input=1.0, daily_cost_cap=5.0),
        }
        http.put(ADDRESS, json={"active": "near", "profiles": profiles}).raise_for_status()
        calls = {word: heard(people["anna"], word) for word in TOPICS}
        wait_until(lambda: len(near.requests) >= 2, 60, "calls in flight at the first profile")
        on = datetime.now(UTC)
        http.put(ADDRESS, json={"active": "far"}).raise_for_status()
        wait_until(lambda: len(far.requests) >= 3, 60, "calls in flight at the second")
        http.put(ADDRESS, json={"active": "near"}).raise_for_status()
        off = datetime.now(UTC)
        done = {word: processed(http, call_id) for word, call_id in calls.items()}
        with db.unit_of_work() as session:
            rows = session.scalars(select(LlmRequest)).all()
        trail = http.get("/api/admin/audit", params={"action": "llm_request_sent", "limit": 100}).json()["entries"]
        remove(http, list(calls.values()))
    by_near, by_far = words_sent(near), words_sent(far)
    assert sorted(by_near + by_far) == sorted(calls), "every call is sent once, to one of them"
    assert by_near
    assert by_far
    for word, call in done.items():
        assert call["aiAnalysis"]["provider"] == ("near" if word in by_near else "far")
        assert call["aiAnalysis"]["processing_status"] == "completed"
    assert {str(row.call_id) for row in rows} == {calls[word] for word in by_far}
    assert len(rows) == len(by_far)
    trail = [entry for entry in trail if entry["call_id"] in calls.values()]  # that of other tests stays for ever
    assert {entry["call_id"] for entry in trail} == {calls[word] for word in by_far}
    assert all(entry["user_id"] == me and entry["details"]["masked"] >= 2 for entry in trail)
    for entry in trail:
        assert entry["details"].items() >= {"profile": "far", "model": "m", "host": "127.0.0.1"}.items()
    assert sorted(entry["details"]["bytes"] for entry in trail) == sorted(row.bytes_sent for row in rows)
    for row in rows:
        assert on <= row.sent_at <= off, "nothing leaves before it was switched on or after it was switched off"
        assert (str(row.chosen_by_id), row.host, row.outcome, row.leaves) == (me, "127.0.0.1", "answered", True)
        assert row.masked["name"] >= 1
        assert row.masked["phone"] == 1
        assert row.bytes_sent > 1000
        assert row.cost == pytest.approx(0.001)
    sent = json.dumps(far.requests, ensure_ascii=False)
    assert "Сидоров" not in sent
    assert "девятьсот шестнадцать" not in sent
    assert "Сидоров" in json.dumps(near.requests, ensure_ascii=False)
    assert "Сидоров" in done[by_far[0]]["aiAnalysis"]["summary"], "put back into the answer"


def test_names_that_the_appliance_knows_leave_masked_without_capitals_too(
    running: Running, people: dict[str, str], far: Scripted
) -> None:
    """The client's, the manager's, another user's and one of the site's vocabulary, as recognition writes surnames."""
    told = "смирновой нет, у подберезкина вторая машина, спросите бориса или бекжанова, цена в автоцентре на гребном"

    def quoting(handler: Any, body: dict[str, Any]) -> None:
        well(summary=transcript_of(body)[1][2])(handler, body)

    far.otherwise = quoting
    with started(running, "api", "analysis", "housekeeping", DATA_RESIDENCY="cloud-masked") as own:
        http = own.client(people["admin"])
        http.put(ADDRESS, json={"active": "far", "profiles": {"far": profile(far, "cloud")}}).raise_for_status()
        names = [{"text": "Бекжанов Нурлан"}, {"text": "Автоцентр на Гребном"}]
        http.put("/api/admin/vocabulary", json={"names": names}).raise_for_status()
        call_id = heard(people["anna"], "масло", answered=told, client="Олег Подберёзкин")
        summary = processed(http, call_id)["aiAnalysis"]["summary"]
        http.put("/api/admin/vocabulary", json={"names": []}).raise_for_status()
        remove(http, [call_id])
    [sent] = [transcript_of(body)[1][2] for body in far.requests]
    assert not [name for name in ("смирнов", "подберез", "борис", "бекжанов") if name in sent.lower()]
    assert "цена в автоцентре на гребном" in sent
    assert summary == told


def test_no_call_goes_to_the_cloud_while_the_local_model_is_down(
    running: Running, people: dict[str, str], near: Scripted, far: Scripted
) -> None:
    """Though it may be used and is ready: the call waits for the profile that was chosen, and says so."""
    near.otherwise = status(503)
    ready = {"DATA_RESIDENCY": "cloud-allowed", "OPENAI_BASE_URL": far.url, "OPENAI_API_KEY": "k"}
    with started(running, "api", "analysis", "housekeeping", **ready) as own:
        http = own.client(people["admin"])
        http.post(ADDRESS + "/test", json={"profile": "openai"}).raise_for_status()
        assert len(far.requests) == 1, "it could be asked"
        profiles = {"near": profile(near, "local", timeout_s=0.5), "far": profile(far, "cloud")}
        http.put(ADDRESS, json={"active": "near", "profiles": profiles}).raise_for_status()
        call_id = heard(people["anna"], "масло")

        def waits() -> Any:
            return http.get(f"/api/calls/{call_id}").json().get("processing_wait")

        assert wait_until(waits, 60, "the call to wait")["code"] == "llm_unavailable"
        call = http.get(f"/api/calls/{call_id}").json()
        assert (call["status"], call["aiAnalysis"]["processing_status"]) == ("in-progress", "pending")
        near.otherwise = well()
        http.put(ADDRESS, json={"profiles": {"near": profile(near, "local")}}).raise_for_status()
        assert processed(http, call_id)["aiAnalysis"]["provider"] == "near"
        remove(http, [call_id])
    assert len(far.requests) == 1


def test_at_the_days_cap_calls_wait_and_say_so(running: Running, people: dict[str, str], far: Scripted) -> None:
    with started(running, "api", "analysis", "housekeeping", DATA_RESIDENCY="cloud-masked") as own:
        http = own.client(people["admin"])
        dear = profile(far, "cloud", price_input=10.0, price_output=10.0)
        capped = {"far": {**dear, "daily_cost_cap": 0.001}}
        http.put(ADDRESS, json={"active": "far", "profiles": capped}).raise_for_status()
        call_id = heard(people["anna"], "масло")

        def waits() -> Any:
            return http.get(f"/api/calls/{call_id}").json().get("processing_wait")

        assert wait_until(waits, 60, "the call to wait")["code"] == "llm_cost_cap"
        assert not far.requests
        http.put(ADDRESS, json={"profiles": {"far": {**dear, "daily_cost_cap": 100}}}).raise_for_status()
        assert processed(http, call_id)["aiAnalysis"]["provider"] == "far"
        remove(http, [call_id])


def test_the_days_cap_holds_for_calls_at_the_same_time(running: Running, people: dict[str, str], far: Scripted) -> None:
    """Twelve calls at once and room for three: what is under way counts before anybody knows what it costs."""
    answered = threading.Event()

    def held(handler: Any, body: dict[str, Any]) -> None:
        answered.wait(50)
        well()(handler, body)

    far.otherwise = held
    environment = {"DATA_RESIDENCY": "cloud-masked", "ANALYSIS_WORKERS": "12"}
    with started(running, "api", "analysis", "housekeeping", **environment) as own:
        http = own.client(people["admin"])
        # Half a cent each at the most: 500 tokens of an answer.
        capped = profile(far, "cloud", parallel=12, price_output=10.0, answer_tokens=500, daily_cost_cap=0.0155)
        http.put(ADDRESS, json={"active": "far", "profiles": {"far": capped}}).raise_for_status()
        calls = [heard(people["anna"], word) for word in TOPICS[:12]]

        def waiting() -> list[str]:
            found = {call_id: http.get(f"/api/calls/{call_id}").json().get("processing_wait") for call_id in calls}
            return [call_id for call_id, wait in found.items() if (wait or {}).get("code") == "llm_cost_cap"]

        try:
            wait_until(lambda: len(waiting()) == 9, 60, "nine calls to wait")
            wait_until(lambda: len(far.requests) == 3, 60, "three requests")
            assert len(far.requests) == 3
        finally:
            answered.set()
        for call_id in set(calls) - set(waiting()):
            assert processed(http, call_id)["aiAnalysis"]["provider"] == "far"
        assert len(far.requests) == 3
        assert len(waiting()) == 9
        remove(http, calls)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (says("no JSON"), "llm_answer_invalid"),
        (says("{", "length"), "llm_answer_truncated"),
        (says(None, refusal="no"), "llm_refused"),
        (well(summary="The client wants to have the oil changed."), "llm_answer_wrong_language"),
    ],
    ids=["invalid", "truncated", "refused", "wrong language"],
)
def test_answers_that_cannot_be_used_count_in_the_days_cap_and_in_the_metrics(
    running: Running, people: dict[str, str], far: Scripted, answer: Any, code: str
) -> None:
    far.otherwise = answer
    # Requests are counted: a busy machine must not lose the lease and ask again.
    asking = {"DATA_RESIDENCY": "cloud-masked", "LEASE_S": "60"}
    with started(running, "api", "analysis", "housekeeping", **asking) as own:
        http = own.client(people["admin"])
        dear = profile(far, "cloud", price_input=10.0, price_output=10.0, answer_tokens=500)
        http.put(ADDRESS, json={"active": "far", "profiles": {"far": {**dear, "daily_cost_cap": 1}}}).raise_for_status()
        before, first = read(own), heard(people["anna"], "масло")
        failed = processed(http, first)
        assert (failed["aiAnalysis"]["processing_status"], failed["processing_error"]["code"]) == ("failed", code)
        asked = len(far.requests)
        assert asked == (1 if code == "llm_refused" else 2)
        spent = 0.011 * asked
        [mine] = [one for one in http.get(ADDRESS).json()["profiles"] if one["name"] == "far"]
        assert mine["spent_today"] == pytest.approx(spent)
        names = {
            "call_analytics_llm_tokens_total{kind=prompt}{provider=far}": 1000 * asked,
            "call_analytics_llm_tokens_total{kind=completion}{provider=far}": 100 * asked,
            "call_analytics_llm_cost_usd_total{provider=far}": spent,
        }
        after = read(own)
        assert {name: after[name] - before.get(name, 0) for name in names} == pytest.approx(names)
        cap = {"far": {**dear, "daily_cost_cap": spent + 0.001}}
        http.put(ADDRESS, json={"profiles": cap}).raise_for_status()
        second = heard(people["anna"], "фильтр")

        def waits() -> Any:
            return http.get(f"/api/calls/{second}").json().get("processing_wait")

        assert wait_until(waits, 60, "the call to wait")["code"] == "llm_cost_cap"
        assert len(far.requests) == asked
        remove(http, [first, second])


def test_the_builtin_analyst_stands_in_until_the_provider_is_back(
    running: Running, people: dict[str, str], near: Scripted
) -> None:
    near.otherwise = status(503)
    with started(running, "api", "analysis", "housekeeping", LLM_WHEN_DOWN="builtin") as own:
        http = own.client(people["admin"])
        profiles = {"near": profile(near, "local", timeout_s=0.5)}
        http.put(ADDRESS, json={"active": "near", "profiles": profiles}).raise_for_status()
        call_id = heard(people["anna"], "масло")
        assert processed(http, call_id)["aiAnalysis"]["provider"] == "builtin"
        near.otherwise = well()
        http.put(ADDRESS, json={"profiles": {"near": profile(near, "local")}}).raise_for_status()

        def provider() -> bool:
            return bool(http.get(f"/api/calls/{call_id}").json()["aiAnalysis"]["provider"] == "near")

        wait_until(provider, 120, "the provider to analyse the call")
        with db.unit_of_work() as session:
            row = session.scalars(select(AiAnalysis).where(AiAnalysis.call_id == call_id)).one()
        assert (row.stood_in_for, row.processing_status) == (None, "completed")
        versions = http.get(f"/api/calls/{call_id}/ai-analysis/versions").json()["versions"]
        kept = [(version["number"], version["provider"], version["reason"]) for version in versions]
        assert kept == [(2, "near", "provider_back"), (1, "builtin", "stood_in")]
        made = versions[0]
        assert (made["model"], made["prompt_version"]) == ("scripted-1", prompts().version)
        assert (made["prompt_tokens"], made["completion_tokens"]) == (1000, 100)
        assert made["elapsed_ms"] > 0
        remove(http, [call_id])


@pytest.mark.parametrize(
    ("confidence", "answer", "rule", "speakers"),
    [
        (0.75, {"manager": "1", "quote": "Здравствуйте меня зовут"}, "language_model", ["B", "A"]),
        (0.75, {"manager": "2", "quote": "Автосалон, слушаю вас"}, "language_model", ["A", "B"]),
        (0.75, {"manager": "1", "quote": "Автосалон, слушаю вас"}, "direction", ["A", "B"]),
        (0.9, None, "direction", ["A", "B"]),
    ],
)
def test_a_language_model_settles_who_the_manager_is_where_the_rules_were_not_sure(
    running: Running,
    people: dict[str, str],
    near: Scripted,
    confidence: float,
    answer: dict[str, str] | None,
    rule: str,
    speakers: list[str],
) -> None:
    def step(handler: Any, body: dict[str, Any]) -> None:
        says(json.dumps(answer))(handler, body) if is_about_sides(body) else well()(handler, body)

    near.otherwise = step
    environment = {"LLM_PROVIDER": "local", "LOCAL_LLM_URL": near.url, "LOCAL_LLM_MODEL": "m"}
    http = running.client(people["admin"])
    with started(running, "analysis", **environment):
        call_id = heard(people["anna"], TOPICS[0], confidence)
        call = processed(http, call_id)
        questions = [body for body in near.requests if is_about_sides(body)]
        (analysed,) = [body for body in near.requests if not is_about_sides(body)]
        assert len(questions) == (answer is not None)
        assert [segment["speaker"] for segment in call["transcript"]] == speakers
        assert [speaker for _, speaker, _ in transcript_of(analysed)] == speakers
        assert call["speaker_rule"] == rule
        assert call["speaker_confidence"] == (confidence if rule == "direction" else 0.9)
        assert not call["speakers_swapped"]
        columns = (Call.client_ms, Call.manager_ms, AiAnalysis.prompt_tokens)
        with db.unit_of_work() as session:
            kept = session.execute(select(*columns).join(AiAnalysis).where(Call.id == UUID(call_id))).one()
        spoken = (2000, 3000) if speakers == ["B", "A"] else (3000, 2000)
        assert tuple(kept) == (*spoken, 1000 * len(near.requests))
        remove(http, [call_id])


def test_what_people_put_right_is_what_the_provider_gets_later(
    running: Running, people: dict[str, str], near: Scripted
) -> None:
    """Words corrected and speakers exchanged since: by the call as it stands now, not as it was heard."""
    near.otherwise = status(503)
    # No housekeeping, which would ask the provider at any time: nobody rings again for a call whose lease has run out.
    with started(running, "api", "analysis", LLM_WHEN_DOWN="builtin", LEASE_S="60") as own:
        http = own.client(people["admin"])
        profiles = {"near": profile(near, "local", timeout_s=0.5)}
        http.put(ADDRESS, json={"active": "near", "profiles": profiles}).raise_for_status()
        call_id = heard(people["anna"], "масло")
        assert processed(http, call_id)["aiAnalysis"]["provider"] == "builtin"
        with db.unit_of_work() as session:
            corrected = {"text": "Салон Лада, слушаю вас."}
            second = (Segment.call_id == call_id, Segment.position == 1)
            session.execute(update(Segment).where(*second).values(corrected))
        near.requests.clear()
        http.post(f"/api/calls/{call_id}/swap-speakers").raise_for_status()
        wait_until(lambda: near.requests, 120, "the provider to be asked")
        sent = transcript_of(near.requests[0])
        remove(http, [call_id])
    assert [(line[0], line[1]) for line in sent] == [("0", "B"), ("1", "A")]
    assert sent[1][2] == "Салон Лада, слушаю вас."


def test_whose_speakers_are_exchanged_is_analysed_anew_as_it_stands_at_the_end(
    running: Running, people: dict[str, str], near: Scripted
) -> None:
    """Exchanged twice: an answer about the sides in between, which is on its way by then, is not kept."""
    near.otherwise = well()
    free = threading.Event()

    def when_free(handler: Any, body: dict[str, Any]) -> None:
        free.wait(60)
        well(sentiment="negative", sentiment_score=-0.6)(handler, body)

    # Requests are counted: a busy machine must not lose the lease and ask again.
    with started(running, "api", "analysis", "housekeeping", LEASE_S="60") as own:
        http = own.client(people["anna"])
        profiles = {"near": profile(near, "local")}
        own.client(people["admin"]).put(ADDRESS, json={"active": "near", "profiles": profiles}).raise_for_status()
        call_id = heard(people["anna"], "масло")
        processed(http, call_id)
        near.requests.clear()
        near.otherwise = when_free
        swap = f"/api/calls/{call_id}/swap-speakers"
        assert http.post(swap).raise_for_status().json()["aiAnalysis"]["processing_status"] == "completed"
        wait_until(lambda: near.requests, 60, "the provider to be asked of the other sides")
        near.otherwise = well(sentiment="positive", sentiment_score=0.6)
        http.post(swap).raise_for_status()
        free.set()
        address = f"/api/calls/{call_id}/ai-analysis/versions"
        wait_until(lambda: len(http.get(address).json()["versions"]) > 1, 60, "the analysis of the sides as they are")
        wait_until(lambda: not near.in_flight, 60, "the answer that nobody waits for")
        time.sleep(1)  # for whoever would keep it
        versions = http.get(address).json()["versions"]
        kept = [(one["reason"], one["sentiment"]) for one in versions]
        sides = [[line[1] for line in transcript_of(sent)] for sent in near.requests]
        assert (kept[0], len(kept)) == (("speakers_swapped", "positive"), 2)
        assert sides == [["B", "A"], ["A", "B"]]
        assert kept_and_told(call_id) == ([1, 2], ["call_processed", "call_processed"])
        remove(http, [call_id])


def test_a_call_that_cannot_be_analysed_anew_keeps_what_it_has(
    running: Running, people: dict[str, str], near: Scripted
) -> None:
    """The provider is back and has no valid answer for this call: it is no failure, and not tried for ever."""
    near.otherwise = status(503)
    with started(running, "api", "analysis", "housekeeping", LLM_WHEN_DOWN="builtin") as own:
        http = own.client(people["admin"])
        profiles = {"near": profile(near, "local", timeout_s=0.5)}
        http.put(ADDRESS, json={"active": "near", "profiles": profiles}).raise_for_status()
        call_id = heard(people["anna"], "масло")
        before = processed(http, call_id)["aiAnalysis"]
        near.otherwise = says("no JSON at all")
        http.put(ADDRESS, json={"profiles": {"near": profile(near, "local")}}).raise_for_status()

        def given_up() -> bool:
            with db.unit_of_work() as session:
                asked = select(AiAnalysis.stood_in_for).where(AiAnalysis.call_id == call_id)
                state = session.scalar(select(Pipeline.state).where(Pipeline.call_id == call_id))
                return state == "completed" and session.scalar(asked) is None

        wait_until(given_up, 120, "the call to be left as it is")
        call = http.get(f"/api/calls/{call_id}").json()
        assert "processing_error" not in call
        assert call["aiAnalysis"] == {**before, "updated_at": call["aiAnalysis"]["updated_at"]}
        assert kept_and_told(call_id) == ([1], ["call_processed"])
        remove(http, [call_id])


def kept_and_told(call_id: str) -> tuple[list[int], list[str]]:
    """The numbers of a call's analyses, and what everybody was told of it."""
    with db.unit_of_work() as session:
        mine = select(AnalysisVersion.number).where(AnalysisVersion.call_id == call_id)
        numbers = session.scalars(mine.order_by(AnalysisVersion.number)).all()
        return list(numbers), list(session.scalars(select(Event.type).where(Event.call_id == call_id)))


@pytest.mark.parametrize(
    ("stage", "status", "told"),
    [("analyse", "completed", []), ("publish", "in-progress", ["call_processed"])],
    ids=["it was to be analysed anew", "it was to be published"],
)
def test_a_call_with_a_valid_analysis_does_not_fail(
    running: Running, people: dict[str, str], stage: str, status: str, told: list[str]
) -> None:
    """Also where its workers died of it."""
    with started(running):
        call_id = heard(people["anna"], "масло")
        with db.unit_of_work() as session:
            waits = {"state": "waiting", "stage": stage}
            session.execute(update(Pipeline).where(Pipeline.call_id == call_id).values(waits))
            session.execute(update(Call).where(Call.id == call_id).values(status=status))
            found = {"processing_status": "completed", "stood_in_for": "near", "summary": "Пересказ"}
            session.execute(update(AiAnalysis).where(AiAnalysis.call_id == call_id).values(found))
        with db.unit_of_work() as session:
            assert pipelines.fail(session, UUID(call_id), "poison", "3 workers died", owner=None)
        with db.unit_of_work() as session:
            analysis = session.scalars(select(AiAnalysis).where(AiAnalysis.call_id == call_id)).one()
            pipeline, call = session.get_one(Pipeline, call_id), session.get_one(Call, call_id)
            session.delete(call)
            assert (pipeline.state, pipeline.error_code, call.status) == ("completed", None, "completed")
            assert (analysis.processing_status, analysis.stood_in_for) == ("completed", None)
            assert kept_and_told(call_id)[1] == told


HOOK = """
import ipaddress, os, sys

def _watch(event, args):
    if event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        return
    target = args[0] if event == "socket.getaddrinfo" else args[1][0] if isinstance(args[1], tuple) else None
    if target is None:
        return
    try:
        inside = ipaddress.ip_address(target).is_loopback
    except ValueError:
        inside = target in ("localhost", os.uname().nodename)
    if not inside:
        with open(os.environ["EGRESS_RECORD"], "a") as record:
            record.write(f"{event} {target}\\n")
        raise PermissionError(f"{event} {target} leaves this machine")

sys.addaudithook(_watch)
with open(os.environ["EGRESS_RECORD"] + ".watched", "a") as record:
    record.write(" ".join(sys.argv) + "\\n")
"""


def test_a_whole_call_under_local_only_leaves_nothing(
    running: Running, people: dict[str, str], near: Scripted, tmp_path: Path
) -> None:
    """Every process is watched: a connection or a look-up beyond loopback fails and is recorded."""
    (tmp_path / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    record = tmp_path / "record"
    watched = {"PYTHONPATH": str(tmp_path), "EGRESS_RECORD": str(record)}
    probe = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", probe], env={**os.environ, **watched}, capture_output=True, check=False
    )
    assert done.returncode != 0
    assert "192.0.2.1" in record.read_text(encoding="utf-8"), "the watch sees what it is to see"
    record.unlink()
    with started(running, "api", *WORKERS, **watched) as own:
        http = own.client(people["admin"])
        http.put(ADDRESS, json={"active": "near", "profiles": {"near": profile(near, "local")}}).raise_for_status()
        call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
        assert processed(http, call_id)["aiAnalysis"]["provider"] == "near"
        since = f"{datetime.now(UTC):%Y-%m-%d}"
        command = [str(Path(sys.prefix) / "bin" / "appliance"), "audit", "egress", "--since", since]
        told = subprocess.run(command, env={**os.environ, **watched}, capture_output=True, text=True, check=True)
        remove(http, [call_id])
    assert told.stdout.strip() == "0 bytes left this machine"
    assert not record.exists()
    seen = Path(f"{record}.watched").read_text(encoding="utf-8")
    assert all(f"worker {name}" in seen for name in WORKERS)
    assert " api" in seen
