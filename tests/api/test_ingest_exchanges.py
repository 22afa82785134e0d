"""Events of cloud exchanges, as their documentation has them: what is noted of each, and who is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml
from fastapi.testclient import TestClient
from sqlalchemy import delete, select

from appliance.app import build
from appliance.config import settings
from appliance.models import Arrival, Call, User
from appliance.services.arrivals.exchanges import mango
from appliance.store import calls, db
from installer.site import Site
from tests.conftest import ROOT

EVENTS = yaml.safe_load((ROOT / "tests/services/arrivals/exchange_events.yaml").read_text(encoding="utf-8"))
CASES = [(maker, event) for maker, events in EVENTS.items() for event in events]
KEY, SALT, TOKEN = "1234567890qwerty", "a salt of the test's own", "a token of the test's own"


@dataclass
class Exchange:
    """Sends what an exchange would, of a call and a telephone of this test's own."""

    http: TestClient
    call: str
    extension: str

    def send(self, maker: str, event: dict[str, Any], *, secret: str = "") -> httpx.Response:
        told = json.loads(json.dumps(event).replace("{ID}", self.call).replace("{EXTENSION}", self.extension))
        if maker == "mango":
            document = json.dumps(told["json"], ensure_ascii=False)
            form = {"vpbx_api_key": KEY, "json": document, "sign": mango.signed(KEY, document, secret or SALT)}
            return self.http.post(f"/api/ingest/mango/{told['event']}", data=form)
        told = json.loads(json.dumps(told).replace("{TOKEN}", secret or TOKEN))
        how = {"json": told["json"]} if maker == "uis" else {"data": told["form"]}
        return self.http.post(f"/api/ingest/{maker}", **how)


@pytest.fixture
def exchange(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    at, call = str(100000 + uuid4().int % 900000), uuid4().hex
    known = {"MANGO_API_KEY": KEY, "MANGO_API_SALT": SALT, "UIS_TOKEN": TOKEN, "BITRIX24_TOKEN": TOKEN}
    for name, value in {**known, "BITRIX24_EXTENSIONS": f"12={at}, 15=102"}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield Exchange(TestClient(build()), call, at)
    monkeypatch.undo()
    settings.cache_clear()
    with db.unit_of_work() as session:
        key = Arrival.key.like(f"%:{call}")
        calls.remove(session, list(session.scalars(select(Arrival.call_id).where(key))))
        session.execute(delete(Arrival).where(key))
        session.execute(delete(User).where(User.extension == at))


@pytest.mark.parametrize(("maker", "event"), CASES, ids=[f"{maker}: {event['name']}" for maker, event in CASES])
def test_what_becomes_of_an_event(exchange: Exchange, maker: str, event: dict[str, Any]) -> None:
    told = [exchange.send(maker, event) for _ in range(2)]
    assert [answer.status_code for answer in told] == [200, 200], told[0].text
    assert told[0].json() == told[1].json()
    expected = event.get("missed")
    if expected is None:
        assert told[0].json() == {"call_id": None}
        return
    with db.unit_of_work() as session:
        call = session.get_one(Call, told[0].json()["call_id"])
        manager = session.get_one(User, call.manager_id)
    assert (call.status, call.type, call.phone) == ("missed", "incoming", expected.get("phone", "+79161234567"))
    assert call.date.isoformat(timespec="seconds") == "2024-01-01T09:00:00+00:00"
    assert (manager.extension == exchange.extension) == expected["extension"]


@pytest.mark.parametrize("maker", EVENTS)
def test_only_who_knows_the_secret_is_believed(exchange: Exchange, maker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    event = EVENTS[maker][0]
    refused = exchange.send(maker, event, secret="another")
    assert (refused.status_code, refused.json()["code"]) == (401, "signature_invalid")
    for name in ("MANGO_API_SALT", "UIS_TOKEN", "BITRIX24_TOKEN"):
        monkeypatch.setenv(name, "")
    settings.cache_clear()
    assert exchange.send(maker, event).status_code == 401
    with db.unit_of_work() as session:
        assert session.scalar(select(Arrival).where(Arrival.key == f"{maker}:{exchange.call}")) is None


def test_a_document_that_was_changed_on_the_way_is_refused(exchange: Exchange) -> None:
    document = '{"entry_id": "1"}'
    form = {"vpbx_api_key": KEY, "json": document + " ", "sign": mango.signed(KEY, document, SALT)}
    assert exchange.http.post("/api/ingest/mango/events/summary", data=form).status_code == 401


def test_what_is_signed_and_makes_no_sense_is_refused_by_the_names_of_its_fields(exchange: Exchange) -> None:
    event = {"event": "events/summary", "json": {"entry_id": "{ID}", "from": {}, "to": {}, "entry_result": 7}}
    answer = exchange.send("mango", event)
    assert (answer.status_code, answer.json()["code"]) == (422, "event_not_understood")
    assert answer.json()["detail"].endswith("call_direction, create_time, entry_result")
    no_date = {"form": {**EVENTS["bitrix24"][0]["form"], "data[CALL_START_DATE]": ""}}
    assert exchange.send("bitrix24", no_date).status_code == 422


def test_the_template_in_the_manual_is_the_one_that_is_understood() -> None:
    manual = Path(ROOT / "docs/operation.md").read_text(encoding="utf-8")
    template = manual.split('"event": "ended"')[1].split("}\n```")[0]
    for name in ("call_session_id", "notification_time", "direction", "contact_phone_number", "talk_time_duration"):
        assert f'"{name}": {{{{{name}}}}}' in template
