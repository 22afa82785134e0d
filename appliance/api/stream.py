"""/ws/calls: what happens to calls, as it happens. The one asynchronous part.

One connection per process LISTENs; each event is read once and offered to every client that may see its call. A client
has a queue of bounded length: one that does not read is dropped, never waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from uuid import UUID

import psycopg
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from appliance import logs, metrics
from appliance.api.deps import origin_allowed
from appliance.api.schemas import CallBrief
from appliance.config import settings
from appliance.services import failures, links, sessions
from appliance.store import calls, db, events
from appliance.store.visibility import Viewer, sees

log = logs.get(__name__)
router = APIRouter()

QUEUE_LENGTH = 1000
HEARTBEAT_S = 25.0
"""A ping after so long without an event: proxies close connections that are silent for a minute."""

RECHECK_S = 10.0
"""How often a client's token is looked at again."""

CLOSING_S = 2.0
"""How long a client that is closed may take to say good-bye."""

UNAUTHORIZED = 4401
TRY_LATER = 1013
TOO_SLOW = 4408


@dataclass(frozen=True)
class Announcement:
    """An event as clients get it, and whose call it is. `event_id` is None for progress, which nobody replays."""

    event_id: int | None
    manager_id: UUID
    body: dict[str, Any]

    recording: str | None = None

    @cached_property
    def text(self) -> str:
        """The body as it is sent, written once for all clients."""
        return _written(self.body)

    def for_client(self, client: Client, *, numbered: bool) -> str:
        """The message: with a link of the client's own, by the address that it reached us at, and with its number."""
        number = {"id": self.event_id} if numbered and self.event_id is not None else {}
        if self.recording is None:
            return _written(number | self.body) if number else self.text
        link = client.base_url + links.sign("/api/" + self.recording, viewer_id=client.viewer.id)
        return _written(number | self.body | {"data": {"call": {**self.body["data"]["call"], "recordingUrl": link}}})


def _written(body: dict[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)


PING = _written({"type": "ping", "data": {}})


@dataclass(eq=False, slots=True)
class Client:
    viewer: Viewer
    base_url: str
    token: str
    queue: asyncio.Queue[Announcement | None] = field(default_factory=lambda: asyncio.Queue(QUEUE_LENGTH))
    """What it is to be told; None is a ping."""

    told_at: float = field(default_factory=time.monotonic)
    # A thousand that come at once are not to be checked at once.
    check_at: float = field(default_factory=lambda: time.monotonic() + random.uniform(0, RECHECK_S))  # noqa: S311
    closing: tuple[int, str] | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self, code: int, reason: str) -> None:
        """Have the connection closed, whatever it is waiting for."""
        self.closing = (code, reason)
        self.wake.set()

    def offer(self, announcement: Announcement) -> None:
        if sees(self.viewer, announcement.manager_id):
            try:
                self.queue.put_nowait(announcement)
            except asyncio.QueueFull:
                self.close(TOO_SLOW, "too slow")


class Stream:
    """The clients of this process and the task that listens for them."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.listening = asyncio.Event()

    async def follow(self) -> None:
        """Listen until cancelled. After the database was away, what was missed meanwhile is read and announced."""
        last_seen: int | None = None
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    db.dsn(), autocommit=True, connect_timeout=4
                ) as connection:
                    await connection.execute(f"LISTEN {events.CHANNEL}")
                    await connection.execute(f"LISTEN {events.PROGRESS_CHANNEL}")
                    await connection.execute(f"LISTEN {events.SESSION_CHANNEL}")
                    last_seen = await self._catch_up(last_seen)
                    self.listening.set()
                    async for notice in connection.notifies():
                        if notice.channel == events.CHANNEL:
                            last_seen = await self._catch_up(last_seen)
                        elif notice.channel == events.PROGRESS_CHANNEL:
                            await self._tell_progress(json.loads(notice.payload))
                        else:
                            self._end(UUID(notice.payload))
            except Exception as error:  # noqa: BLE001 - whatever it was: without this task nobody hears of anything
                self.listening.clear()
                log.warning("event_stream_interrupted", error=type(error).__name__)
            await asyncio.sleep(1)

    async def _catch_up(self, last_seen: int | None) -> int:
        if last_seen is None:
            return await run_in_threadpool(newest_event)
        for announcement in await run_in_threadpool(announcements_since, last_seen):
            last_seen = announcement.event_id or last_seen
            for client in list(self.clients):
                client.offer(announcement)
        return last_seen

    async def attend(self) -> None:
        """Once a second, until cancelled: ping who has heard nothing for long, look at tokens for which it is time.

        One task and one question for all of them: a thousand clients that each ask by themselves delay every event.
        """
        while True:
            await asyncio.sleep(1)
            try:
                await self._attend(time.monotonic())
            except Exception:  # without this task the dead are served for ever
                log.exception("event_stream_unattended")

    async def _attend(self, now: float) -> None:
        for client in self.clients:
            if now - client.told_at > HEARTBEAT_S and client.queue.empty():
                client.queue.put_nowait(None)
        if due := [client for client in self.clients if client.check_at <= now]:
            await self._check(due)

    async def _check(self, due: list[Client]) -> None:
        """Whether the tokens still live: they may have expired. Roles may have changed, too."""
        try:
            living = await run_in_threadpool(sessions.living, {client.token for client in due})
        except SQLAlchemyError:
            return  # the database is away: as long as it is, there is nothing to tell either
        for client in due:
            client.check_at = time.monotonic() + RECHECK_S
            if viewer := living.get(client.token):
                client.viewer = viewer
            else:
                client.close(UNAUTHORIZED, "session ended")

    def _end(self, session: UUID) -> None:
        for client in self.clients:
            if client.viewer.session == session:
                client.close(UNAUTHORIZED, "session ended")

    async def _tell_progress(self, progress: dict[str, Any]) -> None:
        if not self.clients:
            return
        manager_id = await run_in_threadpool(manager_of, UUID(progress["call_id"]))
        if manager_id is not None:
            announcement = Announcement(None, manager_id, {"type": "call_processing_progress", "data": progress})
            for client in list(self.clients):
                client.offer(announcement)


def newest_event() -> int:
    with db.unit_of_work() as session:
        return events.newest(session)


def manager_of(call_id: UUID) -> UUID | None:
    with db.unit_of_work() as session:
        return calls.manager_of(session, call_id)


def announcements_since(last_event_id: int) -> list[Announcement]:
    """Events after an id, those of deleted calls left out. A created call is shown as it is now."""
    made = []
    with db.unit_of_work() as session:
        for event in events.since(session, last_event_id):
            call = calls.summary(session, event.call_id)
            if call is None:
                continue
            data = event.data
            if event.type == "call_created":
                brief = CallBrief.brief(call, "", call.manager_id)
                data = {"call": brief.model_dump(mode="json", exclude_none=True)}
            recording = call.audio_key if event.type == "call_created" else None
            made.append(Announcement(event.id, call.manager_id, {"type": event.type, "data": data}, recording))
    return made


def token_of(websocket: WebSocket) -> tuple[str, str | None]:
    """The access token and the subprotocol to accept: from `?token=`, or from the subprotocols `bearer, <token>`."""
    offered = [part.strip() for part in websocket.headers.get("sec-websocket-protocol", "").split(",")]
    if len(offered) == 2 and offered[0] == "bearer":
        return offered[1], "bearer"
    return websocket.query_params.get("token", ""), None


@router.websocket("/ws/calls")
async def follow_calls(websocket: WebSocket) -> None:
    """Stream events to one client; `last_event_id` replays what came after it, and numbers every event with `id`."""
    token, subprotocol = token_of(websocket)
    try:
        viewer = await run_in_threadpool(sessions.authenticate, token)
    except (failures.NotAuthenticated, failures.PasswordChangeRequired):
        viewer = None
    except SQLAlchemyError:
        await websocket.accept(subprotocol=subprotocol)
        await websocket.close(TRY_LATER, "database unavailable")
        return
    if not origin_allowed(websocket):
        viewer = None
    await websocket.accept(subprotocol=subprotocol)
    if viewer is None:
        await websocket.close(UNAUTHORIZED, "not authenticated")
        return
    resume = websocket.query_params.get("last_event_id", "")
    last_event_id = int(resume) if resume.isdigit() and len(resume) < 19 else None
    stream: Stream = websocket.app.state.stream
    reached_at = settings().public_url or str(websocket.base_url).replace("ws", "http", 1)
    client = Client(viewer, reached_at.rstrip("/"), token)
    stream.clients.add(client)
    metrics.WEBSOCKET_CLIENTS.inc()
    log.info("websocket_opened", user_id=str(viewer.id))
    try:
        async with _reader(websocket) as gone:
            await _serve(websocket, client, last_event_id, gone)
    except (WebSocketDisconnect, RuntimeError):
        pass  # the client went away while we were writing
    finally:
        stream.clients.discard(client)
        metrics.WEBSOCKET_CLIENTS.dec()
        code, reason = client.closing or (1000, "client gone")
        log.info("websocket_closed", user_id=str(viewer.id), code=code, reason=reason)


@contextlib.asynccontextmanager
async def _reader(websocket: WebSocket) -> AsyncIterator[asyncio.Task[None]]:
    """Read and ignore what the client sends; the task ends when the client is gone."""

    async def read() -> None:
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    task = asyncio.create_task(read())
    try:
        yield task
    finally:
        task.cancel()


async def _replay(websocket: WebSocket, client: Client, last_event_id: int) -> int:
    while batch := await run_in_threadpool(announcements_since, last_event_id):
        for announcement in batch:
            last_event_id = announcement.event_id or last_event_id
            if sees(client.viewer, announcement.manager_id):
                await websocket.send_text(announcement.for_client(client, numbered=True))
    return last_event_id


async def _serve(websocket: WebSocket, client: Client, last_event_id: int | None, gone: asyncio.Task[None]) -> None:
    """Write events until the client is gone or is to be closed; a write that hangs is not waited for."""
    closing = asyncio.create_task(client.wake.wait())
    sending = asyncio.create_task(_send(websocket, client, last_event_id))
    try:
        await asyncio.wait({closing, sending, gone}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (closing, sending):
            task.cancel()
    if client.closing is not None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(websocket.close(*client.closing), CLOSING_S)


async def _send(websocket: WebSocket, client: Client, last_event_id: int | None) -> None:
    numbered = last_event_id is not None
    if last_event_id is not None:
        last_event_id = await _replay(websocket, client, last_event_id)
    while True:
        announcement = await client.queue.get()
        client.told_at = time.monotonic()
        if announcement is None:
            await websocket.send_text(PING)
            continue
        if announcement.event_id is not None and last_event_id is not None:
            if announcement.event_id <= last_event_id:
                continue  # already replayed
            last_event_id = announcement.event_id
        await websocket.send_text(announcement.for_client(client, numbered=numbered))
