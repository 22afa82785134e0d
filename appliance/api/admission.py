"""Who may send a file at all, and whether there is room for it: asked before a byte of it is read."""

from __future__ import annotations

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from appliance.api import errors
from appliance.services import admission, failures, sessions


class Admission:
    """Refuses uploads of strangers (401), onto a full disk (507), into a full queue or a store that is away (503)."""

    def __init__(self, app: ASGIApp, path: re.Pattern[str]) -> None:
        self.app = app
        self.path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not self.path.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        declared = headers.get(b"content-length", b"")
        length = int(declared) if declared.isdigit() and len(declared) < 16 else 0
        try:
            await run_in_threadpool(_admit, headers.get(b"authorization", b"").decode("latin-1"), length)
        except Exception as error:  # noqa: BLE001 - answered in the one format, as in a handler
            # A body of a known length is read and dropped, so that the client gets to the answer; an endless one not.
            refused = errors.problem(Request(scope), errors.known_of(error))
            if not length:
                refused.headers["Connection"] = "close"
            await refused(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _admit(authorization: str, length: int) -> None:
    """Raises NotAuthenticated, PasswordChangeRequired, QueueFull, DiskFull, ObjectStoreUnavailable."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise failures.NotAuthenticated
    sessions.authenticate(token.strip())
    # Twice: it is spooled first and stored then, both perhaps on the same disk.
    admission.check_disk(2 * length)
    admission.check_queue()
    admission.check_store()
