"""Live events: from the commit to the last of a thousand clients."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from uuid import UUID

import psycopg
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.installation import Installation
from benchmarks.report import Line, limit, percentile

CLIENTS = 1000
EVENTS = 20
MOST_MS = 250


def measure(here: Installation) -> Iterator[Line]:
    token = here.client().headers["Authorization"].removeprefix("Bearer ")
    lasts = asyncio.run(_followed(here, token, here.a_call()))
    yield limit("push", f"commit to the last of {CLIENTS} clients, p99", "ms", [percentile(lasts, 0.99)], MOST_MS)


async def _followed(here: Installation, token: str, call_id: UUID) -> list[float]:
    address = here.url.replace("http", "ws") + f"/ws/calls?token={token}"
    clients = [await connect(address, ping_interval=None) for _ in range(CLIENTS)]
    lasts = []
    try:
        for _ in range(EVENTS):
            hearing = [asyncio.create_task(_hear(client)) for client in clients]
            await asyncio.sleep(0.05)
            committed = await asyncio.to_thread(_announce, here.dsn, call_id)
            heard = await asyncio.gather(*hearing)
            lasts.append((max(heard) - committed) * 1000)
    finally:
        await asyncio.gather(*(client.close() for client in clients))
    return lasts


async def _hear(client: ClientConnection) -> float:
    while json.loads(await client.recv())["type"] != "call_processed":
        pass
    return time.perf_counter()


def _announce(dsn: str, call_id: UUID) -> float:
    """Append an event as the appliance does; when it was committed."""
    data = json.dumps({"call_id": str(call_id), "status": "completed", "has_analysis": True})
    with psycopg.connect(dsn) as connection:
        made = connection.execute(
            "INSERT INTO events (type, call_id, data) VALUES ('call_processed', %s, %s) RETURNING id", [call_id, data]
        ).fetchone()
        connection.execute("SELECT pg_notify('appliance_events', %s)", [str(made[0]) if made else ""])
        return time.perf_counter()
