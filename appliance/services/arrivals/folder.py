"""The watch folder: recordings that a telephone exchange puts there become calls, each of them once.

A file is taken when it has not changed for WATCH_STABLE_S, through the same door as an upload, and moves to `done/`, or
to `failed/` with the reason in a text file beside it. What interrupts this does no harm: the call and the digest of its
file are written by one transaction, so a file that is met again is only moved.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from appliance import logs
from appliance.config import settings
from appliance.errors import ApplianceError
from appliance.services import admission, calls
from appliance.services.arrivals.description import described
from appliance.services.arrivals.unanswered import Unanswered

log = logs.get(__name__)

SUFFIXES = {".wav", ".mp3", ".m4a"}
DONE, FAILED = "done", "failed"


@dataclass(frozen=True, slots=True)
class Sighting:
    """How a file looked, and since when it looks so."""

    size: int
    changed_ns: int
    since: float


def watch(stop: threading.Event) -> None:
    """Look into the folder now and then until `stop` is set."""
    folder = Folder(Path(settings().watch_folder), settings().watch_stable_s)
    records = Unanswered(Path(settings().watch_cdr_file)) if settings().watch_cdr_file else None
    log.info("watch_folder_opened")
    while not stop.is_set():
        try:
            folder.look(stop)
            if records is not None:
                records.look()
        except Exception as error:  # noqa: BLE001 - the folder, the database or the store may be away for a while
            log.warning("watch_folder_failed", error=type(error).__name__)
        stop.wait(settings().housekeeping_interval_s)


class Folder:
    """A folder and what was seen in it so far."""

    def __init__(self, home: Path, stable_s: float) -> None:
        self.home = home
        self._stable_s = stable_s
        self._seen: dict[Path, Sighting] = {}

    def look(self, stop: threading.Event | None = None) -> None:
        """Take what lies there long enough. Raises what is no fault of a file; that one is tried again later."""
        for path in self._settled():
            if stop is not None and stop.is_set():
                return
            admission.check_disk(path.stat().st_size)
            admission.check_queue()
            try:
                self._take(path)
            except FileNotFoundError:  # taken away meanwhile
                continue
            except Exception:
                # Others go before it from now on, so that one file cannot keep back the rest.
                self._seen[path] = replace(self._seen[path], since=time.monotonic())
                raise

    def _settled(self) -> list[Path]:
        now, seen = time.monotonic(), {}
        for path in self._recordings():
            status = path.stat(follow_symlinks=False)
            before = self._seen.get(path)
            if before and (before.size, before.changed_ns) == (status.st_size, status.st_mtime_ns):
                seen[path] = before
            else:
                seen[path] = Sighting(status.st_size, status.st_mtime_ns, now)
        self._seen = seen
        return [path for path, sighting in seen.items() if now - sighting.since >= self._stable_s]

    def _recordings(self) -> Iterator[Path]:
        """Recordings in the folder and below, as FreePBX makes a folder per day; no links, nothing hidden."""
        for at, folders, names in os.walk(self.home, onerror=_complain):
            finished = {DONE, FAILED} if Path(at) == self.home else set()
            folders[:] = sorted(f for f in folders if f not in finished and not f.startswith("."))
            for name in sorted(names):
                path = Path(at, name)
                if path.suffix.lower() in SUFFIXES and not name.startswith(".") and not path.is_symlink():
                    yield path

    def _take(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                key = "file:" + hashlib.file_digest(file, "sha256").hexdigest()
                call_id = calls.receive(None, described(path.name).upload(file, path, key))
        except ApplianceError as refusal:
            if refusal.status >= 500:
                raise
            log.warning("arrival_refused", code=refusal.code)
            self._finish(path, FAILED, f"{refusal.code}\n{refusal.message('ru')}\n{refusal.message('en')}\n")
        else:
            log.info("arrival_taken", call_id=str(call_id))
            self._finish(path, DONE)

    def _finish(self, path: Path, where: str, reason: str = "") -> None:
        target = self.home / where / path.relative_to(self.home)
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while target.exists():
            target = target.with_name(f"{path.stem}~{number}{path.suffix}")
            number += 1
        if reason:
            target.with_name(target.name + ".txt").write_text(reason, encoding="utf-8")
        path.rename(target)


def _complain(error: OSError) -> None:
    raise error
