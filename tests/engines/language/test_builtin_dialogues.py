"""Whole calls: sales, service, complaint, credit, wrong number, callback, in both languages."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from appliance.engines.language import Analysis, Conversation, Utterance
from appliance.engines.language.builtin import BuiltinAnalyst

ANALYST = BuiltinAnalyst()


def analyse(call: str, language: str = "ru", topics: tuple[str, ...] = ()) -> Analysis:
    """A call written as lines "A: ..." and "B: ..."."""
    turns = [line.strip().split(": ", 1) for line in call.strip().splitlines()]
    utterances = tuple(Utterance(str(n), who, n * 1000, n * 1000 + 900, text) for n, (who, text) in enumerate(turns))  # type: ignore[arg-type]
    return ANALYST.analyse(Conversation(utterances, language, "incoming"), topics=topics).analysis


@dataclass(frozen=True)
class Case:
    call: str
    sentiment: str
    intents: frozenset[str]
    topic: str
    task: str | None
    language: str = "ru"


CASES = {
    "sales": Case(
        """B: Здравствуйте, автосалон, меня зовут Анна.
        A: Здравствуйте, хочу купить Ладу Весту, сколько она стоит?
        B: Полтора миллиона. Хотите тест-драйв?
        A: Да, можно записаться на тест-драйв в субботу?
        B: Записала вас на тест-драйв в субботу в два часа.""",
        "neutral",
        frozenset({"buy_car", "price_request", "test_drive"}),
        "покупка автомобиля",
        "Назначить тест-драйв на субботу в два часа",
    ),
    "service": Case(
        """B: Сервис, слушаю вас.
        A: Мне надо масло поменять и фильтры.
        B: Могу записать вас на сервис в четверг.
        A: В четверг не могу, давайте в пятницу.
        B: Хорошо, в пятницу в десять утра ждём вас.""",
        "neutral",
        frozenset({"service_booking"}),
        "сервис",
        "Принять автомобиль в сервисе в пятницу в десять утра",
    ),
    "complaint": Case(
        """A: Мне обещали перезвонить ещё в понедельник, и никто не перезвонил!
        B: Приношу извинения за ожидание.
        A: После ремонта машина снова сломалась, я очень недоволен.
        B: Я передам вашу жалобу руководителю сегодня.""",
        "negative",
        frozenset({"complaint"}),
        "жалоба",
        "Разобрать жалобу клиента и сообщить о решении сегодня",
    ),
    "credit": Case(
        """A: Добрый день, интересует автокредит. Какая ставка?
        B: От двенадцати процентов.
        A: А первоначальный взнос?
        B: От двадцати процентов. Сделаю вам расчёт кредита завтра.""",
        "neutral",
        frozenset({"credit"}),
        "кредит",
        "Подготовить и отправить расчёт кредита завтра",
    ),
    "wrong number": Case(
        "B: Автосалон, добрый день.\nA: Ой, я, кажется, номером ошибся.\nB: Ничего страшного.",
        "neutral",
        frozenset({"wrong_number"}),
        "ошибочный звонок",
        None,
    ),
    "callback": Case(
        "A: Передайте Ивану, пусть он мне перезвонит.\nB: Он перезвонит вам завтра после обеда.",
        "neutral",
        frozenset({"callback_request"}),
        "обратный звонок",
        "Перезвонить клиенту завтра после обеда",
    ),
    "english service": Case(
        """B: Service department, good morning.
        A: Hi, I need an oil change, do you have anything on Friday?
        B: I can book an oil change for you on Friday at ten.
        A: Friday at ten works for me.""",
        "neutral",
        frozenset({"service_booking"}),
        "service",
        "Receive the car for service on Friday at ten",
        "en",
    ),
    "english complaint": Case(
        """A: I am not happy at all, nobody called me back and the car broke down again.
        B: I am sorry, I will look into it today.
        A: This is unacceptable.""",
        "negative",
        frozenset({"complaint"}),
        "complaint",
        "Look into the client's complaint and report back today",
        "en",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_whole_call(case: Case) -> None:
    found = analyse(case.call, case.language)
    assert found.sentiment == case.sentiment
    assert set(found.intents) >= case.intents
    assert case.topic in found.topics
    assert case.task is None or case.task in found.action_items
    assert case.task is not None or found.action_items == ()
    assert found.language == case.language


def test_a_wrong_number_is_nothing_else() -> None:
    found = analyse("A: Хочу купить машину.\nA: Ой, извините, ошибся номером.")
    assert found.intents == ("wrong_number",)
    assert found.topics == ("ошибочный звонок",)


@pytest.mark.parametrize(
    ("call", "task"),
    [
        ("B: Могу записать вас на тест-драйв завтра.\nA: Нет, спасибо, не надо.", None),
        (
            "B: Могу записать вас на тест-драйв завтра.\nA: Завтра не получится, давайте в воскресенье.",
            "Назначить тест-драйв на воскресенье",
        ),
        ("A: Хочу отменить запись на сервис.\nB: Отменила.", "Отменить запись клиента"),
        ("A: Никто мне не перезвонил.", None),
        ("A: Вчера я вам перезванивал.", None),
        ("B: Мастер вам перезвонит до пяти.", "Перезвонить клиенту до пяти"),
        ("B: Позвоню вам через час.", "Перезвонить клиенту через час"),
        ("A: Можете перезвонить мне в 15:30?", "Перезвонить клиенту в 15:30"),
        ("B: Кредит даём на три года.", None),
    ],
)
def test_what_is_settled_is_the_task(call: str, task: str | None) -> None:
    assert analyse(call).action_items == ((task,) if task else ())


@pytest.mark.parametrize(
    ("text", "unwanted"),
    [
        ("Кредит мне не нужен, у меня наличные.", "credit"),
        ("Не хочу тест-драйв.", "test_drive"),
        ("I don't need insurance.", "insurance"),
    ],
)
def test_what_is_not_wanted_is_no_intent(text: str, unwanted: str) -> None:
    assert unwanted not in analyse(f"A: {text}").intents


@pytest.mark.parametrize("spelling", ["тест-драйв", "тест драйв", "тестдрайв", "Тест-драйву"])
def test_compounds_in_any_spelling(spelling: str) -> None:
    assert "тест-драйв" in analyse(f"A: Я по {spelling} звоню.").topics


def test_letters_yo_and_ye_are_one() -> None:
    found, other = (
        analyse("A: Очень надёжный сервис, ещё и счёт верный."),
        analyse("A: Очень надежный сервис, еще и счет верный."),
    )
    assert found.sentiment_score == other.sentiment_score > 0
    assert (found.topics, found.intents) == (other.topics, other.intents)


def test_the_summary_leaves_greetings_out_and_tells_the_end() -> None:
    found = analyse(CASES["sales"].call)
    assert "Здравствуйте" not in found.summary
    assert "Клиент: Хочу купить Ладу Весту, сколько она стоит?" in found.summary
    assert "Дальнейшие шаги: назначить тест-драйв на субботу в два часа." in found.summary
    assert analyse(CASES["complaint"].call).summary.endswith("Клиент недоволен.")
