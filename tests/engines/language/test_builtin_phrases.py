"""What clients want, told by single sentences in many wordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.engines.language import Conversation, Utterance
from appliance.engines.language.builtin import BuiltinAnalyst
from appliance.engines.language.builtin.rules import by_rules
from appliance.evaluation.agreement import of_sets

PHRASES = Path(__file__).parent / "phrases.txt"
ANALYST = BuiltinAnalyst()


def said() -> Iterator[tuple[str, frozenset[str], str]]:
    """Language, intents, sentence."""
    language = ""
    for line in PHRASES.read_text(encoding="utf-8").splitlines():
        wanted, bar, text = line.partition(" | ")
        if bar:
            yield language, frozenset(wanted.split()) - {"-"}, text
        elif not line.startswith("#"):
            language = line


def intents(*texts: str, language: str = "ru") -> frozenset[str]:
    """What a client wants who says this in one call."""
    utterances = tuple(Utterance(str(n), "A", n * 1000, n * 1000 + 900, text) for n, text in enumerate(texts))
    return frozenset(ANALYST.analyse(Conversation(utterances, language, "incoming")).analysis.intents)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_most_wordings_are_understood(language: str) -> None:
    pairs = [(wanted, intents(text, language=language)) for heard, wanted, text in said() if heard == language]
    assert len(pairs) > 120
    found = of_sets(pairs)
    assert found.recall >= 0.9
    assert found.precision >= 0.8


def test_the_more_exact_intent_stands_for_the_sentence() -> None:
    assert intents("Есть новости по доставке моего Джетура?") == {"delivery_status"}


def test_what_is_arranged_at_the_end_is_not_why_a_client_calls() -> None:
    """A call back is a wish where it is the first one, and a detail where the call was about something else."""
    talk = ("Я хочу купить Весту.", "Да.", "Понятно.", "Хорошо.", "Перезвоните мне, пожалуйста.")
    assert intents(*talk) == {"buy_car"}
    assert intents(*talk[1:]) == {"callback_request"}
    assert "complaint" in intents(*talk[:-1], "Это безобразие!"), "anger counts whenever it comes"


def talk(*lines: str, language: str = "ru") -> frozenset[str]:
    """What a client wants by a whole call, lines as "B: ..."."""
    said = tuple(Utterance(str(n), line[0], n * 1000, n * 1000 + 900, line[3:]) for n, line in enumerate(lines))  # type: ignore[arg-type]
    return frozenset(ANALYST.analyse(Conversation(said, language, "incoming")).analysis.intents)


def test_what_is_mentioned_in_passing_is_no_reason_to_call() -> None:
    call = (
        "B: Сервис, Вадим.",
        "A: Вадим, здравствуйте. Надо поменять масло на Витаре.",
        "B: Пробег какой?",
        "A: Девяносто. А страховка у вас оформляется?",
        "B: Да. Во вторник в десять свободно.",
        "A: Хорошо. И коврики у вас купить можно?",
    )
    assert talk(*call) == {"service_booking"}
    assert "insurance" in talk(call[0], "A: Страховка у вас оформляется?"), "said first, it is"


def test_of_what_does_not_go_together_the_complaint_stays() -> None:
    text = "I paid for an extended warranty and was lied to, it covers nothing. I want my money back."
    said = (Utterance("0", "B", 0, 900, "Hello."), Utterance("1", "A", 1000, 5000, text))
    assert by_rules(said, "en").intents == ("complaint",)
    assert ANALYST.analyse(Conversation(said, "en", "incoming")).analysis.intents[0] == "complaint"


def test_who_leaves_a_message_is_heard_to_the_end() -> None:
    call = ("A: Здравствуйте, это Шилова. Надо поменять масло.", "A: Перезвоните мне, когда сможете.")
    assert talk(*call) == {"service_booking", "callback_request"}


def test_who_answers_tells_what_is_wanted_where_nothing_else_does() -> None:
    rest = ("A: Это Панин. Для Тигуана отложите, пожалуйста.", "B: Отложил.")
    assert talk("B: Отдел запчастей, Руслан.", *rest) == {"parts"}
    assert "parts" not in talk("B: Автосалон, Руслан.", *rest)
    assert talk("B: Отдел запчастей.", "B: Вас не слышно.") == frozenset()


def test_a_workshop_that_offers_a_day_is_called_for_a_visit() -> None:
    complaint = "A: После вашего ремонта стало только хуже, третий раз одно и то же."
    offer = "B: Подъезжайте сегодня до восьми."
    assert talk("B: Сервисный центр, Жанна.", complaint, offer) >= {"complaint", "service_booking"}
    assert "service_booking" not in talk("B: Автосалон, Жанна.", complaint, offer)
    assert "service_booking" not in talk("B: Сервис, Олег.", "A: Готова ли моя машина?", "B: В четверг после трёх.")
    assert talk("B: Сервис.", "A: Скажите, до скольки вы работаете?", "B: До восьми.") == frozenset()


def test_what_follows_an_appointment_is_about_that_appointment() -> None:
    assert "reschedule" in talk("A: Я на послезавтра к вам записана, Карпова.", "A: Давайте недельки через полторы?")
    assert "reschedule" not in talk("A: Хочу купить Весту.", "A: Давайте недельки через полторы?")
    assert "cancel" in talk("A: Вы меня на завтра на тест-драйв ставили.", "A: Я не приду.")
    assert "test_drive" not in talk("A: Вы меня на завтра на тест-драйв ставили.", "A: Я не приду.")
    moved = ("A: I have an appointment on Thursday at two.", "A: Could I do Friday?")
    assert "reschedule" in talk(*moved, language="en")


def test_a_price_asked_along_with_something_is_a_detail_of_it() -> None:
    assert talk("A: Во сколько вы оцените мою Камри?", "B: После осмотра.", "A: А цену примерно?") == {"trade_in"}
    assert "price_request" in talk("A: Интересует Камри.", "B: Есть одна.", "A: А цену примерно?")


def test_a_car_that_was_bought_is_not_wanted() -> None:
    assert "buy_car" in talk("A: I want to buy a used car.", language="en")
    assert "buy_car" not in talk("A: I bought a used car from you two weeks ago.", language="en")
    assert "buy_car" not in talk("A: Я бронировал у вас Чери.", "A: Хочу снять бронь, мы передумали покупать.")


def test_small_words_do_not_hide_what_is_meant() -> None:
    assert "delivery_status" in talk("A: Моя Веста когда придёт-то?")
    assert "repair_status" in talk("A: What's up with my truck?", language="en")
    assert "service_booking" not in talk("A: Ну, посмотрим."), "let us see is no order to look at anything"
