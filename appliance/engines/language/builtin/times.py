"""The day and the time of day that a sentence names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

DATA = Path(__file__).parent / "data" / "times.yaml"
ON = re.compile(r"^(?:во|в) ")


@dataclass(frozen=True, slots=True)
class When:
    """A day and a time as they are said; empty where they are not."""

    day: str = ""
    time: str = ""

    def __bool__(self) -> bool:
        return bool(self.day or self.time)

    def __str__(self) -> str:
        return " ".join(part for part in (self.day, self.time) if part)

    def then(self, later: When) -> When:
        """What holds when `later` is said after this: another day takes its time along."""
        if not later:
            return self
        if later.day and later.day != self.day:
            return later if later.time or self.day else When(later.day, self.time)
        return When(self.day or later.day, later.time or self.time)

    def as_object(self) -> str:
        """The same behind "на" ("на завтра в десять", "на субботу")."""
        if self.day and not self.day.startswith(("до ", "на ", "к ", "через ")):
            return f"на {ON.sub('', self.day)} {self.time}".strip()
        return ON.sub("на ", str(self)) if not self.day else str(self)


@dataclass(frozen=True, slots=True)
class _Times:
    day: re.Pattern[str]
    time: re.Pattern[str]
    bare: re.Pattern[str]
    weekday: re.Pattern[str]
    weekdays: Mapping[str, str]


@lru_cache
def _times(language: str) -> _Times:
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))[language]

    def pattern(*texts: str) -> re.Pattern[str]:
        filled = (t.replace("NUMBER", data["number"]).replace("WEEKDAY", data["weekday"]) for t in texts)
        return re.compile(rf"\b(?:{'|'.join(filled)})", re.IGNORECASE)

    return _Times(
        pattern(*data["day"]), pattern(*data["time"]), pattern(data["bare"]), pattern("WEEKDAY"), data["weekdays"]
    )


def when_of(text: str, language: str) -> When:
    """What a text names last: people settle on it."""
    known = _times(language)
    days, times, bare = known.day.findall(text), known.time.findall(text), list(known.bare.finditer(text))
    day = _written(days[-1].lower(), language) if days else ""
    time = _with_preposition(times[-1].lower().strip(), language) if times else ""
    if bare and not time:
        found = bare[-1]
        time = ("в " if language == "ru" else "at ") + found.group()[found.start(1) - found.start() :].lower()
    return When(day, re.sub(r"^на (?=\S)", "в ", time))


def _with_preposition(time: str, language: str) -> str:
    bare = time[:1].isdigit() or time.rsplit(maxsplit=1)[-1] in {"часов", "часа", "ноль-ноль", "ноль", "тридцать"}
    is_bare = bare and time.split(maxsplit=1)[0] not in {"в", "к", "до", "после", "около", "на", "через"}
    return f"в {time}" if language == "ru" and is_bare else time


def _written(day: str, language: str) -> str:
    known = _times(language)
    found = known.weekday.search(day)
    if not found:
        return day
    before = day.split(maxsplit=1)[0]
    if language == "en":
        day = known.weekday.sub(lambda name: name.group().capitalize(), day)
        return day if " " in day else f"on {day}"
    if before in {"до", "к", "с"} or " " in day.removeprefix(before).strip():
        return day
    return str(known.weekdays[found.group()[:3].lower()])
