"""Years of calls: what a reader of the list, the search and the dashboard waits for, against SQL written by hand."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import xlsxwriter

from benchmarks import archive_data
from benchmarks.installation import Installation
from benchmarks.report import Line, limit, paired, percentile

FULL, TENTH = 1_000_000, 100_000
GROWTH = 100
ASKED, ROUNDS = 20, 3
EXPORTED = 100_000
EXPORT_MEMORY_MB = 100
SECTION = "archive"

FROM = "FROM calls c JOIN users u ON u.id = c.manager_id LEFT JOIN ai_analyses a ON a.call_id = c.id WHERE true "
COLUMNS = "SELECT c.*, u.name, a.summary, a.action_items, a.intents "
NEWEST = "ORDER BY c.date DESC, c.id DESC"
LAST_MONTH = datetime.now(UTC).date() - timedelta(days=30)


@dataclass(frozen=True)
class Listing:
    """A page as the frontend asks for it, and by hand: the page, and how many there are."""

    query: dict[str, Any]
    where: str = ""
    parameters: tuple[Any, ...] = ()
    order: str = NEWEST

    def by_hand(self, connection: psycopg.Connection) -> None:
        offset = self.query.get("offset", 0)
        page = f"{COLUMNS}{FROM}{self.where} {self.order} LIMIT 20 OFFSET {offset}"
        connection.execute(page, self.parameters).fetchall()
        # Without what the condition does not need: as whoever writes it by hand would count.
        needed = FROM if "a." in self.where or "u." in self.where else "FROM calls c WHERE true "
        connection.execute(f"SELECT count(*) {needed}{self.where}", self.parameters).fetchall()


def listings(manager: str, calls: int) -> dict[str, Listing]:
    """Every filter and order of the list."""
    return {
        "list": Listing({}),
        "list by status": Listing({"status": "missed"}, "AND c.status = 'missed'"),
        "list by direction": Listing({"type": "outgoing"}, "AND c.type = 'outgoing'"),
        "list by sentiment": Listing({"sentiment": "negative"}, "AND a.sentiment = 'negative'"),
        "list by manager": Listing({"manager": manager}, "AND u.name = %s", (manager,)),
        "list of a month": Listing({"dateFrom": LAST_MONTH.isoformat()}, "AND c.date >= %s", (LAST_MONTH,)),
        "list by duration": Listing({"sort": "duration_desc"}, order="ORDER BY c.duration_ms DESC, c.id DESC"),
        "list, oldest first": Listing({"sort": "date_asc"}, order="ORDER BY c.date, c.id"),
        "list, last page": Listing({"offset": calls - 1000}),
        "find a number": Listing({"search": "4951234"}, "AND c.phone LIKE %s", ("%4951234%",)),
        "find a name": Listing({"search": "Козлов 4711"}, "AND c.client_name ILIKE %s", ("%Козлов 4711%",)),
    }


def measure(here: Installation, *, full: bool) -> Iterator[Line]:
    calls = FULL if full else TENTH
    http = here.client()
    archive_data.fill(here.dsn, calls // GROWTH)
    small = {what: _times(ask) for what, ask in _growing(http).items()}
    archive_data.fill(here.dsn, calls, begin=calls // GROWTH)
    for what, ask in _growing(http).items():
        pairs = list(zip(_rounds(_times(ask)), _rounds(small[what]), strict=True))
        allowed = math.log(calls) / math.log(calls // GROWTH)
        peer = f"{calls // GROWTH} calls (logarithmic: {allowed:.2f} times)"
        yield paired(SECTION, f"{what} with {calls} calls, p95", peer, "ms", pairs, target=1 / allowed)
    manager = str(here.sql("SELECT name FROM users WHERE role = 'manager' ORDER BY name LIMIT 1")[0][0])
    with psycopg.connect(here.dsn, autocommit=True) as connection:
        for what, listing in listings(manager, calls).items():
            ask = _asking(http, "/api/calls", listing.query)
            yield from _beside(what, ask, lambda one=listing: one.by_hand(connection), most_ms=50)
        call_id = _completed(http)
        ask = _asking(http, f"/api/calls/{call_id}", {})
        by_hand = lambda: [connection.execute(s, [call_id]).fetchall() for s in DETAIL]  # noqa: E731
        yield from _beside("detail", ask, by_hand, most_ms=50)
        look = lambda: connection.execute("SELECT id FROM calls WHERE id = %s", [call_id]).fetchall()  # noqa: E731
        yield from _beside("detail", ask, look, peer="one look into an index")
    for what, query in SEARCHES.items():
        yield _within(f"search: {what}", _asking(http, "/api/search", {"q": query}), 150)
    for what in ("stats", "trends", "managers"):
        yield _within(f"dashboard {what}", _asking(http, f"/api/dashboard/{what}", {}), 100)
    yield from _export(here, http)


def _growing(http: httpx.Client) -> dict[str, Callable[[], object]]:
    return {"list": _asking(http, "/api/calls", {}), "detail": _asking(http, f"/api/calls/{_completed(http)}", {})}


def _completed(http: httpx.Client) -> str:
    return str(http.get("/api/calls", params={"status": "completed"}).json()["calls"][0]["id"])


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
    """Milliseconds of every round's requests, one round after the other; what is loaded late is loaded before."""
    work()
    times = []
    for _ in range(ROUNDS * ASKED):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def _rounds(times: list[float]) -> list[float]:
    """The p95 of each round."""
    return [percentile(times[start : start + ASKED], 0.95) for start in range(0, len(times), ASKED)]


def _within(what: str, ask: Callable[[], object], most_ms: float) -> Line:
    return limit(SECTION, f"{what}, p95", "ms", _rounds(_times(ask)), most_ms)


def _beside(
    what: str,
    ask: Callable[[], object],
    by_hand: Callable[[], object],
    most_ms: float | None = None,
    peer: str = "SQL by hand",
) -> Iterator[Line]:
    """Against somebody's own SQL, and, where there is one, against the most that it may take."""
    ours, theirs = _rounds(_times(ask)), _rounds(_times(by_hand))
    pairs = list(zip(ours, theirs, strict=True))
    yield paired(SECTION, f"{what}, p95", peer, "ms", pairs, target=0.5 if most_ms else None)
    if most_ms:
        yield limit(SECTION, f"{what}, p95", "ms", ours, most_ms)


EXPORTED_CELLS = (
    "SELECT to_char(c.date, 'DD.MM.YYYY HH24:MI:SS'), c.type, c.status, c.client_name, c.phone, u.name, "
    "c.duration_ms / 1000.0::float8, a.sentiment, a.sentiment_score::float8, array_to_string(a.topics, '; '), "
    "array_to_string(a.intents, '; '), a.summary, array_to_string(a.action_items, '; '), a.language, c.id::text "
    "FROM calls c JOIN users u ON u.id = c.manager_id LEFT JOIN ai_analyses a ON a.call_id = c.id "
    "ORDER BY c.date DESC LIMIT %s"
)


def _export(here: Installation, http: httpx.Client) -> Iterator[Line]:
    """Every call as xlsx, against the writer alone with the same cells, which it finds ready in memory."""
    count = min(http.get("/api/calls").json()["total"], EXPORTED)
    ids = None if count < EXPORTED else {"dateFrom": _day_with(here, count)}

    def ours() -> None:
        body: dict[str, Any] = {"format": "xlsx"} | ({"filters": ids} if ids else {})
        http.post("/api/calls/export", json=body).raise_for_status()

    cells = here.sql(EXPORTED_CELLS, count)

    def theirs() -> None:
        file = here.site.data_dir / "raw.xlsx"
        with xlsxwriter.Workbook(str(file), {"constant_memory": True, "strings_to_formulas": False}) as book:
            sheet = book.add_worksheet()
            for row, call in enumerate(cells):
                for column, value in enumerate(call):
                    sheet.write(row, column, value)
        file.unlink()

    added = here.memory_added_mb("api", ours)  # warms up, too; the writer has nothing to load
    pair = (_seconds(ours), _seconds(theirs))
    yield paired(SECTION, f"export of {count} rows", "xlsxwriter alone", "s", [pair], target=0.7)
    yield limit(SECTION, f"memory for an export of {count} rows", "MB", [added], EXPORT_MEMORY_MB)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _day_with(here: Installation, count: int) -> str:
    """The day since when there were about so many calls."""
    rows = here.sql("SELECT date::date::text FROM calls ORDER BY date DESC OFFSET %s LIMIT 1", count - 1)
    return str(rows[0][0])
