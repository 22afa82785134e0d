"""Passwords: which are good enough, and how they are stored."""

from __future__ import annotations

from pwdlib import PasswordHash

from appliance.config import settings
from appliance.errors import ApplianceError

HASHES = PasswordHash.recommended()
"""argon2id."""

SHORTEST_PASSWORD = 8


class PasswordTooShort(ApplianceError):
    code = "password_too_short"
    status = 422
    ru = "Пароль короче {shortest} символов"
    en = "The password is shorter than {shortest} characters"


class PasswordTooCommon(ApplianceError):
    code = "password_too_common"
    status = 422
    ru = "Этот пароль слишком распространён"
    en = "This password is too common"


COMMON_PASSWORDS = frozenset(
    {
        *("password", "password1", "password12", "password123", "12345678", "123456789", "1234567890", "qwerty123"),
        *("qwertyuiop", "admin123", "administrator", "letmein123", "iloveyou1", "11111111", "00000000", "87654321"),
        *("йцукенгш", "пароль123"),
    }
)


def check(password: str) -> None:
    """Raises PasswordTooShort, PasswordTooCommon; a demonstration may use the one that everybody knows."""
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(shortest=SHORTEST_PASSWORD)
    if password.lower() in COMMON_PASSWORDS and not settings().demo:
        raise PasswordTooCommon
