"""Which passwords are good enough."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from appliance.config import settings
from appliance.services import passwords


@pytest.fixture(autouse=True)
def own_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("DATABASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(name, "postgresql://x")
    monkeypatch.setenv("JWT_SECRET", "x" * 32)
    monkeypatch.setenv("PASSWORD_WORDS", "Автогруп, autogroup")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    "password",
    [
        *("password123", "QWERTYUIOP", "87654321", "11111111", "1qaz2wsx", "baseball"),
        *("gfhjkm123", "пароль123", "йцукенгшщз", "ghbdtn123"),  # on the keys of another layout
        *("sunshine2024", "mercedes!", "letmein123", "iloveyou2!"),  # made "stronger"
    ],
)
def test_what_everybody_uses_is_refused(password: str) -> None:
    with pytest.raises(passwords.PasswordTooCommon):
        passwords.check(password)


def test_the_list_is_as_long_as_the_standard_asks_for() -> None:
    """Three thousand of those that are long enough to be accepted at all."""
    assert len([each for each in passwords._common() if len(each) >= passwords.SHORTEST_PASSWORD]) > 3000


@pytest.mark.parametrize(
    "password",
    ["autogroup-2026", "АВТОГРУП2026!", "administrator", "ivanovP1", "Пётр1234!", "call-analytics1", "p.ivanov@corp"],
)
def test_what_everybody_here_knows_is_refused(password: str) -> None:
    with pytest.raises(passwords.PasswordGuessable):
        passwords.check(password, "Пётр Иванов", "p.ivanov@corp.example")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "autogroup sells tractors",  # a known word does not spoil what is long enough without it
        "  spaces  count  ",
        "пять зелёных крокодилов",
        "\u200b\U0001f697 выезжает из гаража",
        "9f8c2b7e",
        "x" * 3 + "Q7" * 500,
    ],
)
def test_any_characters_and_lengths_are_good(password: str) -> None:
    passwords.check(password, "Пётр Иванов", "p.ivanov@corp.example")
