"""Telephone numbers: parsed as E.164, shown as the frontend shows them."""

from __future__ import annotations

import phonenumbers

from appliance.services.failures import InvalidPhone

REGION = "RU"

EXTENSION = "[0-9]{2,6}"
"""A regular expression of what is an extension, an internal number; longer is a telephone number."""


def parse(number: str) -> str:
    """E.164 of whatever a person may type. Raises InvalidPhone."""
    try:
        parsed = phonenumbers.parse(number, REGION)
    except phonenumbers.NumberParseException:
        raise InvalidPhone from None
    if not phonenumbers.is_possible_number(parsed):
        raise InvalidPhone
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def known(number: str | None) -> str | None:
    """E.164, or None: a caller may hide the number, and exchanges write "anonymous" or nothing then."""
    try:
        return parse(number) if number else None
    except InvalidPhone:
        return None


def show(number: str | None) -> str:
    """`+7 (495) 123-45-67` for Russian numbers, the international format for others, empty where unknown."""
    if not number:
        return ""
    if number.startswith("+7") and len(number) == 12:
        return f"+7 ({number[2:5]}) {number[5:8]}-{number[8:10]}-{number[10:]}"
    return phonenumbers.format_number(phonenumbers.parse(number), phonenumbers.PhoneNumberFormat.INTERNATIONAL)
