"""Exports: what opens in a spreadsheet program, for whom, and for how long."""

from __future__ import annotations

import csv
import io
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import httpx
import openpyxl
import pytest
from sqlalchemy import delete, insert, update

from appliance.models import AiAnalysis, Call, Export, User
from appliance.services import spreadsheets
from appliance.store import calls, db, objects
from appliance.store.call_filters import CallFilter
from appliance.store.visibility import Viewer
from tests.conftest import PASSWORD, Running, wait_until

MOSCOW = ZoneInfo("Europe/Moscow")
TRICKY = ['=HYPERLINK("http://evil.example")', "+7 is my number", "-1+1", "@SUM(A1)", "\tтабуляция", "Ёлкин; «Ко», 5"]


@pytest.fixture(scope="module")
def archive(running: Running, people: dict[str, str]) -> Iterator[dict[str, Any]]:
    """A manager of this module's own with six calls, tricky client names, one of them missed."""
    name = f"Экспорт {uuid4().hex[:8]}"
    admin = running.client(people["admin"])
    body = {"name": name, "email": f"{uuid4().hex}@test.example", "role": "manager", "password": PASSWORD}
    manager = admin.post("/api/users", json=body).json()
    ids = [uuid4() for _ in TRICKY]
    with db.unit_of_work() as session:
        for number, (call_id, client) in enumerate(zip(ids, TRICKY, strict=True)):
            missed = number == 5
            session.add(
                Call(
                    id=call_id,
                    type="incoming" if number % 2 else "outgoing",
                    status="missed" if missed else "completed",
                    phone="+74951234567",
                    client_name=client,
                    manager_id=UUID(manager["id"]),
                    duration_ms=0 if missed else 83_400,
                    date=datetime(2025, 6, 17, 21, 30, number, tzinfo=UTC),
                )
            )
            session.flush()
            done = {"processing_status": "completed", "sentiment": "negative", "sentiment_score": -0.35}
            texts = {"topics": ["кредит", "цена"], "action_items": ["Перезвонить"], "summary": "=1+1 клиент спросил"}
            session.add(AiAnalysis(call_id=call_id, **({} if missed else done | texts)))
    yield {"manager": manager, "ids": [str(call_id) for call_id in ids]}
    with db.unit_of_work() as session:
        session.execute(delete(Call).where(Call.id.in_(ids)))


def ask(http: httpx.Client, form: str, language: str = "ru", **body: Any) -> dict[str, Any]:
    answer = http.post("/api/calls/export", json={"format": form, **body}, headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def downloaded(made: dict[str, Any]) -> httpx.Response:
    answer = httpx.get(made["download_url"])
    assert answer.status_code == 200, answer.text
    return answer


def rows_of(answer: httpx.Response, delimiter: str = ";") -> list[dict[str, str]]:
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""), delimiter=delimiter))


def test_csv_opens_in_a_russian_excel(running: Running, people: dict[str, str], archive: dict[str, Any]) -> None:
    made = ask(running.client(people["admin"]), "csv", calls=archive["ids"])
    assert set(made) == {"download_url", "expires_at"}
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=50) < left <= timedelta(hours=1)
    answer = downloaded(made)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="calls_')
    rows = rows_of(answer)
    assert [row["ID звонка"] for row in rows] == archive["ids"][::-1]
    assert [row["Клиент"] for row in rows] == [TRICKY[5], *(f"'{name}" for name in TRICKY[4::-1])]
    first = rows[-1]
    assert first["Дата и время"] == "18.06.2025 00:30:00"
    assert (first["Направление"], first["Статус"], first["Тональность"]) == ("Исходящий", "Завершён", "Негативная")
    assert (first["Длительность"], first["Оценка"], first["Телефон"]) == ("0:01:23", "-0,35", "'+7 (495) 123-45-67")
    assert (first["Темы"], first["Задачи"], first["Кратко"]) == ("кредит; цена", "Перезвонить", "'=1+1 клиент спросил")
    missed = rows[0]
    assert (missed["Статус"], missed["Тональность"], missed["Оценка"], missed["Кратко"]) == ("Пропущен", "", "", "")


def test_csv_in_english(running: Running, people: dict[str, str], archive: dict[str, Any]) -> None:
    made = ask(running.client(people["admin"]), "csv", "en", calls=archive["ids"])
    first = rows_of(downloaded(made), ",")[-1]
    assert (first["Direction"], first["Score"], first["Sentiment"]) == ("Outgoing", "-0.35", "Negative")


def test_xlsx_holds_types_and_a_usable_header(
    running: Running, people: dict[str, str], archive: dict[str, Any]
) -> None:
    answer = downloaded(ask(running.client(people["admin"]), "xlsx", calls=archive["ids"]))
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content)).active
    assert sheet is not None
    assert (sheet.title, sheet.freeze_panes) == ("Звонки", "A2")
    assert sheet.auto_filter.ref.startswith("A1:O")
    header = [cell.value for cell in sheet[1]]
    first = dict(zip(header, sheet[len(archive["ids"]) + 1], strict=True))
    assert first["Дата и время"].value == datetime(2025, 6, 18, 0, 30)  # noqa: DTZ001 - spreadsheets know no zones
    assert first["Дата и время"].number_format == "dd.mm.yyyy hh:mm:ss"
    assert first["Длительность"].value in {timedelta(seconds=83), datetime(1899, 12, 30, 0, 1, 23).time()}  # noqa: DTZ001
    assert first["Оценка"].value == -0.35
    clients = [sheet.cell(row, header.index("Клиент") + 1) for row in range(2, len(TRICKY) + 2)]
    assert [cell.value for cell in clients] == TRICKY[::-1]
    assert {cell.data_type for cell in clients} == {"s"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {0, 1, 2, 3, 4, 5}),
        ({"status": "missed"}, {5}),
        ({"type": "incoming"}, {1, 3, 5}),
        ({"sentiment": "negative"}, {0, 1, 2, 3, 4}),
        ({"sentiment": "positive"}, set()),
        ({"dateFrom": "2025-06-18", "dateTo": "2025-06-18"}, {0, 1, 2, 3, 4, 5}),
        ({"dateTo": "2025-06-17"}, set()),
        ({"search": "Ёлкин"}, {5}),
        ({"transcript": "нетакогослова"}, set()),
    ],
)
def test_the_lists_filters_choose(
    running: Running, people: dict[str, str], archive: dict[str, Any], filters: dict[str, str], expected: set[int]
) -> None:
    filters = {"manager": archive["manager"]["name"], **filters}
    rows = rows_of(downloaded(ask(running.client(people["analyst"]), "csv", filters=filters)))
    assert {archive["ids"].index(row["ID звонка"]) for row in rows} == expected


def test_managers_export_their_own_calls_alone(
    running: Running, people: dict[str, str], archive: dict[str, Any]
) -> None:
    theirs = running.client(archive["manager"]["email"])
    assert {row["ID звонка"] for row in rows_of(downloaded(ask(theirs, "csv")))} == set(archive["ids"])
    other = running.client(people["boris"])
    assert rows_of(downloaded(ask(other, "csv", calls=archive["ids"]))) == []


def test_an_export_of_nothing_is_a_header(running: Running, people: dict[str, str]) -> None:
    admin = running.client(people["admin"])
    assert rows_of(downloaded(ask(admin, "csv", calls=[]))) == []
    book = openpyxl.load_workbook(io.BytesIO(downloaded(ask(admin, "xlsx", calls=[str(uuid4())])).content))
    assert book.active is not None
    assert book.active.max_row == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"format": "pdf"},
        {"format": "csv", "calls": ["x"]},
        {"format": "csv", "filters": {"status": "lost"}},
        {"format": "csv", "filters": {"datefrom": "2025-01-01"}},
        {"format": "csv", "filters": {"dateFrom": "17.06.2025"}},
    ],
)
def test_bad_input_is_refused(running: Running, people: dict[str, str], body: dict[str, Any]) -> None:
    answer = running.client(people["admin"]).post("/api/calls/export", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"]


def test_a_link_expires_and_its_file_vanishes(
    running: Running, people: dict[str, str], archive: dict[str, Any]
) -> None:
    made = ask(running.client(people["admin"]), "csv", calls=archive["ids"])
    link = made["download_url"]
    assert httpx.get(link.replace("signature=", "signature=0")).status_code == 403
    assert httpx.get(link.split("?")[0]).status_code == 422
    key = link.split("?")[0].removeprefix(running.url + "/")
    with db.unit_of_work() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        session.execute(update(Export).where(Export.object_key == key).values(expires_at=past))
    wait_until(lambda: httpx.get(link).status_code == 404, 20, "the expired export to be gone")

    def vanished() -> bool:
        try:
            objects.stream(key, 0, 0)
        except objects.ObjectMissing:
            return True
        return False

    wait_until(vanished, 20, "its file to vanish from the store")


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_memory_does_not_grow_with_the_archive(
    running: Running, archive: dict[str, Any], tmp_path: Path, form: spreadsheets.Format
) -> None:
    count, name = 30_000, f"Большой архив {form}"
    with db.unit_of_work() as session:
        manager = User(name=name, role="manager")
        session.add(manager)
        session.flush()
        fields = {"type": "incoming", "status": "completed", "manager_id": manager.id, "duration_ms": 61_000}
        begin = datetime(2024, 1, 1, tzinfo=UTC)
        rows = [{"id": uuid4(), "date": begin + timedelta(minutes=n), **fields} for n in range(count)]
        session.execute(insert(Call), rows)
    del rows
    viewer = Viewer(manager.id, name, "manager", uuid4())
    try:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        with db.unit_of_work() as session:
            found = calls.exported(session, viewer, CallFilter(), "Europe/Moscow")
            assert spreadsheets.write(tmp_path / f"x.{form}", form, found, "ru", MOSCOW) == count
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert grown < 60, f"{grown:.0f} MB in {time.monotonic() - began:.0f} s"
    finally:
        with db.unit_of_work() as session:
            session.execute(delete(Call).where(Call.manager_id == manager.id))
            session.execute(delete(User).where(User.id == manager.id))


def test_a_full_sheet_is_continued_on_the_next(
    running: Running, archive: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreadsheets, "SHEET_ROWS", 4)
    viewer = Viewer(UUID(archive["manager"]["id"]), "", "manager", uuid4())
    with db.unit_of_work() as session:
        spreadsheets.write(
            tmp_path / "x.xlsx",
            "xlsx",
            calls.exported(session, viewer, CallFilter(), "Europe/Moscow"),
            "ru",
            MOSCOW,
        )
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert [(sheet.title, sheet.max_row) for sheet in book] == [("Звонки", 5), ("Звонки 2", 3)]
