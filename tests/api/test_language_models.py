"""Who analyses: chosen by admins, refused where it would leave the building, the same in every worker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, insert, text

from appliance.models import LlmChoice, LlmProfile
from appliance.store import db
from tests.conftest import SAMPLES, Running, processed, upload, wait_until
from tests.llm.scripted import Scripted, says, serving, status

ADDRESS = "/api/admin/llm"
KEY = "sk-nobody-may-see-this"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as script:
        yield script


@pytest.fixture
def admin(running: Running, people: dict[str, str]) -> Iterator[httpx.Client]:
    """An admin; whatever is chosen and added is gone afterwards."""
    yield running.client(people["admin"])
    with db.unit_of_work() as session:
        session.execute(delete(LlmChoice))
        session.execute(delete(LlmProfile))


def local(server: Scripted, **changes: Any) -> dict[str, Any]:
    return {"residency": "local", "base_url": server.url, "model": "m", "api_key": KEY, **changes}


def put(admin: httpx.Client, **body: Any) -> httpx.Response:
    return admin.put(ADDRESS, json=body)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_the_environment_decides_until_somebody_chooses(admin: httpx.Client) -> None:
    shown = admin.get(ADDRESS).json()
    assert (shown["active"], shown["chosen_by"], shown["data_residency"]) == ("builtin", None, "local-only")
    assert {p["name"]: p["allowed"] for p in shown["profiles"]} == {"builtin": True, "local": True, "openai": False}
    limits = {p["name"]: p["answer_limit"] for p in shown["profiles"]}
    assert (limits["local"], limits["openai"]) == ("max_tokens", "max_completion_tokens")


def test_a_key_is_kept_sealed_and_never_shown(admin: httpx.Client, server: Scripted) -> None:
    answer = put(admin, profiles={"second": local(server)})
    assert answer.status_code == 200, answer.text
    [mine] = [p for p in answer.json()["profiles"] if p["name"] == "second"]
    assert (mine["has_key"], mine["source"]) == (True, "stored")
    assert KEY not in answer.text + admin.get(ADDRESS).text
    with db.unit_of_work() as session:
        stored = session.scalars(text("SELECT llm_profiles::text FROM llm_profiles")).all()
    assert stored
    assert KEY not in "".join(stored)
    admin.post(ADDRESS + "/test", json={"profile": "second"}).raise_for_status()
    assert server.keys == [f"Bearer {KEY}"]


def test_a_key_is_kept_by_a_change_but_not_sent_to_another_address(admin: httpx.Client, server: Scripted) -> None:
    put(admin, profiles={"second": local(server)}).raise_for_status()
    changed = {**local(server, model="m2")}
    del changed["api_key"]
    put(admin, profiles={"second": changed}).raise_for_status()
    admin.post(ADDRESS + "/test", json={"profile": "second"}).raise_for_status()
    assert server.keys == [f"Bearer {KEY}"]
    moved = {**changed, "base_url": "http://127.0.0.1:9/v1"}
    assert refused(put(admin, profiles={"second": moved})) == (422, "llm_key_needed")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"active": "openai"}, 403, "cloud_provider_refused"),
        (
            {"profiles": {"x": {"residency": "cloud", "base_url": "https://api.example.com/v1", "model": "m"}}},
            403,
            "cloud_provider_refused",
        ),
        (
            {"profiles": {"x": {"residency": "local", "base_url": "http://8.8.8.8/v1", "model": "m"}}},
            422,
            "llm_not_local",
        ),
        (
            {"profiles": {"x": {"residency": "local", "base_url": "http://[::ffff:8.8.8.8]/v1", "model": "m"}}},
            422,
            "llm_not_local",
        ),
        ({"active": "nobody"}, 422, "llm_provider_unknown"),
        ({"profiles": {"nobody": None}}, 422, "llm_provider_unknown"),
        (
            {"profiles": {"local": {"residency": "local", "base_url": "http://10.0.0.1/v1", "model": "m"}}},
            422,
            "llm_profile_reserved",
        ),
        ({"profiles": {"X y": None}}, 422, "validation_failed"),
        ({"profiles": {"x": {"residency": "local", "base_url": "ftp://x", "model": "m"}}}, 422, "validation_failed"),
        ({"profiles": {"x": {"residency": "local", "base_url": "http://u:p@10.0.0.1/", "model": "m"}}}, 422, None),
        ({"profiles": {"x": {"residency": "local", "base_url": "http://[", "model": "m"}}}, 422, "llm_address_invalid"),
        (
            {"profiles": {"x": {"residency": "local", "base_url": "http://127.0.0.1", "model": "m", "api_key": "к"}}},
            422,
            "validation_failed",
        ),
        (
            {
                "profiles": {
                    "x": {"residency": "local", "base_url": "http://127.0.0.1", "model": "m", "daily_cost_cap": 5}
                }
            },
            422,
            "validation_failed",
        ),
        ({"unknown": 1}, 422, "validation_failed"),
    ],
)
def test_what_is_refused_changes_nothing(
    admin: httpx.Client, body: dict[str, Any], status: int, code: str | None
) -> None:
    before = admin.get(ADDRESS).json()
    answer = put(admin, **body)
    assert refused(answer) == (status, code or "validation_failed")
    assert admin.get(ADDRESS).json() == before


def test_nothing_of_a_refused_request_is_kept(admin: httpx.Client, server: Scripted) -> None:
    assert refused(put(admin, active="openai", profiles={"second": local(server)})) == (403, "cloud_provider_refused")
    assert "second" not in admin.get(ADDRESS).text


def test_the_profile_in_use_cannot_be_removed(admin: httpx.Client, server: Scripted) -> None:
    put(admin, active="second", profiles={"second": local(server)}).raise_for_status()
    assert refused(put(admin, profiles={"second": None})) == (409, "llm_profile_in_use")
    answer = put(admin, active="builtin", profiles={"second": None})
    newest = admin.get("/api/admin/audit", params={"action": "llm_changed", "limit": 1}).json()["entries"][0]
    assert newest["user_id"] == admin.get("/api/auth/me").json()["id"]
    assert newest["details"] == {"active": "builtin", "saved": [], "removed": ["second"]}
    assert [p["name"] for p in answer.json()["profiles"]] == ["builtin", "local", "openai"]


def test_a_sample_call_shows_what_a_profile_takes(admin: httpx.Client, server: Scripted) -> None:
    put(admin, profiles={"second": local(server, price_input=2.0, price_output=10.0)}).raise_for_status()
    tried = admin.post(ADDRESS + "/test", json={"profile": "second"}).json()
    assert tried.pop("latency_ms") >= 0
    assert tried == {
        "profile": "second",
        "model": "scripted-1",
        "valid": True,
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "cost": 0.003,
        "requests": 1,
        "error": None,
    }
    [mine] = [p for p in admin.get(ADDRESS).json()["profiles"] if p["name"] == "second"]
    assert mine["spent_today"] == 0.003


@pytest.mark.parametrize(
    ("step", "code", "took"),
    [(says("nonsense"), "llm_answer_invalid", (2000, 200, 0.006, 2)), (status(401), "llm_misconfigured", (0, 0, 0, 0))],
)
def test_a_sample_call_that_fails_says_why_and_what_it_took(
    admin: httpx.Client, server: Scripted, step: Any, code: str, took: tuple[float, ...]
) -> None:
    server.otherwise = step
    put(admin, profiles={"failing": local(server, price_input=2.0, price_output=10.0)}).raise_for_status()
    tried = admin.post(ADDRESS + "/test", json={"profile": "failing"}).json()
    assert (tried["valid"], tried["error"]["code"]) == (False, code)
    assert tuple(tried[name] for name in ("prompt_tokens", "completion_tokens", "cost", "requests")) == took


def test_a_tokenizer_that_is_not_there_is_what_the_sample_call_says(admin: httpx.Client, server: Scripted) -> None:
    put(admin, profiles={"failing": local(server, tokenizer="/nowhere/tokenizer.json")}).raise_for_status()
    tried = admin.post(ADDRESS + "/test", json={"profile": "failing"}).raise_for_status().json()
    assert (tried["valid"], tried["error"]["code"], tried["requests"]) == (False, "tokenizer_unusable", 0)
    assert not server.requests


def test_a_forbidden_profile_cannot_be_tried(admin: httpx.Client) -> None:
    assert refused(admin.post(ADDRESS + "/test", json={"profile": "openai"})) == (403, "cloud_provider_refused")


@pytest.mark.parametrize("by_hand", ["openai", "smuggled", "mislabelled", "damaged"])
def test_what_was_put_into_the_database_by_hand_is_refused_when_used(admin: httpx.Client, by_hand: str) -> None:
    """The call waits and says why, nothing is sent, and an allowed choice lets it go on at once."""
    definitions: dict[str, Any] = {
        "smuggled": {"residency": "cloud", "base_url": "http://127.0.0.1:9/v1", "model": "m"},
        "mislabelled": {"residency": "local", "base_url": "http://8.8.8.8/v1", "model": "m"},
        "damaged": {"residency": "anywhere"},
    }
    codes = {"mislabelled": "llm_not_local", "damaged": "llm_profile_unusable"}
    with db.unit_of_work() as session:
        if by_hand in definitions:
            session.execute(insert(LlmProfile).values(name=by_hand, definition=definitions[by_hand]))
        session.execute(insert(LlmChoice).values(id=1, profile=by_hand))
    call_id = upload(admin, SAMPLES / "ru-wrong-number.wav").json()["id"]

    def waits() -> Any:
        return admin.get(f"/api/calls/{call_id}").json().get("processing_wait")

    assert wait_until(waits, 120, "the call to wait")["code"] == codes.get(by_hand, "cloud_provider_refused")
    call = admin.get(f"/api/calls/{call_id}").json()
    assert (call["status"], call["aiAnalysis"]["processing_status"]) == ("in-progress", "pending")
    put(admin, active="builtin").raise_for_status()
    call = processed(admin, call_id)
    assert (call["aiAnalysis"]["provider"], call["aiAnalysis"]["processing_status"]) == ("builtin", "completed")
    assert "processing_wait" not in call
