"""Signed links: whoever holds one may fetch one file until it expires, as an <audio> element does without headers."""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import datetime
from uuid import UUID

from appliance.config import settings
from appliance.services.failures import LinkInvalid

STEP_S = 300
"""Expiry times are rounded up to this, so that the same link is answered for a while and a player is not
started anew with every refresh of a page."""


def sign(path: str, expires_at: datetime | None = None, viewer_id: UUID | None = None) -> str:
    """The path with an expiry and a signature; `viewer_id` says whom it was given to."""
    if expires_at is None:
        expires = (int(time.time()) + settings().link_expires_in) // STEP_S * STEP_S + STEP_S
    else:
        expires = int(expires_at.timestamp())
    given_to = f"&viewer={viewer_id}" if viewer_id else ""
    return f"{path}?expires={expires}{given_to}&signature={_signature(path, expires, viewer_id)}"


def check(path: str, expires: int, signature: str, viewer_id: UUID | None = None) -> None:
    """Raises LinkInvalid where the signature is not ours, was given to somebody else, or the time is over."""
    ours = _signature(path, expires, viewer_id)
    if not hmac.compare_digest(ours.encode(), signature.encode()) or expires < time.time():
        raise LinkInvalid


def _signature(path: str, expires: int, viewer_id: UUID | None) -> str:
    key = hashlib.sha256(b"links:" + settings().jwt_secret.get_secret_value().encode()).digest()
    return hmac.new(key, f"{path}\n{expires}\n{viewer_id or ''}".encode(), hashlib.sha256).hexdigest()
