"""Signatures of what other systems send: HMAC-SHA256 over the time of sending and the body."""

from __future__ import annotations

import hashlib
import hmac
import time

from appliance.config import settings
from appliance.errors import ApplianceError

WINDOW_S = 300
"""How old a request may be, and how far ahead the sender's clock."""


class SignatureInvalid(ApplianceError):
    code = "signature_invalid"
    status = 401
    ru = "Подпись запроса неверна, устарела или приём событий не включён"
    en = "The request's signature is wrong or too old, or no events are taken"


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """What the header X-Signature must hold, in hexadecimal."""
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def check(timestamp: str, signature: str, body: bytes) -> None:
    """Raises SignatureInvalid, also where INGEST_SECRET is not set. timestamp: seconds since 1970, as it was sent."""
    secret = settings().ingest_secret.get_secret_value()
    if not secret or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
        raise SignatureInvalid
    if abs(time.time() - int(timestamp)) > WINDOW_S:
        raise SignatureInvalid
    if not hmac.compare_digest(sign(secret, timestamp, body).encode(), signature.lower().encode()):
        raise SignatureInvalid
