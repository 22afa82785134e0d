"""What handlers are given: the viewer, the frontend's idea of our address, the language of texts."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from appliance.api import errors
from appliance.config import settings
from appliance.services import failures, sessions
from appliance.store.visibility import Viewer

bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="The token that /api/auth/login answers")


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def get_viewer(request: Request, credentials: Credentials) -> Viewer:
    """Whoever the bearer token names. Raises NotAuthenticated, PasswordChangeRequired."""
    return _viewer(request, credentials, to_change_password=False)


def get_newcomer(request: Request, credentials: Credentials) -> Viewer:
    """The same, also one who has to change the password first."""
    return _viewer(request, credentials, to_change_password=True)


def _viewer(request: Request, credentials: HTTPAuthorizationCredentials | None, *, to_change_password: bool) -> Viewer:
    if credentials is None:
        raise failures.NotAuthenticated
    viewer = sessions.authenticate(credentials.credentials, to_change_password=to_change_password)
    request.state.user_id = str(viewer.id)
    return viewer


def base_url_of(request: Request) -> str:
    """How the frontend reached us: PUBLIC_URL where it is set."""
    return (settings().public_url or str(request.base_url)).rstrip("/")


# A coroutine that waits for nothing: a plain function would be sent to another thread and back.
async def get_base_url(request: Request) -> str:
    return base_url_of(request)


def origin_allowed(connection: HTTPConnection) -> bool:
    """A browser's page must come from this host or from CORS_ORIGINS; other programs send no origin."""
    origin = connection.headers.get("origin")
    own = connection.headers.get("host")
    return origin is None or origin in settings().cors_origins or origin.split("//")[-1] == own


async def get_language(request: Request) -> str:
    return errors.language_of(request)


ViewerDep = Annotated[Viewer, Depends(get_viewer)]
NewcomerDep = Annotated[Viewer, Depends(get_newcomer)]
BaseUrl = Annotated[str, Depends(get_base_url)]
Language = Annotated[str, Depends(get_language)]
