"""The count after a torture: every call that was taken has ended once, and nothing is there that nobody owns."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from tests.conftest import wait_until
from tests.own_stack import Own, doubled, ended, orphans
from tests.torture.load import Load

EXCUSES = {"poison"}
"""A sound recording may fail by this alone: its workers died in it again and again."""


@dataclass
class Verdict:
    """What must be nothing stands in `faults`, by its name, each with what was found."""

    calls: int = 0
    accepted: int = 0
    completed: int = 0
    refused: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        return not any(self.faults.values())

    def table(self) -> Table:
        made = Table("", "calls", title="Torture")
        rows = {"sent": self.calls, "refused (broken)": self.refused, "accepted": self.accepted}
        rows |= {"completed": self.completed, "failed with reason": self.failed.total()}
        rows |= {f"  {code}": number for code, number in self.failed.most_common()}
        for name, number in rows.items():
            made.add_row(name, str(number))
        made.add_section()
        for name, found in self.faults.items():
            made.add_row(name, str(len(found)), style="bold red" if found else "green")
        return made


def judge(own: Own, load: Load, within_s: float) -> Verdict:
    """Wait for the end of every accepted call and count. The appliance must run, undisturbed."""
    heard, missed = load.accepted("mono", "stereo", "silent", "broken"), load.accepted("missed")
    made = Verdict(calls=len(load.told), accepted=len(heard) + len(missed))
    made.refused = sum(bool(one.refused) for one in load.told.values())
    endings: dict[str, str] = {}
    try:
        endings = ended(own, list(heard), within_s)
        lost = []
    except AssertionError as error:
        lost = [str(error)]
    made.completed = sum(end == "completed" for end in endings.values()) + len(missed)
    made.failed = Counter(end.removeprefix("failed:") for end in endings.values() if end != "completed")
    there = {row[0]: row[1] for row in own.query("SELECT id::text, status FROM calls")}
    lost += [f"{call_id} is not there" for call_id in {*heard, *missed} - set(there)]
    lost += [f"missed call {call_id} is {there[call_id]}" for call_id in missed if there.get(call_id) != "missed"]
    blameless = [
        f"{call_id} {heard[call_id].name}: {end}"
        for call_id, end in endings.items()
        if end.startswith("failed") and heard[call_id].kind != "broken" and end.split(":")[1] not in EXCUSES
    ]
    twice = [f"{one.call.key}: {sorted(one.ids)}" for one in load.told.values() if len(one.ids) > 1]
    unheard = [f"call {call_id}: nobody was told of it" for call_id in set(there) - {*heard, *missed}]
    made.faults = {
        "lost": lost,
        "doubled": twice + doubled(own, list(heard)),
        "orphans": unheard + orphans(own) + _files_left(own),
        "failed though sound": blameless,
        "differing transcripts": _differing(own, load),
        "analysed by another than the model": _not_by_model(own),
        "wrong answers": load.wrong,
        "miscounted": _miscounted(own),
        "broken audit trail": _broken_trail(own),
    }
    return made


def _files_left(own: Own) -> list[str]:
    """Of uploads, of decoding, of objects that were half written; housekeeping has a moment to see to them."""
    places = [own.site.data_dir / "spool", own.site.data_dir / "scratch", *(own.site.swift / "srv").glob("*/tmp*")]
    places += (own.site.swift / "srv").glob("*/async_pending*")

    def left() -> list[str]:
        return [str(file) for place in places for file in Path(place).rglob("*") if file.is_file()]

    with suppress(AssertionError):
        wait_until(lambda: not left(), 30, "files of calls that have ended to go")
    return left()


def _differing(own: Own, load: Load) -> list[str]:
    """The same recording is understood the same, however often its workers died."""
    texts: dict[str, dict[str, list[str]]] = {}
    rows = own.query(
        """SELECT p.call_id::text, coalesce(string_agg(s.speaker || s.start_ms || s.text, '|' ORDER BY s.position), '')
           FROM pipelines p LEFT JOIN segments s ON s.call_id = p.call_id WHERE p.state = 'completed' GROUP BY 1"""
    )
    calls = load.accepted("mono", "stereo", "silent")
    for call_id, text in rows:
        if call_id in calls:
            texts.setdefault(calls[call_id].name, {}).setdefault(text, []).append(call_id)
    return [f"{name}: {[ids[0] for ids in found.values()]}" for name, found in texts.items() if len(found) > 1]


def _not_by_model(own: Own) -> list[str]:
    """Calls wait for the model that was chosen, however long it is away: nothing else takes its place unasked."""
    rows = own.query(
        "SELECT call_id::text, provider FROM ai_analyses WHERE processing_status = 'completed' AND provider <> 'local'"
    )
    return [f"{call_id}: {provider}" for call_id, provider in rows]


def _miscounted(own: Own) -> list[str]:
    """The dashboard's numbers are those of the calls."""
    shown = own.client().get("/api/dashboard/stats").raise_for_status().json()
    there = own.query("SELECT count(*), count(*) FILTER (WHERE status = 'missed') FROM calls")[0]
    counted = (shown["total_calls"], shown["missed_calls"])
    return [] if counted == tuple(there) else [f"shown: {counted}, there: {there}"]


def _broken_trail(own: Own) -> list[str]:
    command = [str(Path(sys.prefix) / "bin" / "appliance"), "audit", "verify"]
    environment = {**os.environ, "APPLIANCE_ENV_FILE": str(own.site.env_file)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]
