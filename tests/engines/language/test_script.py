"""The language of what people read is told by its letters, names of cars left out."""

from __future__ import annotations

import pytest

from appliance.engines.language.script import is_in
from appliance.evaluation.dialogues import load_dialogues

ENGLISH = "The client wants a test drive of the Toyota Camry on Saturday at noon."
RUSSIAN = "Клиент сравнил Volkswagen Tiguan с Toyota Camry и хочет проехать на обеих в субботу в полдень."
KAZAKH = "Клиент көлік сатып алғысы келеді, менеджер ертең қоңырау шалады және бағасын айтады."
CHINESE = "客户想预约本周六上午的试驾请经理稍后回电确认时间"


@pytest.mark.parametrize(
    ("text", "languages"),
    [
        (ENGLISH, {"en"}),
        (ENGLISH.upper(), {"en"}),
        (ENGLISH.title(), {"en"}),
        (RUSSIAN, {"ru"}),
        ("КЛИЕНТ ХОЧЕТ КУПИТЬ АВТОМОБИЛЬ, А МЕНЕДЖЕР ОБЕЩАЛ ПЕРЕЗВОНИТЬ ЗАВТРА И НАЗВАТЬ ЦЕНУ", {"ru"}),
        (KAZAKH, {"kk"}),
        (CHINESE, set()),
        ("Клиент Әділ Құрманғазы хочет купить автомобиль, менеджер обещал перезвонить завтра.", {"ru", "kk"}),
        ("The client called about Лада Веста and will come to Авилон.", {"en"}),
        ("Клиент хочет купить автомобиль, а менеджер обещал перезвонить завтра и назвать цену.", {"ru"}),
    ],
)
def test_a_text_is_in_its_language_alone(text: str, languages: set[str]) -> None:
    assert {language for language in ("ru", "en", "kk") if is_in(text, language)} == languages


@pytest.mark.parametrize(
    "text",
    [
        "Клиент хочет Volkswagen Tiguan Allspace Exclusive R-Line.",
        "Trade-in Toyota Camry на Haval Jolion, test drive в субботу.",
        "Haval F7, Geely Monjaro, Changan UNI-K: цена и наличие.",
    ],
)
def test_names_of_cars_make_no_text_foreign(text: str) -> None:
    assert is_in(text, "ru")


@pytest.mark.parametrize("text", ["", "OK.", "BMW X5", "Voicemail.", "VIN, 17 знаков"])
def test_a_text_too_short_to_tell_passes(text: str) -> None:
    assert all(is_in(text, language) for language in ("ru", "en", "kk"))


@pytest.mark.parametrize("language", ["und", "", "ka", "yue", "sr"])
def test_a_language_that_cannot_be_told_is_not_judged(language: str) -> None:
    assert is_in(ENGLISH, language)
    assert is_in(RUSSIAN, language)


def test_what_people_really_say_is_in_their_language() -> None:
    for dialogue in (one for one in load_dialogues() if one.split == "tune"):
        said = " ".join(u.text for u in dialogue.conversation.utterances)
        other = {"ru": "en", "en": "ru"}[dialogue.conversation.language]
        assert is_in(said, dialogue.conversation.language), dialogue.id
        assert not is_in(said, other), dialogue.id
        assert not is_in(said, "kk"), dialogue.id
