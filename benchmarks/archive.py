"""Years of calls: what a reader of the list, the search and the dashboard waits for, against SQL written by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import xlsxwriter

from benchmarks import archive_data
from benchmarks.installation import Installation
from benchmarks.report import Line, compare, limit, paired, percentile

FULL, TENTH = 1_000_000, 100_000
ASKED = 15
EXPORTED = 100_000
SECTION = "archive"

HEAD = (
    "SELECT c.*, u.name, a.summary, a.action_items, a.intents FROM calls c JOIN users u ON u.id = c.manager_id "
    "LEFT JOIN ai_analyses a ON a.call_id = c.id "
)
NEWEST = "ORDER BY c.date DESC, c.id DESC LIMIT 20"

LISTS: dict[str, tuple[dict[str, Any], str]] = {
    "list": ({}, HEAD + NEWEST),
    "list by status": ({"status": "missed"}, HEAD + "WHERE c.status = 'missed' " + NEWEST),
    "list by direction": ({"type": "outgoing"}, HEAD + "WHERE c.type = 'outgoing' " + NEWEST),
    "list by sentiment": ({"sentiment": "negative"}, HEAD + "WHERE a.sentiment = 'negative' " + NEWEST),
    "list by duration": ({"sort": "duration_desc"}, HEAD + "ORDER BY c.duration_ms DESC, c.id DESC LIMIT 20"),
    "list, oldest first": ({"sort": "date_asc"}, HEAD + "ORDER BY c.date, c.id LIMIT 20"),
    "find a number": ({"search": "4951234"}, HEAD + "WHERE c.phone LIKE '%%4951234%%' " + NEWEST),
    "find a name": ({"search": "Козлов 4711"}, HEAD + "WHERE c.client_name ILIKE '%%Козлов 4711%%' " + NEWEST),
}


def measure(here: Installation, *, full: bool) -> Iterator[Line]:
    calls = FULL if full else TENTH
    archive_data.fill(here.dsn, calls)
    http = here.client()
    with psycopg.connect(here.dsn, autocommit=True) as connection:
        for what, (query, statement) in LISTS.items():
            ask = _asking(http, "/api/calls", query)
            yield _beside(what, ask, lambda s=statement: connection.execute(s).fetchall(), most_ms=50)
        deep = {"offset": calls - 1000}
        yield _within("list, last page", _asking(http, "/api/calls", deep), 50)
        call_id = http.get("/api/calls", params={"status": "completed"}).json()["calls"][0]["id"]
        yield _beside(
            "detail",
            _asking(http, f"/api/calls/{call_id}", {}),
            lambda: [connection.execute(s, [call_id]).fetchall() for s in DETAIL],
            most_ms=50,
        )
        yield _beside(
            "detail, against one look into an index",
            _asking(http, f"/api/calls/{call_id}", {}),
            lambda: connection.execute("SELECT id FROM calls WHERE id = %s", [call_id]).fetchall(),
        )
    for what, query in SEARCHES.items():
        yield _within(f"search: {what}", _asking(http, "/api/search", {"q": query}), 150)
    yield _within("dashboard stats", _asking(http, "/api/dashboard/stats", {}), 100)
    yield _within("dashboard trends", _asking(http, "/api/dashboard/trends", {}), 100)
    yield _within("dashboard managers", _asking(http, "/api/dashboard/managers", {}), 100)
    yield _export(here, http)


DETAIL = (
    (
        "SELECT c.*, u.name, a.* FROM calls c JOIN users u ON u.id = c.manager_id "
        "LEFT JOIN ai_analyses a ON a.call_id = c.id WHERE c.id = %s"
    ),
    (
        "SELECT id, start_ms, end_ms, speaker, text, confidence, created_at FROM segments WHERE call_id = %s "
        "ORDER BY position"
    ),
)
SEARCHES = {
    "rare word": archive_data.RARE,
    "common word": archive_data.COMMON,
    "phrase": archive_data.PHRASE,
    "beginning": archive_data.PREFIX,
}


def _asking(http: httpx.Client, path: str, query: dict[str, Any]) -> Callable[[], object]:
    return lambda: http.get(path, params=query).raise_for_status()


def _times(work: Callable[[], object]) -> list[float]:
    work()
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def _within(what: str, ask: Callable[[], object], most_ms: float) -> Line:
    times = _times(ask)
    return limit(SECTION, f"{what}, p95", "ms", [percentile(times, 0.95)], most_ms)


def _beside(what: str, ask: Callable[[], object], by_hand: Callable[[], object], most_ms: float | None = None) -> Line:
    ours, theirs = _times(ask), _times(by_hand)
    pair = (percentile(ours, 0.95), percentile(theirs, 0.95))
    within = most_ms is not None and pair[0] <= most_ms
    peer = "SQL by hand" + (f" (and {most_ms:.0f} ms: {'met' if within else 'behind'})" if most_ms else "")
    return paired(SECTION, f"{what}, p95", peer, "ms", [pair], target=0.5 if most_ms else None)


def _export(here: Installation, http: httpx.Client) -> Line:
    """Every call as xlsx, against the writer alone with as many rows of the same width."""
    count = min(http.get("/api/calls").json()["total"], EXPORTED)
    ids = None if count < EXPORTED else {"dateFrom": _day_with(here, count)}

    def ours() -> None:
        body: dict[str, Any] = {"format": "xlsx"} | ({"filters": ids} if ids else {})
        http.post("/api/calls/export", json=body).raise_for_status()

    def theirs() -> None:
        file = here.site.data_dir / "raw.xlsx"
        book = xlsxwriter.Workbook(str(file), {"constant_memory": True, "strings_to_formulas": False})
        sheet = book.add_worksheet()
        summary = "слово " * 40
        for row in range(count):
            cells = [str(row), "2025-06-17", "входящий", "завершён", "Иван", "+7 (495) 123-45-67", 61, "Анна", "+", 0.5]
            for column, value in enumerate([*cells, "тема; тема", "покупка", summary, "Перезвонить", "ru"]):
                sheet.write(row, column, value)
        book.close()
        file.unlink()

    return compare(SECTION, f"export of {count} rows", "xlsxwriter alone", ours, theirs, runs=1, target=0.7)


def _day_with(here: Installation, count: int) -> str:
    """The day since when there were about so many calls."""
    rows = here.sql("SELECT date::date::text FROM calls ORDER BY date DESC OFFSET %s LIMIT 1", count - 1)
    return str(rows[0][0])
