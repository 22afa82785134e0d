"""What people do with calls is written down, with who did it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import delete, select

from appliance.models import Call, LoginFailure, User
from appliance.store import db
from tests.conftest import PASSWORD, SAMPLES, Running, processed, upload


@pytest.fixture(scope="module")
def admin(running: Running, people: dict[str, str]) -> httpx.Client:
    return running.client(people["admin"])


@pytest.fixture(scope="module")
def anna(running: Running, people: dict[str, str]) -> httpx.Client:
    return running.client(people["anna"])


@pytest.fixture(scope="module")
def call_id(anna: httpx.Client) -> Iterator[str]:
    made: str = upload(anna, SAMPLES / "ru-wrong-number.wav", phoneNumber="+7 (495) 123-45-67").json()["id"]
    processed(anna, made)
    yield made
    with db.unit_of_work() as session:
        session.execute(delete(Call).where(Call.id == made))


def entries(admin: httpx.Client, **wanted: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin.get("/api/admin/audit", params=wanted).raise_for_status().json()["entries"]
    return found


def test_reading_listening_and_changing_are_noted(admin: httpx.Client, anna: httpx.Client, call_id: str) -> None:
    me = anna.get("/api/auth/me").json()["id"]
    began = datetime.now(UTC).isoformat()
    call = anna.get(f"/api/calls/{call_id}").json()
    anna.get(f"/api/calls/{call_id}/ai-analysis").raise_for_status()
    for first in (0, 1000, 2000):  # a player asks for parts
        part = httpx.get(call["recordingUrl"], headers={"Range": f"bytes={first}-{first + 99}"})
        assert part.status_code == 206
    assert httpx.head(call["recordingUrl"]).status_code == 200
    anna.patch(f"/api/calls/{call_id}", json={"clientName": "Пётр"}).raise_for_status()
    anna.post(f"/api/calls/{call_id}/swap-speakers").raise_for_status()
    found = entries(admin, call=call_id, since=began)
    noted = [(entry["action"], entry["user_id"], entry["user_name"]) for entry in reversed(found)]
    actions = ["call_read", "call_read", "recording_fetched", "call_corrected", "speakers_swapped"]
    assert noted == [(action, me, "Анна Смирнова") for action in actions]
    assert found[1]["details"] == {"fields": ["client_name"]}
    assert "Пётр" not in str(found)
    assert entries(admin, call=call_id, action="call_uploaded")


def test_a_link_is_one_persons_own(admin: httpx.Client, anna: httpx.Client, call_id: str) -> None:
    link = anna.get(f"/api/calls/{call_id}").json()["recordingUrl"]
    other = admin.get("/api/auth/me").json()["id"]
    mine = anna.get("/api/auth/me").json()["id"]
    assert mine in link
    assert httpx.get(link.replace(mine, other)).status_code == 403
    assert httpx.get(link.replace(f"viewer={mine}&", "")).status_code == 403


def test_lists_leave_no_entries_but_searches_do(admin: httpx.Client, anna: httpx.Client, call_id: str) -> None:
    began = datetime.now(UTC).isoformat()
    anna.get("/api/calls").raise_for_status()
    anna.get("/api/search", params={"q": "тайное слово"}).raise_for_status()
    anna.get("/api/calls", params={"transcript": "тайное слово"}).raise_for_status()
    found = [entry for entry in entries(admin, since=began) if entry["user_name"] == "Анна Смирнова"]
    assert [entry["action"] for entry in found] == ["searched", "searched"]
    assert "тайное" not in str(found)


def test_exports_are_noted_when_made_and_when_fetched(admin: httpx.Client, anna: httpx.Client, call_id: str) -> None:
    began = datetime.now(UTC).isoformat()
    made = anna.post("/api/calls/export", json={"format": "csv", "calls": [call_id]}).json()
    httpx.get(made["download_url"]).raise_for_status()
    fetched, export = entries(admin, since=began)[:2]
    assert (export["action"], export["details"]["calls"], export["user_name"]) == ("export_made", 1, "Анна Смирнова")
    assert (fetched["action"], fetched["user_id"]) == ("export_fetched", export["user_id"])
    assert fetched["details"]["file"] == export["details"]["file"]


def test_the_trail_survives_the_call(admin: httpx.Client, anna: httpx.Client) -> None:
    made = upload(anna, SAMPLES / "ru-wrong-number.wav").json()["id"]
    anna.delete(f"/api/calls/{made}").raise_for_status()
    assert [entry["action"] for entry in entries(admin, call=made)] == ["call_deleted", "call_uploaded"]


def test_logging_in_and_out_and_failing_is_noted(running: Running, admin: httpx.Client, people: dict[str, str]) -> None:
    began = datetime.now(UTC).isoformat()
    failed = httpx.post(running.url + "/api/auth/login", json={"email": people["boris"], "password": "wrong"})
    assert failed.status_code == 401
    running.client(people["boris"]).post("/api/auth/logout").raise_for_status()
    with db.unit_of_work() as session:
        session.execute(delete(LoginFailure))
    found = [entry for entry in entries(admin, since=began) if entry["user_name"] == "Борис Иванов"]
    assert [entry["action"] for entry in found] == ["logout", "login", "login_failed"]
    assert found[2]["details"] == {"address": "127.0.0.1"}
    assert people["boris"] not in str(found)


def test_managing_users_is_noted(admin: httpx.Client, people: dict[str, str]) -> None:
    began = datetime.now(UTC).isoformat()
    email = f"{uuid4().hex}@test.example"
    body = {"name": "Временный", "email": email, "role": "analyst", "password": PASSWORD}
    user = admin.post("/api/users", json=body).json()["id"]
    admin.patch(f"/api/users/{user}", json={"role": "manager"}).raise_for_status()
    admin.delete(f"/api/users/{user}").raise_for_status()
    with db.unit_of_work() as session:
        me = session.scalars(select(User.id).where(User.email == people["admin"])).one()
    found = [entry for entry in entries(admin, since=began, user=str(me)) if entry["details"].get("user") == user]
    assert [entry["action"] for entry in found] == ["user_removed", "user_changed", "user_created"]
    assert found[1]["details"]["fields"] == ["role"]
    assert email not in str(found)
    assert "Временный" not in str(found)


def test_pages_follow_each_other(admin: httpx.Client, anna: httpx.Client, call_id: str) -> None:
    for _ in range(3):
        anna.get(f"/api/calls/{call_id}")
    first = admin.get("/api/admin/audit", params={"call": call_id, "limit": 2}).json()
    second = admin.get("/api/admin/audit", params={"call": call_id, "limit": 2, "offset": 2}).json()
    assert first["has_next"]
    assert not first["has_prev"]
    assert second["has_prev"]
    assert first["total"] == second["total"]
    assert first["entries"][1]["id"] > second["entries"][0]["id"]


@pytest.mark.parametrize("wanted", [{"user": "x"}, {"call": "1"}, {"limit": 0}, {"since": "yesterday"}, {"offset": -1}])
def test_nonsense_is_refused(admin: httpx.Client, wanted: dict[str, Any]) -> None:
    assert admin.get("/api/admin/audit", params=wanted).status_code == 422
