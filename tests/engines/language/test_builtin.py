"""The analyst without a language model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from appliance.engines.language import Analysis, Conversation, Utterance
from appliance.engines.language.builtin import BuiltinAnalyst

ANALYST = BuiltinAnalyst()


def analyse(*said: tuple[str, str], language: str = "ru") -> Analysis:
    utterances = tuple(Utterance(str(n), who, n * 1000, n * 1000 + 900, text) for n, (who, text) in enumerate(said))  # type: ignore[arg-type]
    return ANALYST.analyse(Conversation(utterances, language, "incoming")).analysis


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("Мне всё очень понравилось, спасибо вам большое!", "positive"),
        ("Отличный сервис, я очень доволен.", "positive"),
        ("Мне не нравится, что мне никто не перезвонил.", "negative"),
        ("Это просто ужасно, я жду уже две недели!", "negative"),
        ("Я недоволен, верните мне деньги.", "negative"),
        ("Это слишком дорого.", "negative"),
        ("Во сколько вы открываетесь?", "neutral"),
        ("Меня интересует Лада Веста.", "neutral"),
        ("I am not happy that nobody called me back.", "negative"),
        ("This is terrible, the car broke down again after the repair.", "negative"),
        ("Thank you so much, you were very helpful!", "positive"),
        ("What are your opening hours?", "neutral"),
    ],
)
def test_sentiment_with_negation(text: str, sentiment: str) -> None:
    found = analyse(("A", text))
    assert found.sentiment == sentiment
    sign = {"positive": found.sentiment_score > 0.1, "negative": found.sentiment_score < -0.1}
    assert sign.get(sentiment, abs(found.sentiment_score) <= 0.1)


@pytest.mark.parametrize(
    ("text", "topic", "intent"),
    [
        ("Хочу купить у вас новую машину.", "покупка автомобиля", "buy_car"),
        ("Можно записаться на тест-драйв?", "тест-драйв", "test_drive"),
        ("Интересует кредит с первоначальным взносом.", "кредит", "credit"),
        ("Хочу сдать свой автомобиль в трейд-ин.", "трейд-ин", "trade_in"),
        ("Нужно записаться на ТО и заменить масло.", "сервис", "service_booking"),
        ("Когда будет готова моя машина?", None, "repair_status"),
        ("Хочу оставить жалобу на ваш сервис.", "жалоба", "complaint"),
        ("Сколько стоит эта комплектация?", "цена", "price_request"),
        ("Перезвоните мне, пожалуйста.", "обратный звонок", "callback_request"),
        ("Нужна страховка КАСКО.", "страхование", "insurance"),
        ("Извините, я ошиблась номером.", "ошибочный звонок", "wrong_number"),
        ("Хочу отменить запись.", None, "cancel"),
        ("I would like to book a test drive.", "test drive", "test_drive"),
        ("My battery is dead, I need a spare part.", "parts", "parts"),
    ],
)
def test_topics_and_intents(text: str, topic: str | None, intent: str) -> None:
    found = analyse(("A", text))
    assert intent in found.intents
    assert topic is None or topic in found.topics
    assert len(found.topics) <= 5


@pytest.mark.parametrize(
    ("who", "text", "task"),
    [
        ("B", "Я перезвоню вам завтра в десять утра.", "Перезвонить клиенту завтра в десять утра"),
        ("B", "Отправлю вам каталог на почту.", "Отправить клиенту каталог"),
        ("B", "Записала вас на сервис в четверг в два часа.", "Принять автомобиль в сервисе в четверг в два часа"),
        ("A", "Перезвоните мне в пятницу.", "Перезвонить клиенту в пятницу"),
        ("A", "Отправьте мне, пожалуйста, предложение на почту.", "Подготовить и отправить коммерческое предложение"),
        ("B", "I will call you back on Monday at noon.", "Call the client back on Monday at noon"),
    ],
)
def test_tasks_in_the_infinitive_with_their_time(who: str, text: str, task: str) -> None:
    assert analyse((who, text)).action_items == (task,)


def test_a_request_and_its_promise_are_one_task_and_the_last_time_holds() -> None:
    found = analyse(
        ("A", "Перезвоните мне сегодня."),
        ("B", "Сегодня не успею, я перезвоню вам завтра утром."),
    )
    assert found.action_items == ("Перезвонить клиенту завтра утром",)


def test_a_refusal_is_no_task() -> None:
    assert analyse(("A", "Нет, перезванивать мне не надо.")).action_items == ()


def test_the_sites_own_topics_come_first() -> None:
    utterances = (Utterance("0", "A", 0, 1, "Хочу купить машину, есть ли зарядная станция для электромобиля?"),)
    record = ANALYST.analyse(Conversation(utterances, "ru", "incoming"), topics=["зарядная станция", "мойка"])
    assert record.analysis.topics[0] == "зарядная станция"
    assert "мойка" not in record.analysis.topics


def test_the_summary_is_short_and_in_the_calls_language() -> None:
    long = [("A", "Меня интересует новая машина и кредит на пять лет, сколько это будет стоить?")] * 100
    found = analyse(*long, ("B", "Отправлю вам расчёт кредита завтра."))
    assert len(found.summary.split()) <= 120
    assert found.summary.endswith(".")
    assert analyse(("A", "I want to buy a car."), language="ru").language == "en"


def test_silence_is_said_to_be_silence() -> None:
    for language, text in (
        ("ru", "В записи нет распознанной речи."),
        ("en", "No speech was recognised in the recording."),
    ):
        found = analyse(language=language)
        assert (found.summary, found.sentiment, found.sentiment_score, found.topics) == (text, "neutral", 0.0, ())


def test_it_is_deterministic_and_says_what_it_is() -> None:
    said = (("A", "Хочу купить машину."), ("B", "Приезжайте завтра."))
    assert analyse(*said) == analyse(*said)
    record = ANALYST.analyse(Conversation((), "ru", "incoming"))
    assert (record.provider, record.model, record.prompt_version) == ("builtin", "builtin", "6")


@hypothesis_settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("AB"), st.text(max_size=200)), max_size=12))
def test_no_text_is_too_strange(said: list[tuple[str, str]]) -> None:
    found = analyse(*said)
    assert -1 <= found.sentiment_score <= 1
    assert len(found.summary.split()) <= 120
    assert found.summary
    assert len(found.topics) <= 5
