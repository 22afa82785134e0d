"""/api/auth: log in, refresh, log out."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Cookie, Request, Response

from appliance.api.deps import BaseUrl, Language, NewcomerDep, ViewerDep, base_url_of, origin_allowed
from appliance.api.schemas import LoginIn, LoginOut, Message, PasswordIn, SessionList, UserOut
from appliance.services import failures, sessions, users

router = APIRouter(prefix="/api/auth", tags=["auth"])

COOKIE = "refresh_token"
SECURE_COOKIE = "__Host-refresh_token"
"""Over HTTPS: browsers take a cookie of this name from this very host alone, with Secure and for every path. Another
host of the same domain cannot plant one."""

CHANGED = {"ru": "Пароль изменён", "en": "The password was changed"}


def _answer(logged_in: sessions.LoggedIn, request: Request, response: Response) -> LoginOut:
    secure = request.url.scheme == "https"
    response.set_cookie(
        SECURE_COOKIE if secure else COOKIE,
        logged_in.refresh_token,
        max_age=int(sessions.REFRESH_LIFE.total_seconds()),
        path="/" if secure else "/api/auth",
        httponly=True,
        samesite="strict",
        secure=secure,
    )
    return LoginOut(
        user=UserOut.of(logged_in.user, base_url_of(request)),
        token=logged_in.token,
        expires_in=logged_in.expires_in,
        refresh_token=logged_in.refresh_token,
    )


@router.post("/login", response_model_exclude_none=True)
def login(credentials: LoginIn, request: Request, response: Response) -> LoginOut:
    """Begin a session: a token for an hour and a refresh token."""
    address = request.client.host if request.client else ""
    before = request.cookies.get(SECURE_COOKIE if request.url.scheme == "https" else COOKIE, "")
    if not origin_allowed(request):  # a foreign page ends nobody's session
        before = ""
    logged_in = sessions.log_in(credentials.email, credentials.password, address, instead_of=before)
    return _answer(logged_in, request, response)


@router.post("/refresh", response_model_exclude_none=True)
def refresh(
    request: Request,
    response: Response,
    refresh_token: Annotated[str | None, Body(embed=True)] = None,
    cookie: Annotated[str | None, Cookie(alias=COOKIE, description="Over HTTP")] = None,
    secure_cookie: Annotated[str | None, Cookie(alias=SECURE_COOKIE, description="Over HTTPS")] = None,
) -> LoginOut:
    """Exchange the refresh token, from the body or the cookie, for new tokens. Each can be used once."""
    # A browser sends the cookie by itself, whatever page asks it to.
    kept = secure_cookie if request.url.scheme == "https" else cookie
    presented = refresh_token or (kept if origin_allowed(request) else None)
    if not presented:
        raise failures.NotAuthenticated
    return _answer(sessions.refresh(presented), request, response)


@router.get("/me", response_model_exclude_none=True)
def me(viewer: NewcomerDep, base_url: BaseUrl) -> UserOut:
    """Whoever is logged in."""
    return UserOut.of(users.find(viewer.id), base_url)


@router.post("/password")
def change_password(viewer: NewcomerDep, body: PasswordIn, language: Language) -> Message:
    """Change the own password; every other session of the user ends."""
    sessions.change_password(viewer, body.current_password, body.new_password)
    return Message(message=CHANGED[language])


@router.get("/sessions")
def list_sessions(viewer: ViewerDep) -> SessionList:
    """Where the viewer is logged in: every session that lives."""
    return SessionList.of(sessions.of_user(viewer.id, viewer.session))


@router.delete("/sessions/{session_id}", status_code=204)
def end_session(session_id: UUID, viewer: ViewerDep) -> None:
    """End one of the own sessions: its tokens are dead at once."""
    sessions.end_one(viewer, session_id)


@router.post("/logout")
def logout(viewer: NewcomerDep, request: Request, response: Response) -> Message:
    """End the session: its tokens are dead at once, in every process."""
    sessions.log_out(viewer)
    if request.url.scheme == "https":
        response.delete_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    else:
        response.delete_cookie(COOKIE, path="/api/auth", httponly=True, samesite="strict")
    return Message(message="Successfully logged out")
