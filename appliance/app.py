"""Builds the HTTP process."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance import __version__, logs, metrics
from appliance.api import (
    audit,
    auth,
    calls,
    dashboard,
    documentation,
    downloads,
    errors,
    health,
    ingest,
    language_models,
    monitoring,
    reanalysis,
    recordings,
    search,
    stream,
    users,
    vocabulary,
)
from appliance.api.admission import Admission
from appliance.api.limits import BodyLimit
from appliance.config import settings
from appliance.services import admission, avatars

log = logs.get(__name__)

DESCRIPTION = """Calls of a car dealership: recordings in, transcripts by speaker and analyses out.

Log in at `/api/auth/login`, then press *Authorize* and paste the token. Errors are `application/problem+json` with a
stable `code`; their `detail` is Russian, or English by `Accept-Language: en`."""


METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""Others are a caller's invention, and would each become a time series."""


ALWAYS_SENT = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),  # signed links are nobody else's business
    (b"x-frame-options", b"DENY"),  # for browsers that do not know the policy's frame-ancestors
)

NOTHING = b"default-src 'none'; frame-ancestors 'none'"
"""Answers are data: a browser that is made to show one may load nothing for it."""

OWN_ASSETS = (
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
"""/docs runs a script that stands in the page, and asks the API."""

NOT_KEPT = (b"cache-control", b"no-store")
"""Answers are about people: what an answer does not say itself, no browser or proxy may leave on a disk."""

HTTPS_ONLY = (b"strict-transport-security", b"max-age=31536000")


def security_headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """What browsers are told with every answer."""
    policy = OWN_ASSETS if scope["path"].startswith("/docs") else NOTHING
    headers = [*ALWAYS_SENT, (b"content-security-policy", policy)]
    return [*headers, HTTPS_ONLY] if scope["scheme"] == "https" else headers


def _may_be_kept(scope: Scope, headers: list[tuple[bytes, bytes]]) -> bool:
    """The documentation holds nothing of anybody; other answers may say themselves how long they last."""
    return scope["path"].startswith(("/docs", "/openapi.json", "/static-offline-docs")) or any(
        name.lower() == NOT_KEPT[0] for name, _ in headers
    )


class RequestLog:
    """One line per request: id, user, route, status, milliseconds. Never the query: it may hold a token or a number."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, request_id = time.monotonic(), 500, uuid4().hex
        scope.setdefault("state", {})
        told = security_headers(scope)

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], *told, (b"x-request-id", request_id.encode())]
                message["headers"] = headers if _may_be_kept(scope, headers) else [*headers, NOT_KEPT]
            await send(message)

        with logs.bind(request_id=request_id):
            try:
                await self.app(scope, receive, watched)
            finally:
                elapsed_s, route = time.monotonic() - began, getattr(scope.get("route"), "path", None)
                method = scope["method"] if scope["method"] in METHODS else "other"
                metrics.REQUESTS.labels(method, route or "unknown", str(status)).inc()
                metrics.REQUEST_TIME.labels(route or "unknown").observe(elapsed_s)
                log.info(
                    "request",
                    method=method,
                    route=route,
                    status=status,
                    ms=round(elapsed_s * 1000, 1),
                    user_id=scope["state"].get("user_id"),
                )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    spool = settings().data_dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(spool)  # uploads are spooled beside the data, not into a small /tmp
    app.state.stream = stream.Stream()
    tasks = [asyncio.create_task(work) for work in (app.state.stream.follow(), app.state.stream.attend())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def build() -> FastAPI:
    """The application."""
    app = FastAPIOffline(
        title="Call Analytics AI", version=__version__, description=DESCRIPTION, lifespan=lifespan, redoc_url=None
    )
    for part in (
        *(auth, users, calls, search, dashboard, audit, recordings, downloads, health, monitoring),
        *(language_models, reanalysis, vocabulary, stream, ingest),
    ):
        app.include_router(part.router)
    errors.install(app)
    documentation.install(app)
    app.add_middleware(
        BodyLimit,
        uploads=(
            (re.compile(r"/api/calls"), settings().upload_max_bytes),
            (re.compile(r"/api/users/[^/]+/avatar"), avatars.LARGEST_BYTES),
        ),
        check_disk=admission.check_disk,
    )
    app.add_middleware(Admission, path=re.compile(r"/api/calls"))
    app.add_middleware(errors.Crashes)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings().cors_origins,
        allow_credentials=True,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["Content-Range", "X-Request-ID", "Retry-After"],
    )
    app.add_middleware(RequestLog)
    return app
