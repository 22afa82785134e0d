"""Texts that are said alike are alike."""

from __future__ import annotations

import pytest

from appliance.evaluation.wording import normalised


@pytest.mark.parametrize(
    ("written", "said", "language"),
    [
        ("В 10 утра, за 1 200 000 рублей!", "в десять утра за один миллион двести тысяч рублей", "ru"),
        ("Скидка 5%.", "скидка пять процентов", "ru"),
        ("После 2 часов", "после двух часов", "ru"),
        ("Ещё тест-драйв", "еще тест драйв", "ru"),
        ("дом 007", "дом ноль ноль семь", "ru"),
        ("45,000 dollars, 5%", "forty five thousand dollars five percent", "en"),
        ("Twenty-one", "21", "en"),
    ],
)
def test_writing_does_not_matter(written: str, said: str, language: str) -> None:
    assert normalised(written, language) == normalised(said, language)


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [("в 10 утра", "в 11 утра", "ru"), ("машины", "машина", "ru"), ("45,000", "45", "en"), ("1 и 2", "12", "ru")],
)
def test_what_is_said_does(one: str, other: str, language: str) -> None:
    assert normalised(one, language) != normalised(other, language)
