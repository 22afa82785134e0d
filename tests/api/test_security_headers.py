"""What browsers are told, and what they cannot be made to do."""

from __future__ import annotations

import httpx
import pytest
from starlette.testclient import TestClient

from appliance.app import build, security_headers
from appliance.config import settings
from tests.conftest import PASSWORD, SAMPLES, Running, upload


def test_answers_may_load_nothing_and_stand_in_no_frame(running: Running) -> None:
    told = httpx.get(running.url + "/api/health").headers
    assert told["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert (told["x-content-type-options"], told["x-frame-options"]) == ("nosniff", "DENY")
    assert told["referrer-policy"] == "no-referrer"
    assert "strict-transport-security" not in told


def test_the_documentation_loads_its_own_assets_alone(running: Running) -> None:
    page = httpx.get(running.url + "/docs")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "http" not in policy.replace("'unsafe-inline'", "")
    assert "//cdn" not in page.text


def test_https_stays_https() -> None:
    headers = dict(security_headers({"type": "http", "scheme": "https", "path": "/api/health"}))
    assert int(headers[b"strict-transport-security"].split(b"=")[1]) >= 31_536_000


def test_no_answer_about_people_is_kept_by_a_browser(running: Running, people: dict[str, str]) -> None:
    """Not even a recording: whoever shares the computer would find it on the disk when the link is long dead."""
    http = running.client(people["anna"])
    call_id = upload(http, SAMPLES / "ru-wrong-number.wav").json()["id"]
    link = http.get(f"/api/calls/{call_id}").json()["recordingUrl"]
    file = http.post("/api/calls/export", json={"format": "csv", "calls": [call_id]}).json()["download_url"]
    told = [httpx.get(link), httpx.get(link, headers={"Range": "bytes=0-9"}), httpx.get(file), httpx.get(link[:-1])]
    told += [http.get(path) for path in ("/api/calls", f"/api/calls/{call_id}", "/api/auth/me", "/api/search?q=x")]
    told += [http.get("/api/dashboard/stats"), http.get(f"/api/calls/{call_id}/ai-analysis"), http.get("/api/nowhere")]
    assert {answer.headers["Cache-Control"] for answer in told} == {"no-store"}
    assert [answer.status_code for answer in told[:4]] == [200, 206, 200, 403]
    assert "Cache-Control" not in httpx.get(running.url + "/docs").headers


def test_a_crash_is_answered_in_the_one_form_and_with_the_same_headers(running: Running) -> None:
    app = build()

    @app.get("/api/crash")
    def crash() -> None:
        raise RuntimeError("+79161234567")

    answer = TestClient(app, raise_server_exceptions=False).get("/api/crash", headers={"Accept-Language": "en"})
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["code"] == "internal_error"
    assert "7916" not in answer.text
    usual = httpx.get(running.url + "/api/nowhere").headers
    assert not [name for name in usual if name not in answer.headers and name not in {"date", "server", "allow"}]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("origin", "status"), [(None, 200), ("own", 200), ("http://evil.example", 401), ("null", 401)])
def test_a_foreign_page_cannot_use_the_refresh_cookie(
    running: Running, people: dict[str, str], origin: str | None, status: int
) -> None:
    with httpx.Client(base_url=running.url) as browser:
        browser.post("/api/auth/login", json={"email": people["boris"], "password": PASSWORD}).raise_for_status()
        headers = {} if origin is None else {"Origin": running.url if origin == "own" else origin}
        assert browser.post("/api/auth/refresh", json={}, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ("https://frontend.example", "https://frontend.example"),
        ("https://frontend.example.evil.example", None),
        ("http://frontend.example", None),
        ("null", None),
    ],
)
def test_pages_are_let_in_by_name(
    running: Running, monkeypatch: pytest.MonkeyPatch, origin: str, told: str | None
) -> None:
    """Where none is named, none is: no origin is given back because it asked."""
    wanted = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
    for closed in (httpx.options(running.url + "/api/calls", headers=wanted), httpx.get(running.url + "/api/health")):
        assert "access-control-allow-origin" not in closed.headers
    with monkeypatch.context() as patch:
        patch.setenv("CORS_ORIGINS", "https://frontend.example")
        settings.cache_clear()
        browser = TestClient(build())
    settings.cache_clear()
    answer = browser.options("/api/calls", headers=wanted)
    assert answer.headers.get("access-control-allow-origin") == told
    assert (answer.status_code == 200) == (told is not None)
