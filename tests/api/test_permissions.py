"""Who may do what: every endpoint, asked by everybody."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from PIL import Image
from sqlalchemy import delete, select

from appliance.models import AiAnalysis, Call, LlmChoice, LoginFailure, Pipeline, Segment, User
from appliance.services import links
from appliance.store import db, objects
from tests.conftest import PASSWORD, SAMPLES, Running

ROLES = ("admin", "owner", "other", "analyst", "stranger")
PEOPLE = {"admin": "admin", "owner": "anna", "other": "boris", "analyst": "analyst"}
WORD = "абракадабрий"
"""Said in every call of this test and nowhere else."""


@dataclass(frozen=True)
class Given:
    """A call of the owner's, and a user whom nobody needs."""

    call_id: str
    recording: str
    user_id: str
    export: str
    avatar: str


@dataclass(frozen=True)
class Row:
    """What is sent, what each role is answered, and whether an answer of 2xx shows the call."""

    send: Callable[[Given], dict[str, Any]]
    statuses: tuple[int, int, int, int, int]
    shows: Callable[[Given, httpx.Response], bool] | None = None


def nothing(_: Given) -> dict[str, Any]:
    return {}


def body(**fields: Any) -> Callable[[Given], dict[str, Any]]:
    return lambda _: {"json": fields}


def holds_id(given: Given, answer: httpx.Response) -> bool:
    return given.call_id in answer.text


def exported(given: Given, answer: httpx.Response) -> bool:
    return given.call_id in httpx.get(answer.json()["download_url"]).text


def signed(path: str) -> dict[str, Any]:
    return {"params": dict(part.split("=") for part in links.sign(path).split("?")[1].split("&"))}


def picture() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 8)).save(target, "PNG")
    return target.getvalue()


def new_user(_: Given) -> dict[str, Any]:
    return {"json": {"name": "Х", "email": f"{uuid4().hex}@test.example", "role": "analyst", "password": PASSWORD}}


def recording(_: Given) -> dict[str, Any]:
    file = ("call.wav", (SAMPLES / "ru-wrong-number.wav").read_bytes())
    return {"files": {"audio": file}, "data": {"type": "incoming", "managerName": "Анна Смирнова"}}


ALL = (200, 200, 200, 200, 200)
LOGGED_IN = (200, 200, 200, 200, 401)
OWN = (200, 200, 404, 200, 401)
CHANGE_OWN = (200, 200, 404, 403, 401)
ADMIN = (200, 403, 403, 403, 401)
ADMIN_MISSING = (404, 403, 403, 403, 401)

TABLE: dict[str, Row] = {
    "POST /api/auth/login": Row(body(email="nobody@test.example", password="wrong"), (401,) * 5),
    "POST /api/auth/refresh": Row(body(refresh_token="wrong"), (401,) * 5),
    "GET /api/auth/me": Row(nothing, LOGGED_IN),
    "POST /api/auth/password": Row(body(current_password="wrong", new_password=PASSWORD), (401,) * 5),
    "GET /api/auth/sessions": Row(nothing, LOGGED_IN),
    "DELETE /api/auth/sessions/{session_id}": Row(nothing, (404, 404, 404, 404, 401)),
    "POST /api/auth/logout": Row(nothing, LOGGED_IN),
    "POST /api/ingest/generic": Row(body(id="1"), (401,) * 5),
    "POST /api/ingest/mango/{event}": Row(lambda _: {"data": {"json": "{}"}}, (401,) * 5),
    "POST /api/ingest/uis": Row(
        body(event="lost", call_session_id="1", notification_time="2024-01-01T12:00:00"), (401,) * 5
    ),
    "POST /api/ingest/bitrix24": Row(lambda _: {"data": {"event": "ONVOXIMPLANTCALLEND"}}, (401,) * 5),
    "GET /api/users": Row(nothing, ADMIN),
    "POST /api/users": Row(new_user, (201, 403, 403, 403, 401)),
    "GET /api/users/{user_id}": Row(nothing, ADMIN),
    "PATCH /api/users/{user_id}": Row(body(name="Y"), ADMIN),
    "DELETE /api/users/{user_id}": Row(nothing, (204, 403, 403, 403, 401)),
    "GET /api/users/{user_id}/sessions": Row(nothing, ADMIN),
    "DELETE /api/users/{user_id}/sessions": Row(nothing, (204, 403, 403, 403, 401)),
    "PUT /api/users/{user_id}/avatar": Row(lambda _: {"files": {"image": ("a.png", picture())}}, ADMIN),
    "DELETE /api/users/{user_id}/avatar": Row(nothing, ADMIN),
    "GET /api/avatars/{name}": Row(lambda given: signed(f"/api/avatars/{given.avatar}"), ALL),
    "POST /api/calls": Row(recording, (200, 200, 200, 403, 401)),
    "GET /api/calls": Row(lambda _: {"params": {"transcript": WORD, "limit": 100}}, LOGGED_IN, holds_id),
    "POST /api/calls/export": Row(body(format="csv", filters={"transcript": WORD}), LOGGED_IN, exported),
    "POST /api/calls/batch-delete": Row(
        lambda given: {"json": {"ids": [given.call_id]}},
        (200, 200, 200, 403, 401),
        lambda _, answer: answer.json()["deleted_count"] == 1,
    ),
    "GET /api/calls/{call_id}": Row(nothing, OWN, holds_id),
    "PATCH /api/calls/{call_id}": Row(body(clientName="Новый"), CHANGE_OWN, holds_id),
    "DELETE /api/calls/{call_id}": Row(nothing, CHANGE_OWN),
    "GET /api/calls/{call_id}/ai-analysis": Row(nothing, OWN, holds_id),
    "GET /api/calls/{call_id}/ai-analysis/versions": Row(nothing, OWN),
    "PUT /api/calls/{call_id}/hold": Row(nothing, ADMIN, holds_id),
    "DELETE /api/calls/{call_id}/hold": Row(nothing, ADMIN, holds_id),
    "POST /api/calls/{call_id}/swap-speakers": Row(nothing, CHANGE_OWN, holds_id),
    "POST /api/calls/{call_id}/reprocess": Row(nothing, (202, 202, 404, 403, 401), holds_id),
    "GET /api/search": Row(lambda _: {"params": {"q": WORD, "limit": 100}}, LOGGED_IN, holds_id),
    "GET /api/dashboard/stats": Row(
        lambda _: {"params": {"dateFrom": "1999-12-31", "dateTo": "1999-12-31"}},
        LOGGED_IN,
        lambda _, answer: answer.json()["total_calls"] > 0,
    ),
    "GET /api/dashboard/trends": Row(
        lambda _: {"params": {"dateFrom": "1999-12-31", "dateTo": "1999-12-31"}},
        LOGGED_IN,
        lambda _, answer: bool(answer.json()["topics"]),
    ),
    "GET /api/dashboard/managers": Row(
        lambda _: {"params": {"dateFrom": "1999-12-31", "dateTo": "1999-12-31"}},
        LOGGED_IN,
        lambda _, answer: any(manager["calls"] for manager in answer.json()["managers"]),
    ),
    "GET /api/admin/audit": Row(nothing, ADMIN),
    # The signature is the permission, and only who sees the call is told of it.
    "GET /api/recordings/{name}": Row(lambda given: signed(f"/api/recordings/{given.recording}"), (404,) * 5),
    "GET /downloads/{name}": Row(lambda given: signed(f"/downloads/{given.export}"), (404,) * 5),
    "GET /api/admin/llm": Row(nothing, ADMIN),
    "PUT /api/admin/llm": Row(body(active="builtin"), ADMIN),
    "POST /api/admin/llm/test": Row(body(profile="builtin"), ADMIN),
    # The call has no transcript's language: there is nothing to analyse.
    "POST /api/admin/reanalysis": Row(lambda given: {"json": {"calls": [given.call_id]}}, (422, 403, 403, 403, 401)),
    "GET /api/admin/reanalysis": Row(nothing, ADMIN),
    "GET /api/admin/reanalysis/{reanalysis_id}": Row(nothing, ADMIN_MISSING),
    "GET /api/admin/reanalysis/{reanalysis_id}/preview": Row(nothing, ADMIN_MISSING),
    "POST /api/admin/reanalysis/{reanalysis_id}/start": Row(nothing, ADMIN_MISSING),
    "POST /api/admin/reanalysis/{reanalysis_id}/cancel": Row(nothing, ADMIN_MISSING),
    "GET /api/admin/vocabulary": Row(nothing, ADMIN),
    "PUT /api/admin/vocabulary": Row(body(names=[]), ADMIN),
    "GET /api/health": Row(nothing, ALL),
    "GET /api/ready": Row(nothing, ALL),
    "GET /api/admin/status": Row(nothing, ADMIN),
    "GET /metrics": Row(nothing, ALL),
}


def test_no_endpoint_is_left_out(running: Running) -> None:
    paths = httpx.get(running.url + "/openapi.json").json()["paths"]
    assert set(TABLE) == {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}


@pytest.fixture(scope="module")
def clients(running: Running, people: dict[str, str]) -> dict[str, httpx.Client]:
    """Everybody, logged in once."""
    known = {role: running.client(people[name]) for role, name in PEOPLE.items()}
    return known | {"stranger": httpx.Client(base_url=running.url, timeout=60)}


@pytest.fixture
def given(clients: dict[str, httpx.Client], people: dict[str, str]) -> Iterator[Given]:
    avatar, call_id = f"{uuid4()}.webp", uuid4()
    objects.put(f"avatars/{avatar}", io.BytesIO(b"x"), 1, "image/webp")
    with db.unit_of_work() as session:
        session.execute(delete(LoginFailure))
        owner = session.scalars(select(User).where(User.email == people["anna"])).one()
        user = User(name="Лишний", role="analyst", avatar=f"avatars/{avatar}")
        session.add(user)
        session.add(
            Call(
                id=call_id,
                type="incoming",
                status="completed",
                manager_id=owner.id,
                duration_ms=1000,
                date=datetime(1999, 12, 31, 12, tzinfo=UTC),
                audio_key=f"recordings/{call_id}.wav",
                audio_type="audio/wav",
                audio_bytes=1,
            )
        )
        session.flush()
        done = Pipeline(call_id=call_id, stage="publish", state="completed")
        session.add_all([_analysis(call_id), _said(call_id), done])
    yield Given(str(call_id), f"{call_id}.wav", str(user.id), f"export_{uuid4()}.csv", avatar)
    with db.unit_of_work() as session:
        session.execute(delete(LoginFailure))
        session.execute(delete(LlmChoice))  # which would go before the settings of every later test
        session.execute(delete(Call).where(Call.id == call_id))
        session.execute(delete(User).where(User.id == user.id))


def _analysis(call_id: UUID) -> AiAnalysis:
    return AiAnalysis(call_id=call_id, processing_status="completed", summary="Кратко", topics=["тест"])


def _said(call_id: UUID) -> Segment:
    fields: dict[str, Any] = {"speaker": "A", "start_ms": 0, "end_ms": 900, "text": WORD, "confidence": 0.9}
    return Segment(call_id=call_id, position=0, language="ru", words=[], **fields)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("endpoint", TABLE)
def test_everybody_is_answered_as_is_due(
    running: Running, people: dict[str, str], clients: dict[str, httpx.Client], given: Given, endpoint: str, role: str
) -> None:
    row, expected = TABLE[endpoint], TABLE[endpoint].statuses[ROLES.index(role)]
    method, path = endpoint.split()
    names = {"/api/avatars": given.avatar, "/api/recordings": given.recording, "/downloads": given.export}
    path = path.format(
        call_id=given.call_id,
        user_id=given.user_id,
        session_id=uuid4(),
        event="events/summary",
        reanalysis_id=uuid4(),
        name=names.get(path.rsplit("/", 1)[0], ""),
    )
    leaves = path == "/api/auth/logout" and role != "stranger"
    http = running.client(people[PEOPLE[role]]) if leaves else clients[role]
    answer = http.request(method, path, **row.send(given))
    assert answer.status_code == expected, answer.text
    if answer.is_error:
        assert answer.json()["status"] == expected
        assert given.call_id not in answer.text
    elif row.shows is not None:
        assert row.shows(given, answer) == (role != "other")
    if method != "GET" and answer.is_error:
        untouched = clients["admin"].get(f"/api/calls/{given.call_id}").json()
        assert (untouched["status"], untouched["transcript"][0]["speaker"]) == ("completed", "A")
        assert "clientName" not in untouched


DAY = {"dateFrom": "1999-12-31", "dateTo": "1999-12-31"}
NAMED: dict[str, Callable[[httpx.Client, str], str]] = {
    "the list": lambda http, name: http.get("/api/calls", params={"manager": name, **DAY}).text,
    "the search": lambda http, name: http.get("/api/search", params={"q": WORD, "manager": name}).text,
    "an export": lambda http, name: _exported(http, {"filters": {"manager": name, "transcript": WORD}}),
}


def _exported(http: httpx.Client, chosen: dict[str, Any]) -> str:
    link = http.post("/api/calls/export", json={"format": "csv", **chosen}).raise_for_status().json()["download_url"]
    return httpx.get(link).text


@pytest.mark.parametrize("way", NAMED)
def test_naming_somebody_elses_calls_shows_none(clients: dict[str, httpx.Client], given: Given, way: str) -> None:
    """A filter by the owner's name chooses among what is visible; it makes nothing visible."""
    shown = {role: given.call_id in NAMED[way](clients[role], "Анна Смирнова") for role in PEOPLE}
    assert shown == {"admin": True, "owner": True, "other": False, "analyst": True}


@pytest.mark.parametrize("figures", ["stats", "trends", "managers"])
def test_naming_somebody_else_counts_none_of_their_calls(
    clients: dict[str, httpx.Client], given: Given, figures: str
) -> None:
    def counted(role: str) -> bool:
        answer = clients[role].get(f"/api/dashboard/{figures}", params={"manager": "Анна Смирнова", **DAY}).json()
        return bool(
            answer.get("total_calls") or answer.get("topics") or any(one["calls"] for one in answer.get("managers", []))
        )

    assert {role: counted(role) for role in PEOPLE} == {"admin": True, "owner": True, "other": False, "analyst": True}
