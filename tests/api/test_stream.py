"""The WebSocket: the three events in the guide's shapes, progress, visibility, resuming, dead tokens."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.exc import OperationalError
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from appliance.api import stream
from appliance.models import RevokedToken
from appliance.services import sessions
from appliance.store import db, events
from appliance.store.visibility import Viewer
from tests.conftest import SAMPLES, Running, processed, upload, wait_until


def token_of(http: Any) -> str:
    return str(http.headers["Authorization"]).removeprefix("Bearer ")


@contextmanager
def listening(running: Running, token: str, query: str = "") -> Iterator[ClientConnection]:
    address = f"ws://127.0.0.1:{running.port}/ws/calls{query}"
    with connect(address, subprotocols=["bearer", token]) as socket:  # type: ignore[list-item]
        yield socket


def events_until(socket: ClientConnection, call_id: str, last: str, within_s: float = 120) -> list[dict[str, Any]]:
    """Events of one call until one of type `last`."""
    found = []
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        event = json.loads(socket.recv(timeout=within_s))
        data = event["data"]
        if call_id in {data.get("call_id"), data.get("call", {}).get("id")}:
            found.append(event)
            if event["type"] == last:
                return found
    raise AssertionError(f"no {last} within {within_s} s")


def test_a_call_is_followed_from_its_creation_to_its_result(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    with listening(running, token_of(http)) as socket:
        call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
        found = events_until(socket, call_id, "call_processed")
    created, done = found[0], found[-1]
    assert created["type"] == "call_created"
    assert set(created) == {"type", "data"}
    assert set(created["data"]) == {"call"}
    call = created["data"]["call"]
    assert (call["id"], call["type"], call["managerName"]) == (call_id, "incoming", "Анна Смирнова")
    assert done == {"type": "call_processed", "data": {"call_id": call_id, "status": "completed", "has_analysis": True}}
    progress = [event["data"] for event in found if event["type"] == "call_processing_progress"]
    stages = list(dict.fromkeys(step["stage"] for step in progress))
    assert stages == ["decode", "transcribe", "diarize", "assign roles", "analyse", "publish"]
    assert all(0 <= step["progress"] <= 1 for step in progress)


def test_others_calls_are_not_told(running: Running, people: dict[str, str]) -> None:
    admin, anna, boris = (running.client(people[name]) for name in ("admin", "anna", "boris"))
    with listening(running, token_of(boris)) as foreign, listening(running, token_of(anna)) as own:
        hers = upload(admin, SAMPLES / "ru-wrong-number.wav", managerName="Анна Смирнова").json()["id"]
        his = upload(admin, SAMPLES / "ru-wrong-number.wav", managerName="Борис Иванов").json()["id"]
        events_until(own, hers, "call_processed")
        seen = events_until(foreign, his, "call_processed")
        assert not [event for event in seen if hers in json.dumps(event)]


def test_what_was_missed_is_replayed(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    with listening(running, token_of(http), "?last_event_id=0") as socket:
        upload(http, SAMPLES / "ru-wrong-number.wav")
        last = next(event["id"] for _ in range(10_000) if "id" in (event := json.loads(socket.recv(timeout=60))))
    call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    processed(http, call_id)
    with listening(running, token_of(http), f"?last_event_id={last}") as socket:
        found = events_until(socket, call_id, "call_processed")
    ids = [event["id"] for event in found if "id" in event]
    assert ids == sorted(set(ids))
    assert ids[0] > last
    assert [event["type"] for event in found if "id" in event] == ["call_created", "call_processed"]


def test_what_others_missed_is_replayed_to_them_alone(running: Running, people: dict[str, str]) -> None:
    admin, boris = running.client(people["admin"]), running.client(people["boris"])
    with listening(running, token_of(admin), "?last_event_id=0") as socket:
        upload(admin, SAMPLES / "ru-wrong-number.wav")
        last = next(event["id"] for _ in range(10_000) if "id" in (event := json.loads(socket.recv(timeout=60))))
    calls = {
        name: upload(admin, SAMPLES / "ru-wrong-number.wav", managerName=name).json()["id"]
        for name in ("Анна Смирнова", "Борис Иванов")
    }
    for call_id in calls.values():
        processed(admin, call_id)
    hers, his = calls.values()
    for http, sees in ((admin, True), (boris, False)):
        with listening(running, token_of(http), f"?last_event_id={last}") as socket:
            told = everything_until(socket, his, "call_processed")
        assert (hers in told) is sees


def everything_until(socket: ClientConnection, call_id: str, last: str) -> str:
    """All that is told, of whatever call, until this call's event of type `last`."""
    told = ""
    for _ in range(10_000):
        said = str(socket.recv(timeout=60))
        told += said
        if call_id in said and json.loads(said)["type"] == last:
            return told
    raise AssertionError(f"no {last}")


def test_the_token_may_come_in_the_address(running: Running, people: dict[str, str]) -> None:
    token = token_of(running.client(people["admin"]))
    with connect(f"ws://127.0.0.1:{running.port}/ws/calls?token={token}") as socket:
        socket.ping().wait(5)
    assert token not in running.log("api")


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_strangers_are_closed_with_4401(running: Running, token: str) -> None:
    with (
        connect(f"ws://127.0.0.1:{running.port}/ws/calls?token={token}") as socket,
        pytest.raises(ConnectionClosed) as caught,
    ):
        socket.recv(timeout=10)
    assert caught.value.rcvd
    assert caught.value.rcvd.code == 4401


def test_a_foreign_page_is_refused(running: Running, people: dict[str, str]) -> None:
    token = token_of(running.client(people["admin"]))
    address = f"ws://127.0.0.1:{running.port}/ws/calls?token={token}"
    with connect(address, origin="https://evil.example") as socket, pytest.raises(ConnectionClosed) as caught:  # type: ignore[arg-type]
        socket.recv(timeout=10)
    assert caught.value.rcvd
    assert caught.value.rcvd.code == 4401


def test_logging_out_closes_the_socket_at_once(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    with listening(running, token_of(http)) as socket:
        socket.ping().wait(5)
        http.post("/api/auth/logout")
        with pytest.raises(ConnectionClosed) as caught:
            events_until(socket, "nothing more", "nothing", 5)
    assert caught.value.rcvd
    assert caught.value.rcvd.code == 4401


def test_who_does_not_read_is_dropped_and_holds_nobody_up(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    processed(http, call_id)
    payload = json.dumps({"call_id": call_id, "stage": "x" * 7000, "progress": 0.5})
    dropped = '"code": 4408'
    before = running.log("api").count(dropped)
    with raw_socket(running, token_of(http)), listening(running, token_of(http)) as reader:
        reader.ping().wait(5)
        seen, sent = 0, 4000
        with db.connect() as connection:
            for number in range(sent):
                connection.execute("SELECT pg_notify(%s, %s)", [events.PROGRESS_CHANNEL, payload])
                if number % 100 == 99:
                    while seen < number - 50:
                        seen += json.loads(reader.recv(timeout=30))["type"] == "call_processing_progress"
        wait_until(lambda: running.log("api").count(dropped) > before, 30, "the silent client to be dropped")
        while seen < sent:
            seen += json.loads(reader.recv(timeout=30))["type"] == "call_processing_progress"


@contextmanager
def raw_socket(running: Running, token: str) -> Iterator[socket.socket]:
    """A client that shakes hands and never reads again."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with plain:
        plain.connect(("127.0.0.1", running.port))
        plain.sendall(
            f"GET /ws/calls?token={token} HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        assert b" 101 " in plain.recv(64)
        yield plain


def attended(client: stream.Client, seconds: float) -> stream.Client:
    """A client that a process has looked after for so long."""

    async def attend() -> None:
        here = stream.Stream()
        here.clients.add(client)
        task = asyncio.create_task(here.attend())
        await asyncio.sleep(seconds)
        task.cancel()

    asyncio.run(attend())
    return client


NOBODY = Viewer(uuid4(), "", "manager", uuid4())


def test_who_has_heard_nothing_for_long_is_pinged_once() -> None:
    """And not again until it was sent: a client that hangs is not fed."""
    silent, recent = stream.Client(NOBODY, "", ""), stream.Client(NOBODY, "", "")
    silent.told_at -= stream.HEARTBEAT_S
    for client in (silent, recent):
        client.check_at = float("inf")
        attended(client, 2.5)
    assert [client.queue.qsize() for client in (silent, recent)] == [1, 0]
    assert silent.queue.get_nowait() is None


def test_a_client_whose_token_has_died_is_closed(running: Running, people: dict[str, str]) -> None:
    """Also where nobody told of it; who is let in is known by the role of today."""
    dead, alive = (token_of(running.client(people["admin"])) for _ in range(2))
    family = sessions.authenticate(dead).session
    with db.unit_of_work() as session:
        session.add(RevokedToken(family=family, expires_at=datetime.now(UTC) + timedelta(hours=1)))
    tokens = {"dead": dead, "alive": alive, "no token": "x"}
    clients = {name: stream.Client(NOBODY, "", token, check_at=0) for name, token in tokens.items()}
    for client in clients.values():
        attended(client, 2)
    assert {name for name, client in clients.items() if client.closing} == {"dead", "no token"}
    assert clients["dead"].closing == (stream.UNAUTHORIZED, "session ended")
    assert clients["alive"].viewer == sessions.authenticate(alive)
    assert clients["alive"].check_at > time.monotonic()


def test_clients_are_looked_after_whatever_went_wrong_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def living(tokens: set[str]) -> dict[str, Viewer]:
        asked.append(len(tokens))
        if len(asked) == 1:
            raise ValueError("nobody thought of this")
        return {}

    monkeypatch.setattr(sessions, "living", living)
    here, client = stream.Stream(), stream.Client(NOBODY, "", "x", check_at=0)
    here.clients.add(client)

    async def attend() -> None:
        task = asyncio.create_task(here.attend())
        await asyncio.wait_for(client.wake.wait(), 60)
        task.cancel()

    asyncio.run(attend())
    assert len(asked) == 2
    assert client.closing == (stream.UNAUTHORIZED, "session ended")


def test_events_are_listened_for_whatever_went_wrong_once(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a database that went away between two questions, which is told by another name than a lost connection."""
    newest, asked = stream.newest_event, []

    def stumbling() -> int:
        asked.append(running.url)
        if len(asked) == 1:
            raise OperationalError("SELECT", {}, Exception())
        return newest()

    monkeypatch.setattr(stream, "newest_event", stumbling)

    async def follow() -> None:
        here = stream.Stream()
        task = asyncio.create_task(here.follow())
        await asyncio.wait_for(here.listening.wait(), 60)
        task.cancel()

    asyncio.run(follow())
    assert len(asked) == 2


def test_many_tokens_are_looked_at_as_each_by_itself(running: Running, people: dict[str, str]) -> None:
    tokens = [token_of(running.client(people[name])) for name in ("admin", "anna", "analyst")]
    assert sessions.living([*tokens, "x"]) == {token: sessions.authenticate(token) for token in tokens}
    assert sessions.living([]) == {}
