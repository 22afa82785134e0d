"""Recordings that exchanges name: fetched from a real HTTPS server, each once, and from nowhere else."""

from __future__ import annotations

import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from uuid import uuid4

import pytest
from sqlalchemy import delete, func, select, update

from appliance.config import settings
from appliance.models import Arrival, AuditEntry, AwaitedRecording, Call, ToldCall, User
from appliance.services import erasure
from appliance.services.arrivals import guarded, recordings
from appliance.services.arrivals.exchanges import bitrix24, ending, mango, uis
from appliance.store import awaited, calls, db
from installer import certificate
from installer.site import Site
from tests.conftest import SAMPLES

HOST = "files.exchange.example"
SOUND = (SAMPLES / "ru-wrong-number.wav").read_bytes()
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Server:
    """Answers by path, on the loopback interface, under a name that only the tests' resolver knows."""

    port: int = 0
    answers: dict[str, Callable[[dict[str, list[str]]], Answer]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str) -> str:
        return f"https://{HOST}:{self.port}{path}"

    def sound(self, path: str, content: bytes = b"") -> str:
        """A recording unlike any other."""
        body = content or SOUND + uuid4().bytes
        self.answers[path] = lambda _: (200, {"Content-Type": "audio/wav"}, body)
        return self.url(path)


def handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.asked.append(f"{self.command} {self.path} {self.headers['Host']}")
            status, headers, content = server.answers[self.path](parse_qs(body.decode()))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - the standard library's name

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names lead to: a list of addresses, one for each time that somebody asks."""
    known = {HOST: ["127.0.0.1"] * 50}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **options: Any) -> Any:
        return real(known[host].pop(0) if host in known else host, port, *arguments, **options)

    monkeypatch.setattr(guarded.socket, "getaddrinfo", resolve)
    return known


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resolved: dict[str, list[str]]) -> Iterator[Server]:
    assert resolved
    certificate.make(tmp_path, HOST, [])
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    made = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    http.socket = context.wrap_socket(http.socket, server_side=True)
    made.port = http.server_address[1]
    threading.Thread(target=http.serve_forever, daemon=True).start()
    known = {
        "RECORDING_HOSTS": f"{HOST}:{made.port}",
        "RECORDING_PRIVATE_ADDRESSES": "true",
        "MANGO_API_URL": made.url("/vpbx/"),
        "MANGO_API_KEY": "key",
        "MANGO_API_SALT": "salt",
        "UIS_TOKEN": "token",
        "BITRIX24_TOKEN": "token",
        "BITRIX24_REST_URL": made.url("/rest/12/code"),
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield made
    http.shutdown()
    http.server_close()
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def call(site: Site, server: Server) -> Iterator[str]:
    """An id of a call; all that came of it is gone after the test."""
    assert site
    assert server
    made, at = uuid4().hex, str(100000 + uuid4().int % 900000)
    with db.unit_of_work() as session:
        before = set(session.scalars(select(Arrival.key)))
    yield f"{made}:{at}"
    with db.unit_of_work() as session:
        came = session.scalars(select(Arrival).where(Arrival.key.not_in(before))).all()
        calls.remove(session, [one.call_id for one in came])
        session.execute(delete(Arrival).where(Arrival.key.not_in(before)))
        session.execute(delete(AwaitedRecording))
        session.execute(delete(ToldCall))
        session.execute(delete(User).where(User.extension == at))


def summary(call: str) -> None:
    entry, at = call.split(":")
    told = {"entry_id": entry, "call_direction": 2, "from": {"extension": at}, "to": {"number": "79161234567"}}
    mango_event("events/summary", {**told, "create_time": 1704099600, "entry_result": 1})


def mango_event(name: str, event: dict[str, Any]) -> None:
    document = json.dumps(event)
    mango.receive(name, "key", document, mango.signed("key", document, "salt"))


def came(key: str) -> Call | None:
    with db.unit_of_work() as session:
        return session.scalar(select(Call).join(Arrival, Arrival.call_id == Call.id).where(Arrival.key == key))


def state(key: str) -> tuple[str, str | None, int] | None:
    with db.unit_of_work() as session:
        row = session.get(AwaitedRecording, key)
        return (row.state, row.error_code, row.attempts) if row else None


def come_due() -> None:
    with db.unit_of_work() as session:
        session.execute(update(AwaitedRecording).values(not_before=func.now()))


def test_a_recording_of_mango_becomes_a_call_of_its_manager(server: Server, call: str) -> None:
    """The recording may be told of before its call; it is asked for by a signed request that is redirected."""
    entry, at = call.split(":")
    key = f"mango:{entry}-rec"

    def redirect(form: dict[str, list[str]]) -> Answer:
        assert form["sign"] == [mango.signed("key", form["json"][0], "salt")]
        assert json.loads(form["json"][0]) == {"recording_id": f"{entry}-rec", "action": "download"}
        return 302, {"Location": server.url("/file/1")}, b""

    server.answers["/vpbx/queries/recording/post"] = redirect
    server.sound("/file/1")
    for _ in range(2):
        mango_event("events/record/added", {"entry_id": entry, "recording_id": f"{entry}-rec", "user_id": 1})
    assert not recordings.fetch_next()
    summary(call)
    assert recordings.fetch_next()
    assert not recordings.fetch_next()
    made = came(key)
    assert made is not None
    assert (made.type, made.phone, made.date) == ("outgoing", "+79161234567", datetime(2024, 1, 1, 9, tzinfo=UTC))
    with db.unit_of_work() as session:
        assert session.get_one(User, made.manager_id).extension == at
        asked = session.scalars(select(AuditEntry.details).where(AuditEntry.action == "recording_requested"))
        assert {"host": HOST} in list(asked)
    assert [line.split()[0] for line in server.asked] == ["POST", "GET"]
    assert server.asked[1].endswith(f"{HOST}:{server.port}")
    assert state(key) is None
    # What is named again, and what a process that died had taken in already, is asked for no more.
    mango_event("events/record/added", {"entry_id": entry, "recording_id": f"{entry}-rec", "user_id": 1})
    assert recordings.fetch_next()
    assert len(server.asked) == 2


def test_recordings_of_uis_and_bitrix24(server: Server, call: str) -> None:
    session_id, at = call.split(":")
    at_ = datetime(2024, 1, 1, 12, tzinfo=UTC)
    common = {"token": "token", "call_session_id": session_id, "notification_time": at_}
    ended = {"direction": "in", "contact_phone_number": "79161234567", "extension_phone_number": at}
    uis.receive(uis.Notification(event="ended", talk_time_duration=9, **common, **ended))
    for number in (1, 2):
        link = server.sound(f"/talk/{number}/?sign=a")
        server.answers[f"/talk/{number}/?sign=b"] = server.answers[f"/talk/{number}/?sign=a"]
        for again in (link, link.replace("=a", "=b")):
            uis.receive(uis.Notification(event="recorded", file_link=again, **common))
    server.sound("/disk/file")
    stored = {"result": [{"CALL_ID": session_id, "CALL_RECORD_URL": None, "RECORD_FILE_ID": 9079}]}
    file = {"result": {"ID": "9079", "DOWNLOAD_URL": server.url("/disk/file")}}
    told: list[dict[str, Any]] = [{"result": []}, stored, file]
    reply = lambda _: (200, {"Content-Type": "application/json"}, json.dumps(told.pop(0)).encode())  # noqa: E731
    server.answers["/rest/12/code/voximplant.statistic.get"] = reply
    server.answers["/rest/12/code/disk.file.get"] = reply
    end = {"event": "ONVOXIMPLANTCALLEND", "data[CALL_ID]": session_id, "data[CALL_TYPE]": "2"}
    end |= {"data[PHONE_NUMBER]": "79161234568", "data[CALL_START_DATE]": at_, "data[CALL_FAILED_CODE]": "200"}
    bitrix24.receive(bitrix24.CallEnd.model_validate({"auth[application_token]": "token", **end}))
    while recordings.fetch_next():
        pass
    assert state(f"bitrix24:{session_id}") == ("waiting", "no_recording_yet", 1)
    come_due()
    assert recordings.fetch_next()
    made = came(f"bitrix24:{session_id}")
    assert made is not None
    assert made.phone == "+79161234568"
    with db.unit_of_work() as session:
        keys = session.scalars(select(Arrival.key).where(Arrival.key.startswith(f"uis:{session_id}:"))).all()
    assert len(keys) == 2
    assert len([line for line in server.asked if "/talk/" in line]) == 2


def expect(call: str, url: str) -> str:
    """A recording of a call that was told of."""
    key = f"uis:{call}"
    with db.unit_of_work() as session:
        awaited.tell(session, ToldCall(key=key, type="incoming", phone="+79161234567", date=datetime.now(UTC)))
    ending.expect(key, key, "uis", url)
    return key


def test_what_is_away_is_tried_again_and_given_up_at_last(server: Server, call: str) -> None:
    key = expect(call, server.url("/later"))
    server.answers["/later"] = lambda _: (503, {}, b"")
    assert recordings.fetch_next()
    assert not recordings.fetch_next()
    assert state(key) == ("waiting", "http_503", 1)
    with db.unit_of_work() as session:
        session.execute(update(AwaitedRecording).values(attempts=recordings.ATTEMPTS - 1, not_before=func.now()))
    assert recordings.fetch_next()
    assert state(key) == ("failed", "http_503", recordings.ATTEMPTS)
    come_due()
    assert not recordings.fetch_next()


def test_a_claim_of_a_process_that_died_comes_due_again(server: Server, call: str) -> None:
    key = expect(call, server.sound("/file/2"))
    with db.unit_of_work() as session:
        assert awaited.claim(session, recordings.CLAIM_S)
    assert not recordings.fetch_next()
    come_due()
    assert recordings.fetch_next()
    assert came(key)


@pytest.mark.parametrize(
    ("content", "headers", "code"),
    [
        (b"no sound at all", {"Content-Type": "audio/wav"}, "unsupported_audio"),
        (b"x", {"Content-Type": "audio/wav", "Content-Length": str(2**40)}, "too_large"),
        (b"x", {"Content-Type": "audio/wav", "Content-Encoding": "gzip"}, "packed"),
        (b'{"result": 3300}', {"Content-Type": "application/json"}, "no_recording_yet"),
    ],
)
def test_what_is_no_recording_is_not_taken(
    server: Server, call: str, content: bytes, headers: dict[str, str], code: str
) -> None:
    key = expect(call, server.url("/odd"))
    server.answers["/odd"] = lambda _: (200, headers, content)
    assert recordings.fetch_next()
    found = state(key)
    assert found is not None
    assert found[1] == code
    assert found[0] == ("waiting" if code == "no_recording_yet" else "failed")


def test_reading_ends_at_the_limit_of_an_upload(server: Server, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPLOAD_MAX_BYTES", "4096")
    settings.cache_clear()
    key = expect(call, server.url("/long"))
    server.answers["/long"] = lambda _: (200, {"Transfer-Encoding": "chunked"}, b"ffff\r\n" + bytes(0xFFFF))
    assert recordings.fetch_next()
    assert state(key) == ("failed", "too_large", 1)


@pytest.mark.parametrize(
    "url",
    [
        "http://files.exchange.example/1",
        "https://elsewhere.example/1",
        "https://files.exchange.example.elsewhere.example/1",
        "https://files.exchange.example/1",  # another port than the one that is allowed
        "https://files.exchange.example@elsewhere.example/1",
        "https://user:x@files.exchange.example:{PORT}/1",
        "https://127.0.0.1:{PORT}/1",
        "https://[::1]:{PORT}/1",
        "file:///etc/passwd",
        "https://files.exchange.example:x/1",
    ],
)
def test_what_was_not_allowed_is_not_asked(server: Server, call: str, url: str) -> None:
    key = expect(call, url.replace("{PORT}", str(server.port)))
    assert recordings.fetch_next()
    found = state(key)
    assert found is not None
    assert found[0] == "failed"
    assert found[1] in {"address", "host_not_allowed"}
    assert server.asked == []


@pytest.mark.parametrize("target", ["https://elsewhere.example/1", "http://files.exchange.example:{PORT}/1"])
def test_a_redirect_is_held_to_the_same(server: Server, call: str, target: str) -> None:
    key = expect(call, server.url("/moved"))
    server.answers["/moved"] = lambda _: (302, {"Location": target.replace("{PORT}", str(server.port))}, b"")
    assert recordings.fetch_next()
    found = state(key)
    assert found is not None
    assert found[0] == "failed"
    assert len(server.asked) == 1


def test_a_redirect_that_goes_in_circles_ends(server: Server, call: str) -> None:
    key = expect(call, server.url("/circle"))
    server.answers["/circle"] = lambda _: (302, {"Location": "/circle"}, b"")
    assert recordings.fetch_next()
    assert state(key) == ("failed", "too_many_redirects", 1)


def test_a_name_that_leads_into_the_house_is_refused(
    server: Server, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECORDING_PRIVATE_ADDRESSES", "false")
    settings.cache_clear()
    key = expect(call, server.sound("/file/3"))
    assert recordings.fetch_next()
    assert state(key) == ("failed", "private_address", 1)
    assert server.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.1.2.3",
        "224.0.0.1",
        "0.0.0.0",
    ],
)
def test_addresses_inside_the_house_are_known(site: Site, address: str) -> None:
    assert site
    assert not guarded._may_be_asked(ipaddress.ip_address(address))
    assert guarded._may_be_asked(ipaddress.ip_address("81.88.80.132"))


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(
    server: Server, call: str, resolved: dict[str, list[str]]
) -> None:
    """A name that leads elsewhere a moment later does not lead the request there."""
    key = expect(call, server.sound("/file/4"))
    resolved[HOST] = ["127.0.0.1", "127.0.0.99"]
    assert recordings.fetch_next()
    assert came(key)
    assert resolved[HOST] == ["127.0.0.99"]


def test_a_server_without_the_names_certificate_is_not_believed(
    server: Server, call: str, resolved: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved["other.example"] = ["127.0.0.1"]
    monkeypatch.setenv("RECORDING_HOSTS", f"*.example:{server.port}")
    settings.cache_clear()
    key = expect(call, f"https://other.example:{server.port}/file/5")
    assert recordings.fetch_next()
    assert state(key) == ("waiting", "certificate", 1)
    assert server.asked == []


def test_without_hosts_nothing_is_kept(server: Server, call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDING_HOSTS", "")
    settings.cache_clear()
    summary(call)
    key = f"uis:{call}"
    ending.expect(key, key, "uis", server.url("/1"))
    with db.unit_of_work() as session:
        assert not session.scalars(select(ToldCall)).all()
        assert not session.scalars(select(AwaitedRecording)).all()


def test_erasing_a_number_takes_what_was_told_of_it(server: Server, call: str) -> None:
    number = f"+7916{uuid4().int % 10**7:07}"
    key = f"uis:{call}"
    with db.unit_of_work() as session:
        awaited.tell(session, ToldCall(key=key, type="incoming", phone=number, date=datetime.now(UTC)))
    ending.expect(key, key, "uis", server.url("/1"))
    assert erasure.erase(number).counts["calls_announced"] == 1
    assert state(key) is None


def test_what_nobody_asks_for_any_more_is_forgotten(server: Server, call: str) -> None:
    key = expect(call, server.url("/1"))
    ending.expect("uis:orphan", "uis:unknown", "uis", server.url("/2"))
    with db.unit_of_work() as session:
        old = func.now() - func.make_interval(0, 0, 0, 3)
        session.execute(update(AwaitedRecording).values(created_at=old))
        session.execute(update(ToldCall).values(created_at=old))
        assert awaited.forget(session, 2 * 86400, 30 * 86400) == 1
    assert state("uis:orphan") == ("failed", "call_not_told", 0)
    assert state(key) == ("waiting", None, 0)
    with db.unit_of_work() as session:
        assert session.get(ToldCall, key), "its recording may still come"
        session.execute(delete(AwaitedRecording))
        awaited.forget(session, 2 * 86400, 30 * 86400)
    with db.unit_of_work() as session:
        assert session.get(ToldCall, key) is None
