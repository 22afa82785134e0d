"""The queue: a doorbell by Huey. Whom it rings for and what is to be done stands in the pipeline rows."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from huey import Huey, PostgresHuey, PriorityRedisHuey
from huey.registry import Message
from huey.serializer import Serializer
from redis.exceptions import RedisError

from appliance import logs
from appliance.config import settings
from appliance.pipeline.stage import Queue
from appliance.store import db
from appliance.store.patience import PatientConnection

log = logs.get(__name__)


class JsonSerializer(Serializer):  # type: ignore[misc]
    """Messages as JSON: whoever can write to the queue must not be able to run code in a worker."""

    def _serialize(self, data: Any) -> bytes:
        return json.dumps(data).encode()

    def _deserialize(self, data: bytes) -> Any:
        value = json.loads(data)
        return Message(*value) if isinstance(value, list) else value


@lru_cache
def queue(name: Queue) -> Huey:
    """The Huey instance of a queue: in Redis where REDIS_URL is set, in PostgreSQL otherwise."""
    common = {"results": False, "store_none": False, "utc": True, "serializer": JsonSerializer()}
    if settings().redis_url:
        return PriorityRedisHuey(name, url=settings().redis_url, **common)
    # The tables are the owner's to create: see `create_tables`.
    connection = {"connection": lambda: PatientConnection.open(db.dsn())}
    return PostgresHuey(name, create_tables=False, **connection, **common)


def create_tables() -> None:
    """Create the queue's tables, as the role that owns the others."""
    if not settings().redis_url:
        PostgresHuey("tables", dsn=db.owner_dsn()).storage.close()


@lru_cache
def bell(name: Queue) -> Any:
    """The one task of a queue: calling it with a call's id rings."""
    from appliance.tasks import pipeline

    def advance(_call_id: str) -> None:
        pipeline.advance(name)

    return queue(name).task(name="advance")(advance)


def ring_for_backlog(bells: int) -> None:
    """Wake so many analysis workers: calls are to be analysed anew. Bells that still lie there are enough."""
    try:
        for _ in range(bells - queue("analysis").pending_count()):
            bell("analysis")("")
    except (psycopg.Error, RedisError, OSError) as error:
        log.warning("bell_not_rung", queue="analysis", error=type(error).__name__)


def ring(call_id: UUID, name: Queue) -> None:
    """Tell the workers of a queue that a call may be moved on.

    A bell that cannot be rung is no failure: the row is committed, and housekeeping rings for it.
    """
    try:
        bell(name)(str(call_id))
    except (psycopg.Error, RedisError, OSError) as error:
        log.warning("bell_not_rung", call_id=str(call_id), queue=name, error=type(error).__name__)
