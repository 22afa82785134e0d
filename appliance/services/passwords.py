"""Passwords: which are good enough, and how they are stored."""

from __future__ import annotations

import re
from functools import lru_cache

from pwdlib import PasswordHash

from appliance.config import settings
from appliance.errors import ApplianceError

HASHES = PasswordHash.recommended()
"""argon2id."""

SHORTEST_PASSWORD = 8
SHORTEST_WORD = 3
"""Shorter parts of a name are in too many good passwords by chance."""

PRODUCT_WORDS = (
    *("callanalytics", "call-analytics", "appliance", "administrator", "admin", "manager", "analyst", "password"),
    *("администратор", "админ", "менеджер", "аналитик", "пароль", "звонки", "автосалон"),
)

SAME_KEYS = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
"""A Russian keyboard's letters, and what the same keys write in Latin."""

ENDING = re.compile(r"[\W\d_]{1,4}$")
"""A year, an exclamation mark: what people add to a common word to have their password accepted."""


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


class PasswordUnchanged(ApplianceError):
    code = "password_unchanged"
    status = 422
    ru = "Новый пароль совпадает со старым"
    en = "The new password is the old one"


class PasswordGuessable(ApplianceError):
    code = "password_guessable"
    status = 422
    ru = "Пароль почти весь состоит из имени, e-mail или названий, которые здесь знает каждый"
    en = "The password is hardly more than a name, an e-mail or words that everybody here knows"


@lru_cache
def _common() -> frozenset[str]:
    """The 30,000 most common of the passwords that leaked anywhere, as zxcvbn ranks them."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"])


def check(password: str, *about: str | None) -> None:
    """Raises PasswordTooShort, PasswordTooCommon, PasswordGuessable.

    `about`: the name and e-mail of whose password it is. A demonstration may use the one that everybody knows.
    """
    if len(password) < SHORTEST_PASSWORD:
        raise PasswordTooShort(shortest=SHORTEST_PASSWORD)
    if settings().demo:
        return
    told = password.casefold()
    for way in (told, told.translate(SAME_KEYS)):
        if {way, way[::-1], ENDING.sub("", way)} & _common():
            raise PasswordTooCommon
    words = {*PRODUCT_WORDS, *settings().password_words, *(part for text in about for part in _parts(text or ""))}
    for word in sorted(map(str.casefold, words), key=len, reverse=True):
        told = told.replace(word, "")
    if len(told) < SHORTEST_PASSWORD:
        raise PasswordGuessable


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\W_]+", text) if len(part) >= SHORTEST_WORD]
