"""How much of a request body is read: the limit holds while it arrives, not after."""

from __future__ import annotations

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

    def __init__(self, app: ASGIApp, upload_path: str, upload_bytes: int) -> None:
        self.app = app
        self.upload_path = upload_path
        self.upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_upload = scope["path"] == self.upload_path and scope["method"] == "POST"
        limit = self.upload_bytes + FORM_FIELDS_BYTES if is_upload else JSON_BYTES
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        refusal = UploadTooLarge(
            megabytes=(self.upload_bytes if is_upload else JSON_BYTES) // 2**20, headers={"Connection": "close"}
        )
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
