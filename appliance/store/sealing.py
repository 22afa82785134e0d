"""Secrets at rest: sealed with a key that is derived from JWT_SECRET, so that a copy of the database holds none."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from appliance.config import settings


class Unsealable(Exception):
    """The secret was sealed with another JWT_SECRET, or is no sealed secret."""


@lru_cache(maxsize=4)
def _derived(secret: str) -> str:
    key = HKDF(SHA256(), 32, salt=None, info=b"call-analytics sealed secrets").derive(secret.encode())
    return base64.urlsafe_b64encode(key).decode()


def key() -> str:
    """What seals here. It is all that a further machine is given: whoever has it can make no token."""
    return settings().seal_key.get_secret_value() or _derived(settings().jwt_secret.get_secret_value())


def seal(plain: str) -> str:
    """The secret as it may be stored."""
    return Fernet(key()).encrypt(plain.encode()).decode()


def unseal(sealed: str) -> str:
    """The secret itself. Raises Unsealable."""
    try:
        return Fernet(key()).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unsealable from None
