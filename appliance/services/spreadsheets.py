"""Calls as csv and xlsx files that open right in a spreadsheet program, written row by row in constant memory."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import xlsxwriter
from sqlalchemy import Row

from appliance.services import phones

Format = Literal["csv", "xlsx"]
Kind = Literal["text", "moment", "duration", "number"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

SHEET_ROWS = 1_048_575
"""Rows of a sheet below its header; what is more goes on the next one."""

CELL_CHARACTERS = 32_767
"""A spreadsheet's cell holds no more."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A csv cell that begins so would be calculated: it gets an apostrophe, which makes it text."""

WORDS = {
    "ru": {
        "incoming": "Входящий",
        "outgoing": "Исходящий",
        "completed": "Завершён",
        "missed": "Пропущен",
        "in-progress": "В обработке",
        "positive": "Позитивная",
        "neutral": "Нейтральная",
        "negative": "Негативная",
    },
    "en": {
        "incoming": "Incoming",
        "outgoing": "Outgoing",
        "completed": "Completed",
        "missed": "Missed",
        "in-progress": "In progress",
        "positive": "Positive",
        "neutral": "Neutral",
        "negative": "Negative",
    },
}


@dataclass(frozen=True, slots=True)
class Column:
    ru: str
    en: str
    width: int
    kind: Kind
    value: Callable[[Row[Any], dict[str, str]], Any]


COLUMNS = (
    Column("Дата и время", "Date and time", 17, "moment", lambda call, _: call.date),
    Column("Направление", "Direction", 13, "text", lambda call, words: words[call.type]),
    Column("Статус", "Status", 12, "text", lambda call, words: words[call.status]),
    Column("Клиент", "Client", 24, "text", lambda call, _: call.client_name),
    Column("Телефон", "Phone", 20, "text", lambda call, _: phones.show(call.phone)),
    Column("Менеджер", "Manager", 24, "text", lambda call, _: call.manager_name),
    Column("Длительность", "Duration", 14, "duration", lambda call, _: call.duration_ms / 1000),
    Column("Тональность", "Sentiment", 13, "text", lambda call, words: words.get(call.sentiment or "")),
    Column("Оценка", "Score", 9, "number", lambda call, _: call.sentiment_score),
    Column("Темы", "Topics", 36, "text", lambda call, _: call.topics),
    Column("Намерения", "Intents", 28, "text", lambda call, _: call.intents),
    Column("Кратко", "Summary", 60, "text", lambda call, _: call.summary),
    Column("Задачи", "Action items", 48, "text", lambda call, _: call.action_items),
    Column("Язык", "Language", 8, "text", lambda call, _: call.language),
    Column("ID звонка", "Call ID", 38, "text", lambda call, _: str(call.id)),
)


def write(target: Path, form: Format, calls: Iterable[Row[Any]], language: str, zone: ZoneInfo) -> int:
    """Write calls (rows of store.calls.exported) with times of a zone and texts in `ru` or `en`; returns how many."""
    return (_write_csv if form == "csv" else _write_xlsx)(target, calls, language, zone)


def _write_csv(target: Path, calls: Iterable[Row[Any]], language: str, zone: ZoneInfo) -> int:
    """With a byte-order mark, and the separators that Excel expects in the language's country."""
    words, count = WORDS[language], 0
    delimiter, point = (";", ",") if language == "ru" else (",", ".")

    def cell(kind: Kind, value: Any) -> str:
        if value is None:
            return ""
        if kind == "text":
            return f"'{value}" if value.startswith(FORMULA_STARTS) else value
        if kind == "moment":
            return f"{value.astimezone(zone):%d.%m.%Y %H:%M:%S}"
        if kind == "duration":
            seconds = round(value)
            return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return f"{value:.2f}".replace(".", point)

    with target.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file, delimiter=delimiter)
        rows.writerow([getattr(column, language) for column in COLUMNS])
        for count, call in enumerate(calls, start=1):  # noqa: B007 - the last number is how many there were
            rows.writerow([cell(column.kind, column.value(call, words)) for column in COLUMNS])
    return count


def _write_xlsx(target: Path, calls: Iterable[Row[Any]], language: str, zone: ZoneInfo) -> int:
    """Texts stay texts, whatever they begin with; times are real times; the header stays in sight and filters."""
    words, count, title = WORDS[language], 0, "Звонки" if language == "ru" else "Calls"
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_numbers": False,
        "strings_to_urls": False,
        "tmpdir": str(target.parent),
    }
    with xlsxwriter.Workbook(str(target), options) as book:
        heading = book.add_format({"bold": True, "bottom": 1})
        formats = {
            "moment": book.add_format({"num_format": "dd.mm.yyyy hh:mm:ss"}),
            "duration": book.add_format({"num_format": "[h]:mm:ss"}),
            "number": book.add_format({"num_format": "0.00"}),
        }
        sheet, row = None, 0
        for call in calls:
            if sheet is None or row == SHEET_ROWS:
                sheet, row = _begin_sheet(book, title, language, heading), 0
            row, count = row + 1, count + 1
            for index, column in enumerate(COLUMNS):
                value = column.value(call, words)
                if value is None or value == "":
                    continue
                if column.kind == "text":
                    sheet.write_string(row, index, _fitting(value))
                elif column.kind == "moment":
                    local = value.astimezone(zone).replace(tzinfo=None)
                    sheet.write_datetime(row, index, local, formats["moment"])
                elif column.kind == "duration":
                    sheet.write_number(row, index, round(value) / 86400, formats["duration"])
                else:
                    sheet.write_number(row, index, round(value, 2), formats["number"])
        if sheet is None:
            _begin_sheet(book, title, language, heading)
        book.set_properties({"title": title, "created": datetime.now(UTC).replace(tzinfo=None)})
    return count


def _begin_sheet(book: Any, title: str, language: str, heading: Any) -> Any:
    number = len(book.worksheets()) + 1
    sheet = book.add_worksheet(title if number == 1 else f"{title} {number}")
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, SHEET_ROWS, len(COLUMNS) - 1)
    for index, column in enumerate(COLUMNS):
        sheet.set_column(index, index, column.width)
        sheet.write_string(0, index, getattr(column, language), heading)
    return sheet


def _fitting(text: str) -> str:
    return text if len(text) <= CELL_CHARACTERS else text[: CELL_CHARACTERS - 1] + "…"
