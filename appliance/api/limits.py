"""How much of a request body is read: the limit holds while it arrives, not after."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from appliance.api import errors
from appliance.errors import ApplianceError
from appliance.services.failures import UploadTooLarge

FORM_FIELDS_BYTES = 64 * 1024
"""What a form may weigh besides its recording."""

JSON_BYTES = 1024 * 1024
"""The largest body of any other request."""

LOOK_AGAIN_BYTES = 8 * 1024 * 1024
"""The disk is looked at after so many bytes of a body."""

PASSED_ON_BYTES = 512 * 1024
"""A body is handed to the application in pieces of about this size; the server's own are an eighth of it."""


class _Body:
    """A body that is read; `cut_off` says why reading ended before its end."""

    def __init__(self, receive: Receive, limit: int, too_large: ApplianceError, check_disk: Callable[[], None]) -> None:
        self.cut_off: ApplianceError | None = None
        self._receive, self._limit, self._too_large, self._check_disk = receive, limit, too_large, check_disk
        self._seen = self._looked = 0

    async def receive(self) -> Message:
        """Several messages as one: each that is passed on costs the application a turn of a thread."""
        message = await self._next()
        if not message.get("more_body"):
            return message
        pieces = [message.get("body", b"")]
        while message.get("more_body") and sum(map(len, pieces)) < PASSED_ON_BYTES:
            message = await self._next()
            pieces.append(message.get("body", b""))
        return message if message["type"] == "http.disconnect" else {**message, "body": b"".join(pieces)}

    async def _next(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        try:
            if self._seen > self._limit:
                raise self._too_large
            if self._seen - self._looked > LOOK_AGAIN_BYTES:
                self._looked = self._seen
                self._check_disk()
        except ApplianceError as error:
            error.headers["Connection"] = "close"
            self.cut_off = error
            raise
        return message


class BodyLimit:
    """Answers 413 as soon as more arrives than the route takes (507: than the disk takes), and stops reading."""

    def __init__(
        self, app: ASGIApp, uploads: Sequence[tuple[re.Pattern[str], int]], check_disk: Callable[[], None]
    ) -> None:
        """`uploads`: paths that take a file, with the most bytes that it may have.

        check_disk: raises an ApplianceError where there is no room for more; asked again and again while a file
        arrives: others may be filling the disk, too.
        """
        self.app = app
        self.uploads = uploads
        self.check_disk = check_disk

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
        body, started = _Body(receive, limit, refusal, self.check_disk), False

        async def guarded(message: Message) -> None:
            """Whatever the application makes of a body that was cut off, the answer is the refusal."""
            nonlocal started
            if body.cut_off is None:
                started = started or message["type"] == "http.response.start"
                await send(message)

        try:
            await self.app(scope, body.receive, guarded)
        except ApplianceError:
            if body.cut_off is None:
                raise
        if body.cut_off is not None and not started:
            await errors.problem(Request(scope), body.cut_off)(scope, receive, send)
