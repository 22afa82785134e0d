"""Missed calls that other systems tell of."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, select

from appliance.app import build
from appliance.config import settings
from appliance.models import Arrival, Call, User
from appliance.services.arrivals import signature
from appliance.store import calls, db
from installer.site import Site

SECRET = "a secret of the test's own"


@pytest.fixture
def http(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("INGEST_SECRET", SECRET)
    settings.cache_clear()
    yield TestClient(build())
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def event() -> Iterator[dict[str, Any]]:
    """A missed call at a telephone of this test's own; all of it is gone afterwards."""
    at = str(100000 + uuid4().int % 900000)
    made = {"id": uuid4().hex, "status": "missed", "direction": "incoming", "date": "2024-01-01T12:00:00+03:00"}
    yield made | {"phoneNumber": "+79161234567", "extension": at}
    with db.unit_of_work() as session:
        key = Arrival.key == f"generic:{made['id']}"
        calls.remove(session, list(session.scalars(select(Arrival.call_id).where(key))))
        session.execute(delete(Arrival).where(key))
        session.execute(delete(User).where(User.extension == at))


def tell(http: TestClient, event: dict[str, Any], *, secret: str = SECRET, age_s: int = 0) -> httpx.Response:
    body, now = json.dumps(event).encode(), str(int(time.time()) - age_s)
    headers = {"X-Timestamp": now, "X-Signature": signature.sign(secret, now, body), "Content-Type": "application/json"}
    return http.post("/api/ingest/generic", content=body, headers=headers)


def test_a_missed_call_is_noted_once(http: TestClient, event: dict[str, Any]) -> None:
    told = [tell(http, event) for _ in range(2)]
    assert [answer.status_code for answer in told] == [200, 200], told[0].text
    assert told[0].json() == told[1].json()
    with db.unit_of_work() as session:
        call = session.get_one(Call, told[0].json()["call_id"])
        manager = session.get_one(User, call.manager_id)
    assert (call.status, call.type, call.phone, call.duration_ms) == ("missed", "incoming", "+79161234567", 0)
    assert call.date.isoformat() == "2024-01-01T09:00:00+00:00"
    assert manager.extension == event["extension"]


@pytest.mark.parametrize("how", [{"secret": "another"}, {"age_s": 400}, {"age_s": -400}], ids=["key", "old", "ahead"])
def test_what_is_not_signed_now_is_refused(http: TestClient, event: dict[str, Any], how: dict[str, Any]) -> None:
    answer = tell(http, event, **how)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")


def test_a_changed_body_is_refused(http: TestClient, event: dict[str, Any]) -> None:
    now = str(int(time.time()))
    headers = {"X-Timestamp": now, "X-Signature": signature.sign(SECRET, now, json.dumps(event).encode())}
    assert http.post("/api/ingest/generic", json=event | {"id": "other"}, headers=headers).status_code == 401


def test_without_a_secret_nothing_is_taken(http: TestClient, event: dict[str, Any], monkeypatch: Any) -> None:
    monkeypatch.setenv("INGEST_SECRET", "")
    settings.cache_clear()
    assert tell(http, event, secret="").status_code == 401


@pytest.mark.parametrize(
    "wrong", [{"status": "completed"}, {"phoneNumber": "nobody"}, {"extension": "x"}, {"date": "2024-01-01T12:00:00"}]
)
def test_what_makes_no_sense_is_refused(http: TestClient, event: dict[str, Any], wrong: dict[str, Any]) -> None:
    assert tell(http, event | wrong).status_code == 422
