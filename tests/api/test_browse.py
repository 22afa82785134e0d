"""The list, search, corrections, deletion and the dashboard, over known calls."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import httpx
import numpy as np
import pytest
from sqlalchemy import delete, select

from appliance.engines import audio
from appliance.engines.speech import SAMPLE_RATE
from appliance.models import AiAnalysis, Call, ObjectDeletion, Pipeline, Segment, User
from appliance.store import db, objects, users
from appliance.store.call_filters import Sort
from tests.conftest import SAMPLES, Running, processed, upload, wait_until

NOON = datetime(2025, 6, 17, 9, 0, tzinfo=UTC)  # 12:00 in Moscow

KNOWN: list[dict[str, Any]] = [
    {
        "client": "Михаил Козлов",
        "phone": "+74951234567",
        "manager": "Вера Листова",
        "type": "incoming",
        "days": 0,
        "s": 420,
        "sentiment": "positive",
        "score": 0.7,
        "topics": ["тест-драйв", "кредит"],
        "said": [("A", "Хочу записаться на тест-драйв, пришлите расчёт сегодня"), ("B", "Записала вас на тест-драйв")],
    },
    {
        "client": "Мария Соколова",
        "phone": "+79257778899",
        "manager": "Вера Листова",
        "type": "outgoing",
        "days": 1,
        "s": 60,
        "sentiment": "negative",
        "score": -0.8,
        "topics": ["жалоба"],
        "said": [("A", "Никто мне не перезвонил, верните <деньги>"), ("B", "Приношу извинения")],
    },
    {
        "client": None,
        "phone": None,
        "manager": "Пётр Листов",
        "type": "incoming",
        "days": 2,
        "s": 60,
        "status": "missed",
        "said": [],
    },
    {
        "client": "Helen Davis",
        "phone": "+442079460777",
        "manager": "Пётр Листов",
        "type": "incoming",
        "days": 3,
        "s": 300,
        "sentiment": "neutral",
        "score": 0.0,
        "topics": ["service"],
        "said": [("A", "My brakes were making noises while driving"), ("B", "We replace brakes on Monday")],
    },
]


@pytest.fixture(scope="module")
def known(running: Running) -> Iterator[list[str]]:
    """Four calls; ids in the order of KNOWN, the newest first."""
    ids = [uuid4() for _ in KNOWN]
    with db.unit_of_work() as session:
        for call_id, told in zip(ids, KNOWN, strict=True):
            call = Call(
                id=call_id,
                type=told["type"],
                status=told.get("status", "completed"),
                phone=told["phone"],
                client_name=told["client"],
                manager_id=users.manager_named(session, told["manager"]).id,
                duration_ms=told["s"] * 1000,
                date=NOON - timedelta(days=told["days"]),
                client_ms=4000 * sum(speaker == "A" for speaker, _ in told["said"]),
                manager_ms=4000 * sum(speaker == "B" for speaker, _ in told["said"]),
            )
            session.add(call)
            session.flush()
            analysed = "sentiment" in told
            session.add(
                AiAnalysis(
                    call_id=call_id,
                    processing_status="completed" if analysed else "pending",
                    sentiment=told.get("sentiment", "neutral"),
                    sentiment_score=told.get("score", 0.0),
                    topics=told.get("topics", []),
                )
            )
            for n, (speaker, text) in enumerate(told["said"]):
                language = "ru" if any("а" <= c <= "я" for c in text.lower()) else "en"
                session.add(
                    Segment(
                        call_id=call_id,
                        position=n,
                        start_ms=n * 5000,
                        end_ms=n * 5000 + 4000,
                        speaker=speaker,
                        text=text,
                        language=language,
                        confidence=0.9,
                        words=[],
                    )
                )
    yield [str(call_id) for call_id in ids]
    with db.unit_of_work() as session:
        session.execute(delete(Call).where(Call.id.in_(ids)))


DAYS = {"dateFrom": "2025-06-10", "dateTo": "2025-06-17"}


def listed(http: httpx.Client, **query: Any) -> list[str]:
    answer = http.get("/api/calls", params={**DAYS, "limit": 100, **query})
    assert answer.status_code == 200, answer.text
    return [call["id"] for call in answer.json()["calls"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"sort": "date_asc"}, [3, 2, 1, 0]),
        ({"status": "missed"}, [2]),
        ({"status": "all", "type": "all", "sentiment": "all", "manager": "all"}, [0, 1, 2, 3]),
        ({"type": "outgoing"}, [1]),
        ({"sentiment": "positive"}, [0]),
        ({"sentiment": "neutral"}, [3]),
        ({"manager": "Вера Листова"}, [0, 1]),
        ({"manager": "Nobody"}, []),
        ({"search": "4951234567"}, [0]),
        ({"search": "8 495 123"}, [0]),
        ({"search": "+7 (495) 123-45-67"}, [0]),
        ({"search": "козлов"}, [0]),
        ({"search": "Сокалова"}, [1]),
        ({"search": "Вира Листоба"}, [0, 1]),
        ({"search": "Листоба 4711"}, []),
        ({"search": "Вира Козлав"}, []),
        ({"search": "листов"}, [0, 1, 2, 3]),
        ({"search": "%"}, []),
        ({"transcript": "тест-драйв"}, [0]),
        ({"transcript": "брекеты"}, []),
        ({"dateFrom": "2025-06-16", "dateTo": "2025-06-16"}, [1]),
    ],
)
def test_filters(running: Running, people: dict[str, str], known: list[str], query: Any, expected: list[int]) -> None:
    http = running.client(people["admin"])
    assert listed(http, **query) == [known[n] for n in expected]


def test_days_are_the_sites(running: Running, people: dict[str, str], known: list[str]) -> None:
    """23:30 on the 16th in Moscow is 20:30 UTC; 00:30 on the 17th is 21:30 UTC on the 16th."""
    with db.unit_of_work() as session:
        call = session.get_one(Call, known[0])
        before, call.date = call.date, datetime(2025, 6, 16, 21, 30, tzinfo=UTC)
    try:
        http = running.client(people["admin"])
        assert known[0] in listed(http, dateFrom="2025-06-17", dateTo="2025-06-17")
        assert known[0] not in listed(http, dateFrom="2025-06-16", dateTo="2025-06-16")
    finally:
        with db.unit_of_work() as session:
            session.get_one(Call, known[0]).date = before


@pytest.mark.parametrize("sort", get_args(Sort))
@pytest.mark.parametrize("filters", [{}, {"search": "лист"}], ids=["counted beforehand", "found, then counted"])
def test_pages_are_the_list_in_pieces(
    running: Running, people: dict[str, str], known: list[str], sort: str, filters: dict[str, str]
) -> None:
    http = running.client(people["admin"])
    whole = listed(http, sort=sort, **filters)
    assert len(whole) > 2
    for limit in range(1, len(whole) + 2):
        for offset in range(len(whole) + 2):
            query = {**DAYS, **filters, "sort": sort, "limit": limit, "offset": offset}
            body = http.get("/api/calls", params=query).json()
            assert [call["id"] for call in body["calls"]] == whole[offset : offset + limit]
            told = (body["total"], body["has_prev"], body["has_next"])
            assert told == (len(whole), offset > 0, offset + len(body["calls"]) < len(whole))


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 101}, {"offset": -1}, {"sort": "up"}, {"dateFrom": "17.06.2025"}, {"status": "x"}]
)
def test_wrong_queries_are_named(running: Running, people: dict[str, str], query: dict[str, Any]) -> None:
    answer = running.client(people["admin"]).get("/api/calls", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(query))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "записать"}, [0]),
        ({"q": "расчет"}, [0]),
        ({"q": "РАСЧЁТА"}, [0]),
        ({"q": '"на тест-драйв"'}, [0]),
        ({"q": "тест-драйв -сегодня"}, [0]),
        ({"q": "перезв*"}, [1]),
        ({"q": "noise"}, [3]),
        ({"q": "drive"}, [3]),
        ({"q": "brake", "speaker": "B"}, [3]),
        ({"q": "извинение", "speaker": "A"}, []),
        ({"q": "деньги", "manager": "Пётр Листов"}, []),
        ({"q": "' OR 1=1 --"}, []),
        ({"q": '"((:*&|!'}, []),
    ],
)
def test_search(running: Running, people: dict[str, str], known: list[str], query: Any, expected: list[int]) -> None:
    http = running.client(people["admin"])
    answer = http.get("/api/search", params={**DAYS, **query})
    assert answer.status_code == 200, answer.text
    assert [found["call"]["id"] for found in answer.json()["results"]] == [known[n] for n in expected]


def test_snippets_are_marked_and_safe(running: Running, people: dict[str, str], known: list[str]) -> None:
    body = running.client(people["admin"]).get("/api/search", params={**DAYS, "q": "деньги"}).json()
    hit = body["results"][0]["segments"][0]
    assert hit["snippet"] == "Никто мне не перезвонил, верните &lt;<mark>деньги</mark>&gt;"
    assert (hit["speaker"], hit["start_ms"], hit["end_ms"]) == ("A", 0, 4000)


def test_a_manager_finds_own_calls_only(running: Running, people: dict[str, str], known: list[str]) -> None:
    http = running.client(people["anna"])
    assert listed(http) == []
    assert http.get("/api/search", params={**DAYS, "q": "записать"}).json()["total"] == 0
    assert http.get("/api/dashboard/stats", params=DAYS).json()["total_calls"] == 0


def test_the_dashboard(running: Running, people: dict[str, str], known: list[str]) -> None:
    http = running.client(people["analyst"])
    body = http.get("/api/dashboard/stats", params=DAYS).json()
    assert body == {
        "total_calls": 4,
        "today_calls": 0,
        "completed_calls": 3,
        "missed_calls": 1,
        "avg_duration": 260,
        "avg_sentiment": -0.03,
        "top_managers": [
            {"name": "Вера Листова", "calls_count": 2, "avg_sentiment": -0.05},
            {"name": "Пётр Листов", "calls_count": 2, "avg_sentiment": 0.0},
        ],
        "sentiment_trend": [
            {"date": "2025-06-14", "positive": 0, "neutral": 1, "negative": 0},
            {"date": "2025-06-15", "positive": 0, "neutral": 0, "negative": 0},
            {"date": "2025-06-16", "positive": 0, "neutral": 0, "negative": 1},
            {"date": "2025-06-17", "positive": 1, "neutral": 0, "negative": 0},
        ],
    }
    trends = http.get("/api/dashboard/trends", params={**DAYS, "period": "month"}).json()
    assert [(p["date"], p["calls"], p["missed"]) for p in trends["points"]] == [("2025-06-01", 4, 1)]
    assert {t["topic"] for t in trends["topics"]} == {"тест-драйв", "кредит", "жалоба", "service"}
    managers = {m["name"]: m for m in http.get("/api/dashboard/managers", params=DAYS).json()["managers"]}
    assert managers["Вера Листова"]["talk_share"] == 0.5
    assert set(managers["Вера Листова"]["topics"]) == {"тест-драйв", "кредит", "жалоба"}


class TestChanges:
    def test_a_call_is_corrected(self, running: Running, people: dict[str, str], known: list[str]) -> None:
        http = running.client(people["admin"])
        call = http.patch(
            f"/api/calls/{known[3]}", json={"clientName": "Хелен", "type": "outgoing", "managerName": "Новый Менеджер"}
        ).json()
        assert (call["clientName"], call["type"], call["managerName"]) == ("Хелен", "outgoing", "Новый Менеджер")
        back = {"clientName": "Helen Davis", "type": "incoming", "managerName": "Пётр Листов"}
        assert http.patch(f"/api/calls/{known[3]}", json=back).json()["clientName"] == "Helen Davis"
        assert http.patch(f"/api/calls/{known[3]}", json={"status": "missed"}).status_code == 422

    def test_speakers_are_swapped_and_back(self, running: Running, people: dict[str, str], known: list[str]) -> None:
        http = running.client(people["admin"])
        before = [s["speaker"] for s in http.get(f"/api/calls/{known[0]}").json()["transcript"]]
        turned = http.post(f"/api/calls/{known[0]}/swap-speakers").json()
        assert [s["speaker"] for s in turned["transcript"]] == [{"A": "B", "B": "A"}[s] for s in before]
        assert turned["speakers_swapped"]
        again = http.post(f"/api/calls/{known[0]}/swap-speakers").json()
        assert [s["speaker"] for s in again["transcript"]] == before
        assert not again["speakers_swapped"]

    def test_what_a_person_put_right_survives_processing_anew(self, running: Running, people: dict[str, str]) -> None:
        http = running.client(people["admin"])
        call_id = upload(http, SAMPLES / "ru-complaint.wav", manager_channel="left").json()["id"]
        first = processed(http, call_id)
        assert first["speaker_rule"] == "exchange"
        assert first["manager_channel"] == "left"
        turned = http.post(f"/api/calls/{call_id}/swap-speakers").json()
        assert http.post(f"/api/calls/{call_id}/reprocess").status_code == 202
        second = processed(http, call_id)
        assert [s["speaker"] for s in second["transcript"]] == [s["speaker"] for s in turned["transcript"]]
        assert second["speakers_swapped"]
        assert (second["speaker_rule"], second["speaker_confidence"]) == ("correction", 1.0)
        assert second["conversation"]["talk_ms"] == turned["conversation"]["talk_ms"]
        back = http.post(f"/api/calls/{call_id}/swap-speakers").json()
        assert not back["speakers_swapped"]
        assert http.post(f"/api/calls/{call_id}/reprocess").status_code == 202
        assert processed(http, call_id)["speaker_rule"] == "exchange"

    def test_nobody_is_heard_interrupting_where_both_channels_are_one(
        self, running: Running, people: dict[str, str], tmp_path: Path
    ) -> None:
        http = running.client(people["admin"])
        assert audio.decode(SAMPLES / "ru-test-drive.mp3", tmp_path / "samples.s16") == 1
        with wave.open(str(tmp_path / "both.wav"), "wb") as file:
            file.setparams((2, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes(np.fromfile(tmp_path / "samples.s16", "<i2").repeat(2).tobytes())
        call = processed(http, upload(http, tmp_path / "both.wav").json()["id"])
        assert call["conversation"]["talk_ms"]["A"]
        assert "interruptions" not in call["conversation"]

    def test_a_call_is_processed_anew_once(self, running: Running, people: dict[str, str]) -> None:
        http = running.client(people["admin"])
        call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
        first = processed(http, call_id)
        assert http.post(f"/api/calls/{call_id}/reprocess").status_code == 202
        second = processed(http, call_id)
        assert [s["text"] for s in second["transcript"]] == [s["text"] for s in first["transcript"]]
        with db.unit_of_work() as session:
            assert session.get_one(Pipeline, call_id).run == 2

    def test_deleting_leaves_nothing(self, running: Running, people: dict[str, str]) -> None:
        http = running.client(people["admin"])
        ids = [upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"] for _ in range(2)]
        with db.unit_of_work() as session:
            keys = set(session.scalars(select(Call.audio_key).where(Call.id.in_(ids))))
        assert http.delete(f"/api/calls/{ids[0]}").json() == {"message": "Звонок успешно удален"}
        answer = http.post("/api/calls/batch-delete", json={"ids": [ids[0], ids[1], str(uuid4())]})
        assert answer.json() == {"deleted_count": 1, "message": "Звонки успешно удалены"}
        assert http.get(f"/api/calls/{ids[1]}").status_code == 404

        def vanished() -> bool:
            there = {o.object_name for o in objects.client().list_objects("call-recordings", recursive=True)}
            with db.unit_of_work() as session:
                marked = session.scalar(select(ObjectDeletion.key).where(ObjectDeletion.key.in_(keys)).limit(1))
            return not keys & there and marked is None

        wait_until(vanished, 60, "the recordings to vanish")

    @pytest.mark.parametrize("role", ["analyst", "boris"])
    def test_others_change_nothing(self, running: Running, people: dict[str, str], known: list[str], role: str) -> None:
        http = running.client(people[role])
        expected = 403 if role == "analyst" else 404
        assert http.delete(f"/api/calls/{known[0]}").status_code == expected
        assert http.patch(f"/api/calls/{known[0]}", json={"clientName": "x"}).status_code == expected
        assert http.post(f"/api/calls/{known[0]}/swap-speakers").status_code == expected
        assert http.post(f"/api/calls/{known[0]}/reprocess").status_code == expected
        many = http.post("/api/calls/batch-delete", json={"ids": known})
        assert many.status_code == 403 if role == "analyst" else many.json()["deleted_count"] == 0


def test_me_and_the_own_password(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["boris"])
    assert http.get("/api/auth/me").json()["email"] == people["boris"]
    wrong = http.post("/api/auth/password", json={"current_password": "no", "new_password": "another long one"})
    assert wrong.status_code == 401
    common = http.post(
        "/api/auth/password", json={"current_password": "correct horse battery", "new_password": "password123"}
    )
    assert common.json()["code"] == "password_too_common"
    other = running.client(people["boris"])
    changed = {"current_password": "correct horse battery", "new_password": "another long one"}
    assert http.post("/api/auth/password", json=changed).status_code == 200
    assert http.get("/api/auth/me").status_code == 200
    assert other.get("/api/auth/me").status_code == 401
    back = {"current_password": "another long one", "new_password": "correct horse battery"}
    assert http.post("/api/auth/password", json=back).status_code == 200


def test_managers_known_by_name_only_are_no_logins(running: Running, known: list[str]) -> None:
    with db.unit_of_work() as session:
        listova = session.scalars(select(User).where(User.name == "Вера Листова")).one()
        assert (listova.role, listova.email, listova.password_hash) == ("manager", None, None)
