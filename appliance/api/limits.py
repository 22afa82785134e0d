"""How much of a request body is read: the limit holds while it arrives, not after."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.api import errors
from appliance.services.failures import UploadTooLarge

FORM_FIELDS_BYTES = 64 * 1024
"""What a form may weigh besides its recording."""

JSON_BYTES = 1024 * 1024
"""The largest body of any other request."""


class BodyLimit:
    """Answers 413 as soon as more arrives than the route takes, and stops reading."""

    def __init__(self, app: ASGIApp, uploads: Sequence[tuple[re.Pattern[str], int]]) -> None:
        """`uploads`: paths that take a file, with the most bytes that it may have."""
        self.app = app
        self.uploads = uploads

    def _file_bytes(self, scope: Scope) -> int | None:
        """What a file sent there may weigh; None where the route takes none."""
        if scope["method"] not in {"POST", "PUT"}:
            return None
        return next((size for path, size in self.uploads if path.fullmatch(scope["path"])), None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        file_bytes = self._file_bytes(scope)
        limit = JSON_BYTES if file_bytes is None else file_bytes + FORM_FIELDS_BYTES
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        refusal = UploadTooLarge(megabytes=(file_bytes or JSON_BYTES) // 2**20, headers={"Connection": "close"})
        if declared.isdigit() and int(declared) > limit:
            await errors.problem(Request(scope), refusal)(scope, receive, send)
            return
        seen, started = 0, False

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise refusal
            return message

        async def guarded(message: Message) -> None:
            """Whatever the application makes of a body that was cut off, the answer is the refusal."""
            nonlocal started
            if seen <= limit:
                started = started or message["type"] == "http.response.start"
                await send(message)

        try:
            await self.app(scope, limited, guarded)
        except UploadTooLarge:
            if seen <= limit:
                raise
        if seen > limit and not started:
            await errors.problem(Request(scope), refusal)(scope, receive, send)
