"""Log in, refresh, log out; what dies when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from sqlalchemy import delete, select, update

from appliance.config import settings
from appliance.models import LoginFailure, RefreshToken, User
from appliance.services import passwords, sessions
from appliance.services.failures import WrongCredentials
from appliance.store import db
from tests.conftest import PASSWORD, Running, wait_until


@pytest.fixture(autouse=True)
def forgiven() -> None:
    with db.unit_of_work() as session:
        session.execute(delete(LoginFailure))


def log_in(running: Running, email: str, password: str = PASSWORD) -> httpx.Response:
    return httpx.post(running.url + "/api/auth/login", json={"email": email, "password": password}, timeout=30)


def works(running: Running, token: str) -> bool:
    answer = httpx.post(running.url + "/api/calls", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code != 401


def test_the_answer_is_the_guides(running: Running, people: dict[str, str]) -> None:
    body = log_in(running, people["admin"]).json()
    assert set(body) == {"user", "token", "expires_in", "refresh_token"}
    assert set(body["user"]) == {"id", "name", "email", "role", "created_at", "updated_at"}
    assert (body["user"]["email"], body["user"]["role"], body["expires_in"]) == (people["admin"], "admin", 3600)


def test_the_case_of_the_email_does_not_matter(running: Running, people: dict[str, str]) -> None:
    assert log_in(running, people["admin"].upper()).status_code == 200


def test_unknown_and_wrong_give_the_same_answer(running: Running, people: dict[str, str]) -> None:
    wrong, unknown = log_in(running, people["admin"], "wrong password"), log_in(running, "nobody@test.example")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json() == unknown.json()
    assert wrong.json()["code"] == "wrong_credentials"


@pytest.mark.parametrize(
    "whose", ["nobody's", "a deactivated user's", "a manager's who never had a log-in", "an admin's"]
)
def test_a_wrong_password_costs_the_same_whoever_is_meant(
    running: Running, people: dict[str, str], monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """One hash is compared in each case: how long an answer takes does not tell who has an account."""
    email = f"{uuid4().hex}@test.example"
    with db.unit_of_work() as session:
        if whose == "a deactivated user's":
            session.add(User(name="Х", email=email, role="analyst", password_hash=sessions.NOBODY, is_active=False))
        elif whose == "a manager's who never had a log-in":
            session.add(User(name="Х", email=email, role="manager"))
        elif whose == "an admin's":
            email = people["admin"]
    compared: list[str] = []
    verify = passwords.HASHES.verify_and_update

    def noting(password: str, known: str) -> tuple[bool, str | None]:
        compared.append(known)
        return verify(password, known)

    monkeypatch.setattr(passwords.HASHES, "verify_and_update", noting)
    try:
        with pytest.raises(WrongCredentials):
            sessions.log_in(email, "wrong password", "192.0.2.1")
    finally:
        with db.unit_of_work() as session:
            session.execute(delete(User).where(User.email == email, User.name == "Х"))
    assert len(compared) == 1
    assert compared[0].split("$")[:4] == sessions.NOBODY.split("$")[:4]  # the same algorithm at the same price


def test_nobody_is_made_to_use_a_session_that_others_know(running: Running, people: dict[str, str]) -> None:
    """Session fixation: whatever token a browser brings along, a log-in begins a session of its own."""
    planted = log_in(running, people["boris"]).json()
    with httpx.Client(base_url=running.url, cookies={"refresh_token": planted["refresh_token"]}) as victim:
        victim.headers["Authorization"] = f"Bearer {planted['token']}"
        body = {"email": people["admin"], "password": PASSWORD}
        own = victim.post("/api/auth/login", json=body).json()
    sid = [jwt.decode(each["token"], options={"verify_signature": False})["sid"] for each in (planted, own)]
    assert sid[0] != sid[1]
    assert own["refresh_token"] != planted["refresh_token"]
    me = httpx.get(running.url + "/api/auth/me", headers={"Authorization": f"Bearer {planted['token']}"})
    assert me.status_code == 401  # what the browser brought ends


@pytest.mark.parametrize(("origin", "lives"), [("", False), ("https://elsewhere.example", True)])
def test_the_session_that_a_browser_had_ends_with_its_next_log_in(
    running: Running, people: dict[str, str], origin: str, *, lives: bool
) -> None:
    """Not where a foreign page has the browser log in: it would put people out."""
    with httpx.Client(base_url=running.url) as browser:
        tokens = []
        for headers in ({}, {"Origin": origin} if origin else {}):
            body = {"email": people["boris"], "password": PASSWORD}
            answer = browser.post("/api/auth/login", json=body, headers=headers)
            assert answer.status_code == 200, answer.text
            tokens.append(answer.json()["token"])
        for token, status in zip(tokens, (200 if lives else 401, 200), strict=True):
            answer = browser.get("/api/auth/me", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status


def test_guessing_has_to_wait(running: Running, people: dict[str, str]) -> None:
    answers = [log_in(running, "target@test.example", str(n)) for n in range(7)]
    assert [a.status_code for a in answers][:5] == [401] * 5
    locked = next(a for a in answers if a.status_code == 429)
    assert locked.json()["code"] == "too_many_attempts"
    assert int(locked.headers["Retry-After"]) >= 1


def test_logging_out_kills_the_token_at_once(running: Running, people: dict[str, str]) -> None:
    body = log_in(running, people["admin"]).json()
    assert works(running, body["token"])
    answer = httpx.post(running.url + "/api/auth/logout", json={}, headers={"Authorization": f"Bearer {body['token']}"})
    assert answer.json() == {"message": "Successfully logged out"}
    assert not works(running, body["token"])
    again = httpx.post(running.url + "/api/auth/refresh", json={"refresh_token": body["refresh_token"]})
    assert again.status_code == 401


def test_a_refresh_token_works_once_and_reuse_ends_the_session(running: Running, people: dict[str, str]) -> None:
    first = log_in(running, people["admin"]).json()
    refresh = running.url + "/api/auth/refresh"
    second = httpx.post(refresh, json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    assert works(running, second.json()["token"])
    stolen = httpx.post(refresh, json={"refresh_token": first["refresh_token"]})
    assert stolen.status_code == 401
    assert not works(running, second.json()["token"])
    assert httpx.post(refresh, json={"refresh_token": second.json()["refresh_token"]}).status_code == 401


def test_a_session_that_is_used_ends_all_the_same(running: Running, people: dict[str, str]) -> None:
    first = log_in(running, people["admin"]).json()
    family = UUID(jwt.decode(first["token"], options={"verify_signature": False})["sid"])
    began = datetime.now(UTC) - timedelta(days=settings().session_days) + timedelta(seconds=20)
    with db.unit_of_work() as session:
        session.execute(update(RefreshToken).where(RefreshToken.family == family).values(began_at=began))
    second = httpx.post(running.url + "/api/auth/refresh", json={"refresh_token": first["refresh_token"]})
    assert second.status_code == 200
    with db.unit_of_work() as session:
        newest = session.scalars(
            select(RefreshToken).where(RefreshToken.family == family, RefreshToken.used_at.is_(None))
        ).one()
        assert newest.expires_at - began == timedelta(days=settings().session_days)
        session.execute(update(RefreshToken).where(RefreshToken.family == family).values(expires_at=began))
    late = httpx.post(running.url + "/api/auth/refresh", json={"refresh_token": second.json()["refresh_token"]})
    assert late.status_code == 401


def test_the_refresh_cookie_serves_as_well(running: Running, people: dict[str, str]) -> None:
    answer = log_in(running, people["admin"])
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    with httpx.Client(base_url=running.url, cookies={"refresh_token": answer.json()["refresh_token"]}) as http:
        assert http.post("/api/auth/refresh").status_code == 200


def forged(secret: str | None = None, algorithm: str = "HS256", **claims: object) -> str:
    now = datetime.now(UTC)
    body = {
        "sub": "00000000-0000-0000-0000-000000000000",
        "sid": "00000000-0000-0000-0000-000000000000",
        "typ": "access",
        "iat": now,
        "exp": now + timedelta(hours=1),
        **claims,
    }
    return jwt.encode(body, secret or settings().jwt_secret.get_secret_value(), algorithm)


def test_forged_tokens_are_worth_nothing(running: Running, people: dict[str, str]) -> None:
    body = log_in(running, people["admin"]).json()
    good = jwt.decode(body["token"], options={"verify_signature": False})
    kept = {"sub": good["sub"], "sid": good["sid"]}
    assert works(running, forged(**kept))
    bad = [
        forged(**kept, exp=datetime.now(UTC) - timedelta(seconds=1)),
        forged(**kept, typ="refresh"),
        forged("another secret of at least 32 characters!", **kept),
        forged(algorithm="HS512", **kept),
        forged(**{**kept, "sub": "not a uuid"}),
        jwt.encode({**good}, None, "none"),
        body["token"][:-2],
    ]
    assert not [token for token in bad if works(running, token)]


def test_an_expired_token_needs_a_refresh(running: Running, people: dict[str, str]) -> None:
    good = jwt.decode(log_in(running, people["admin"]).json()["token"], options={"verify_signature": False})
    soon = datetime.now(UTC) + timedelta(seconds=10)
    token = forged(sub=good["sub"], sid=good["sid"], exp=soon)
    assert works(running, token)
    wait_until(lambda: not works(running, token), 30, "the token to expire")
    assert datetime.now(UTC) >= soon - timedelta(seconds=1)


@pytest.mark.parametrize(
    "body", [{}, {"email": "a@b.c"}, {"email": "", "password": "x"}, {"email": 1, "password": []}, "text"]
)
def test_a_wrong_body_is_named(running: Running, body: object) -> None:
    answer = httpx.post(running.url + "/api/auth/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed")
    assert answer.json()["errors"]
