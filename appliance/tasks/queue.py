"""The queue: a doorbell by Huey. It carries call ids; what is to be done with them stands in the pipeline rows."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from uuid import UUID

from huey import Huey, PostgresHuey, PriorityRedisHuey
from huey.registry import Message
from huey.serializer import Serializer

from appliance.config import settings
from appliance.pipeline.stage import Queue
from appliance.store import db


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
    return PostgresHuey(name, dsn=db.dsn(), **common)


@lru_cache
def bell(name: Queue) -> Any:
    """The one task of a queue: calling it with a call's id rings."""
    from appliance.tasks import pipeline

    def advance(call_id: str) -> None:
        pipeline.advance(UUID(call_id), name)

    return queue(name).task(name="advance")(advance)


def ring(call_id: UUID, name: Queue) -> None:
    """Tell the workers of a queue that a call may be moved on."""
    bell(name)(str(call_id))
