"""Signed links: whoever holds one may fetch one file until it expires, as an <audio> element does without headers."""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import datetime

from appliance.config import settings
from appliance.services.failures import LinkInvalid

STEP_S = 300
"""Expiry times are rounded up to this, so that the same link is answered for a while and a player may cache it."""


def sign(path: str, expires_at: datetime | None = None) -> str:
    """The path with an expiry and a signature."""
    if expires_at is None:
        expires = (int(time.time()) + settings().link_expires_in) // STEP_S * STEP_S + STEP_S
    else:
        expires = int(expires_at.timestamp())
    return f"{path}?expires={expires}&signature={_signature(path, expires)}"


def check(path: str, expires: int, signature: str) -> None:
    """Raises LinkInvalid where the signature is not ours or the time is over."""
    ours = _signature(path, expires)
    if not hmac.compare_digest(ours.encode(), signature.encode()) or expires < time.time():
        raise LinkInvalid


def _signature(path: str, expires: int) -> str:
    key = hashlib.sha256(b"links:" + settings().jwt_secret.get_secret_value().encode()).digest()
    return hmac.new(key, f"{path}\n{expires}".encode(), hashlib.sha256).hexdigest()
