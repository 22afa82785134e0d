"""Whether the appliance can do its work, and how it is: each dependency looked at for real."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

import redis
from pydantic import BaseModel, Field
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from appliance import __version__
from appliance.config import settings
from appliance.engines.diarization import name_of
from appliance.errors import ApplianceError
from appliance.models import Pipeline
from appliance.pipeline import plan
from appliance.pipeline.providers import chosen_name
from appliance.pipeline.stage import Queue
from appliance.services import certificates, processes, rights
from appliance.services.certificates import Certificate
from appliance.store import db, objects, pipelines
from appliance.store.visibility import Viewer
from appliance.tasks import alive

VERSION = __version__

DISK_LOW_BYTES = 2 * 2**30
"""Less free space holds some twenty of the largest uploads, their decoded sound and PostgreSQL's log."""

QUEUE_OLD_S = 3600.0
"""A call that waits longer is not analysed in time for anybody: workers are missing or too few."""

BACKUP_OLD_S = 2 * 24 * 3600.0
"""One night may fail; after two, what was entrusted to the appliance lies in one place only."""

LAST_BACKUP = "backup/last"

CARD_KNOWN_S = 10
"""nvidia-smi takes a second on some machines; it is not asked more often than this."""

Problem = Literal[
    "database_away",
    "object_store_away",
    "queue_away",
    "process_down",
    "process_restarting",
    "worker_silent",
    "certificate_ended",
    "certificate_ends",
    "disk_low",
    "queue_old",
    "backup_old",
    "demo_weights",
]


class Card(BaseModel):
    """A graphics card, as nvidia-smi tells of it."""

    name: str
    memory_mb: int
    used_mb: int
    load_percent: int


class Machine(BaseModel):
    """What can be told of this machine's own processes without its database."""

    processes_down: list[str] = Field(description="Ended, and not started again")
    processes_restarting: list[str] = Field(description="Ended three times or more in the last ten minutes")
    workers_silent: list[str] = Field(description="Workers of this machine that were not heard of for 45 seconds")
    certificate: Certificate | None = Field(description="null over plain HTTP")


class Readiness(BaseModel):
    ready: bool
    version: str
    database: bool
    object_store: bool
    queue: bool = Field(description="Redis where REDIS_URL is set, otherwise the database")
    calls_waiting: int | None
    queue_age_s: float | None = Field(description="How long the call that waits longest has waited, in seconds")
    disk_free_bytes: int
    disk_total_bytes: int
    last_backup: datetime | None = Field(description="When the last whole backup was begun; null: none was ever made")
    weights: str = Field(description="Speech weights; demo understands the sample calls only")
    diarizer: str = Field(description="Who tells voices apart in mono recordings")
    cards: list[Card]
    problems: list[Problem] = Field(description="What to mend; ready is false only where a dependency is away")


class QueueState(BaseModel):
    waiting: int
    age_s: float


class Condition(Readiness, Machine):
    """How the appliance is, for admins."""

    queues: dict[Queue, QueueState]
    calls_running: int
    calls_failed: int = Field(description="Calls whose processing failed in the last 24 hours")
    provider: str = Field(description="The profile that analyses: the chosen one, or that of the settings")
    provider_of_settings: str = Field(description="LLM_PROVIDER: analyses where nobody has chosen another")
    data_residency: str


def machine() -> Machine:
    """How the processes and the certificate of this machine are."""
    found = processes.troubles()
    return Machine(
        processes_down=found.down,
        processes_restarting=found.restarting,
        workers_silent=[name for name in alive.silent() if name not in found.young],
        certificate=certificates.current(),
    )


def problems_of(found: Machine) -> dict[Problem, bool]:
    """Which of the problems that a machine can have by itself there are."""
    days = found.certificate.days_left if found.certificate else certificates.ENDS_SOON_DAYS
    return {
        "process_down": bool(found.processes_down),
        "process_restarting": bool(found.processes_restarting),
        "worker_silent": bool(found.workers_silent),
        "certificate_ended": days < 0,
        "certificate_ends": 0 <= days < certificates.ENDS_SOON_DAYS,
    }


def look() -> Readiness:
    """Ask the database, the object store, the queue, the disk, the card and this machine's processes."""
    return _look(machine())


def _look(own: Machine) -> Readiness:
    try:
        with db.unit_of_work() as session:
            session.execute(text("SELECT 1"))
            waiting: int | None = pipelines.count_due(session)
            age_s: float | None = max((row.age_s for row in pipelines.waiting_by_stage(session)), default=0.0)
    except SQLAlchemyError:
        waiting = age_s = None
    database, stored = waiting is not None, _answers_store()
    queued = _answers_redis(settings().redis_url) if settings().redis_url else database
    folder = settings().data_dir
    disk = shutil.disk_usage(folder if folder.exists() else Path("/"))
    weights = Path(settings().whisper_model_path).name or "demo"
    backed_up = last_backup()
    found: dict[Problem, bool] = {
        "database_away": not database,
        "object_store_away": not stored,
        "queue_away": not queued,
        **problems_of(own),
        "disk_low": disk.free < DISK_LOW_BYTES,
        "queue_old": (age_s or 0) > QUEUE_OLD_S,
        "backup_old": not settings().demo and not settings().node_name and _is_old(backed_up),
        "demo_weights": weights == "demo",
    }
    return Readiness(
        ready=database and stored and queued,
        version=VERSION,
        database=database,
        object_store=stored,
        queue=queued,
        calls_waiting=waiting,
        queue_age_s=age_s,
        disk_free_bytes=disk.free,
        disk_total_bytes=disk.total,
        last_backup=backed_up,
        weights=weights,
        diarizer=name_of(settings().pyannote_weights),
        cards=list(_cards(int(time.monotonic() / CARD_KNOWN_S))),
        problems=[name for name, is_so in found.items() if is_so],
    )


def last_backup() -> datetime | None:
    """What `appliance backup make` wrote down when it was done."""
    try:
        return datetime.fromisoformat((settings().data_dir / LAST_BACKUP).read_text(encoding="utf-8").strip())
    except (OSError, ValueError):
        return None


def _is_old(made: datetime | None) -> bool:
    return made is None or (datetime.now(UTC) - made).total_seconds() > BACKUP_OLD_S


def condition() -> Condition:
    """The same with what is going on. Raises SQLAlchemyError where the database is away."""
    with db.unit_of_work() as session:
        queues = _queues(session)
        running = select(func.count()).where(Pipeline.state == "running")
        recent = Pipeline.updated_at > func.now() - pipelines.seconds(24 * 3600)
        failed = select(func.count()).where(Pipeline.state == "failed", recent)
        calls = {"calls_running": session.scalar(running) or 0, "calls_failed": session.scalar(failed) or 0}
        provider = chosen_name(settings(), session)
    own = machine()
    return Condition(
        **_look(own).model_dump(),
        **own.model_dump(),
        **calls,
        queues=queues,
        provider=provider,
        provider_of_settings=settings().llm_provider,
        data_residency=settings().data_residency,
    )


def condition_for(viewer: Viewer) -> Condition:
    """For an admin. Raises NotAllowed."""
    rights.admin_only(viewer)
    return condition()


def _queues(session: Session) -> dict[Queue, QueueState]:
    queues: dict[Queue, QueueState] = {name: QueueState(waiting=0, age_s=0) for name in ("speech", "analysis")}
    for row in pipelines.waiting_by_stage(session):
        queue = queues[plan.stage_named(row.stage).queue]
        queue.waiting, queue.age_s = queue.waiting + row.calls, max(queue.age_s, row.age_s)
    return queues


def _answers_store() -> bool:
    try:
        objects.check()
    except ApplianceError:
        return False
    return True


def _answers_redis(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2).ping())
    except redis.RedisError:
        return False


@lru_cache(maxsize=1)
def _cards(_period: int) -> tuple[Card, ...]:
    query = "--query-gpu=name,memory.total,memory.used,utilization.gpu"
    try:
        command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return ()
    return cards_of(done.stdout)


def cards_of(listing: str) -> tuple[Card, ...]:
    """Cards from nvidia-smi's csv; what it cannot tell ("[N/A]") counts as nothing."""
    found = []
    for line in listing.strip().splitlines():
        name, *values = (part.strip() for part in line.rsplit(",", 3))
        total, used, load = (int(value) if value.isdigit() else 0 for value in values)
        found.append(Card(name=name, memory_mb=total, used_mb=used, load_percent=load))
    return tuple(found)
