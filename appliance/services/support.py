"""What may leave the building for help: how the appliance is, without what it knows. Secrets, people and speech go."""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from appliance.config import Settings
from appliance.models import Call, User
from appliance.services import doctor, readiness
from appliance.store import db

LINES = 2000
"""Of each log; enough for a day of most processes."""

GONE = "‹…›"

SHOWN = frozenset(
    {
        *("s3_bucket", "s3_region", "jwt_expires_in", "host", "port", "data_dir", "models_dir", "whisper_model_path"),
        *("speech_device", "speech_threads", "speech_batch_size", "speech_workers"),
        *("transcribe_languages", "stereo_manager_channel"),
        *("llm_provider", "data_residency", "local_llm_model", "openai_model", "llm_timeout_s", "analysis_workers"),
        *("upload_max_bytes", "upload_max_minutes", "site_timezone", "lease_s", "stage_attempts", "worker_deaths"),
        *("housekeeping_interval_s", "link_expires_in", "demo", "log_level"),
    }
)
"""Settings whose values are shown. A setting that is added later is hidden until somebody puts it here."""

FIELDS = frozenset(
    {
        *("event", "level", "timestamp", "process", "request_id", "call_id", "user_id", "stage", "of", "method"),
        *("route", "status", "ms", "code", "retried", "attempt", "bytes", "seconds", "codec", "queue", "workers"),
        *("engine", "weights", "provider", "model", "tokens", "deaths", "sentiment", "error", "exception"),
    }
)
"""Fields of the appliance's log lines that are kept; they hold ids, codes, labels and numbers."""

HOLDS_VALUES = re.compile(r"\b(STATEMENT|DETAIL|CONTEXT|QUERY|PARAMETERS):")
"""Lines of PostgreSQL's log that quote rows."""

STRIPPED = (
    re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"']+"),  # addresses: passwords, tokens, signed links
    re.compile(r"[^\s@\"'<]+@[^\s@\"'>]+\.[^\s@\"'>]+"),  # e-mails
    re.compile(r"\+\d[\d\s()-]{7,17}\d|\b[78][\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}\b"),  # phone numbers
    re.compile(r"(?:[А-Яа-яЁё]|\\u04[0-9a-f]{2})(?:[А-Яа-яЁё\s,.!?«»-]|\\u04[0-9a-f]{2})*"),  # Russian is never ours
)

WORD = re.compile(r"[^\W\d_]{3,}")


class Stripper:
    """Takes out of text what is nobody else's business."""

    def __init__(self, secrets: Iterable[str], names: Iterable[str]) -> None:
        self.secrets = sorted((s for s in secrets if len(s) >= 6), key=len, reverse=True)
        self.words = {word for name in names for word in WORD.findall(name)}

    def line(self, line: str) -> str:
        """A line of a log."""
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        if isinstance(parsed, dict):
            kept = {name: self._value(value) if name in FIELDS else GONE for name, value in parsed.items()}
            return json.dumps(kept, ensure_ascii=False)
        if held := HOLDS_VALUES.search(line):
            return line[: held.end()] + " " + GONE
        return self.text(line)

    def text(self, text: str) -> str:
        """Any other text."""
        for secret in self.secrets:
            text = text.replace(secret, GONE)
        for pattern in STRIPPED:
            text = pattern.sub(GONE, text)
        return WORD.sub(lambda word: GONE if word.group() in self.words else word.group(), text)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(part) for part in value]
        if isinstance(value, dict):
            return {name: self._value(part) for name, part in value.items()}
        return value


def people() -> set[str]:
    """Every name that the database knows; empty where it is away."""
    try:
        with db.unit_of_work() as session:
            known = [*session.scalars(select(User.name)), *session.scalars(select(Call.client_name).distinct())]
    except SQLAlchemyError:
        return set()
    return {name for name in known if name}


def write(target: Path, settings: Settings, logs: Path, processes: list[dict[str, Any]]) -> list[str]:
    """Write the bundle, readable by its owner alone; returns the names of the files in it."""
    stripper = Stripper(_secrets(settings), people())
    files = {
        "settings.txt": "".join(_setting(settings, name) for name in sorted(Settings.model_fields)),
        "processes.json": json.dumps(processes, ensure_ascii=False, indent=2),
        "status.json": _status(),
        "doctor.json": stripper.text(json.dumps([asdict(f) for f in doctor.examine("en")], indent=2)),
    }
    for file in sorted(logs.glob("*.log")):
        files[f"log/{file.name}"] = "".join(stripper.line(line) + "\n" for line in _end_of(file))
    pack(target, files)
    return list(files)


def pack(target: Path, files: dict[str, str]) -> None:
    """Write an archive of texts that its owner alone may read."""
    target.unlink(missing_ok=True)  # one that is there may be open to others
    target.touch(mode=0o600)
    with tarfile.open(target, "w:gz") as bundle:
        for name, content in files.items():
            data = content.encode()
            entry = tarfile.TarInfo(f"support/{name}")
            entry.size, entry.mode = len(data), 0o600
            bundle.addfile(entry, io.BytesIO(data))


def _end_of(file: Path) -> list[str]:
    """What the operator may read of a log: one that is closed to them does not end the rest."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()[-LINES:]
    except (PermissionError, FileNotFoundError):  # a log may be rotated away meanwhile
        return ["not readable for who gathered this"]


def _status() -> str:
    try:
        return readiness.condition().model_dump_json(indent=2)
    except SQLAlchemyError:
        return '{"problems": ["database_away"]}'


def _setting(settings: Settings, name: str) -> str:
    return f"{name.upper()}={getattr(settings, name) if name in SHOWN else GONE}\n"


def _secrets(settings: Settings) -> list[str]:
    values = [getattr(settings, name) for name in Settings.model_fields if name not in SHOWN]
    said = (v.get_secret_value() if isinstance(v, SecretStr) else v for v in values)
    within = [urlsplit(address).password for address in (settings.database_url, settings.redis_url)]
    return [value for value in (*said, *within) if isinstance(value, str)]
