"""Client and manager, right by default."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from appliance.engines.diarization.attribution import SpeakerSegment
from appliance.engines.roles import as_corrected, assign_roles, both_sides_speak

Direction = Literal["incoming", "outgoing"]


def talk(*said: tuple[int, str]) -> list[SpeakerSegment]:
    return [SpeakerSegment(n * 1000, n * 1000 + 900, who, text, 0.9, "ru", ()) for n, (who, text) in enumerate(said)]


# The manager is always speaker 1 here. Written apart from the cues, as people talk.
CASES: list[tuple[Direction, list[tuple[int, str]]]] = [
    ("incoming", [(1, "Автосалон Восток, Ирина, добрый день!"), (0, "Здравствуйте, я по поводу машины.")]),
    ("incoming", [(0, "Алло, алло?"), (1, "Здравствуйте, дилерский центр Автолюкс, меня зовут Олег, слушаю вас.")]),
    ("incoming", [(1, "Добрый день, чем могу помочь?"), (0, "Да я вот хотел узнать про кроссовер.")]),
    ("outgoing", [(0, "Да?"), (1, "Здравствуйте, это Павел из автосалона Драйв, вам удобно?")]),
    ("outgoing", [(0, "Слушаю."), (1, "Добрый день, вас беспокоит Марина из дилерского центра.")]),
    (
        "incoming",
        [(0, "Сколько стоит замена ремня?"), (1, "Для вашего автомобиля двенадцать тысяч, могу записать на среду.")],
    ),
    ("incoming", [(0, "Здравствуйте, моя машина готова?"), (1, "Минуту, уточню. Да, приезжайте.")]),
    ("incoming", [(0, "Я хочу оформить кредит."), (1, "Отправлю вам расчёт, подскажите ваш номер.")]),
    ("incoming", [(0, "Меня интересует белая Веста."), (1, "Есть в наличии, приезжайте посмотреть.")]),
    ("outgoing", [(0, "Алло."), (1, "Записали вас на диагностику, ждём вас завтра."), (0, "Хорошо, я подъеду.")]),
    (
        "incoming",
        [(0, "Мне обещали перезвонить, никто не перезвонил!"), (1, "Приношу извинения, я перезвоню вам сегодня.")],
    ),
    ("incoming", [(1, "Отдел продаж, слушаю."), (0, "Есть ли у вас Тигго в наличии?")]),
    ("incoming", [(0, "У меня машина не заводится."), (1, "Какая модель? Могу предложить эвакуатор.")]),
    ("incoming", [(0, "Соедините меня с сервисом."), (1, "Соединяю вас.")]),
    ("incoming", [(0, "Какой у вас первоначальный взнос?"), (1, "Первоначальный взнос от десяти процентов.")]),
    ("incoming", [(1, "Сервисный центр, добрый день."), (0, "Добрый, мне бы на ТО записаться.")]),
    (
        "outgoing",
        [
            (0, "Да, слушаю."),
            (1, "Ваш автомобиль прошёл ремонт, вам удобно забрать в пятницу?"),
            (0, "Да, договорились."),
        ],
    ),
    ("incoming", [(1, "Слушаю вас."), (0, "Верните мне деньги за ремонт."), (1, "Как к вам можно обращаться?")]),
    ("incoming", [(0, "Извините, я ошибся номером."), (1, "Ничего страшного.")]),
    ("incoming", [(1, "Менеджер Светлана Орлова, слушаю вас внимательно."), (0, "Я по объявлению.")]),
    ("incoming", [(1, "Thank you for calling City Motors, this is Dan."), (0, "Hi, my car makes a noise.")]),
    ("incoming", [(0, "Hi, I'd like to book an oil change."), (1, "Sure, I can book you in on Monday.")]),
    ("incoming", [(1, "Service department, Kate speaking."), (0, "When will my truck be done?")]),
    ("outgoing", [(0, "Hello?"), (1, "Hi, this is Tom from the dealership, your car is ready.")]),
    ("incoming", [(0, "Do you have the new Camry?"), (1, "We have two in stock, would Friday at noon work for you?")]),
    ("incoming", [(0, "How much is the brake job?"), (1, "Let me check. The price is two hundred.")]),
    ("incoming", [(1, "How may I help you?"), (0, "I'm interested in a used SUV.")]),
    ("incoming", [(0, "Nobody called me back."), (1, "I am sorry for that, I'll get the manager.")]),
    (
        "outgoing",
        [(0, "Yes?"), (1, "Could you tell me your mileage? I'll prepare an offer."), (0, "Please send me an email.")],
    ),
    (
        "incoming",
        [(0, "Can I bring my car in tomorrow?"), (1, "Yes, please bring the papers. Is there anything else?")],
    ),
    ("incoming", [(1, "Да, говорите."), (0, "Так, значит, смотрите.")]),
    ("outgoing", [(0, "Кто это?"), (1, "Звоню вам из сервиса по поводу колёс.")]),
]


def test_nearly_all_dialogues_are_right() -> None:
    wrong = [
        (said, found)
        for direction, said in CASES
        if (found := assign_roles(talk(*said), direction=direction)).manager != 1
    ]
    assert len(CASES) >= 30
    assert len(wrong) / len(CASES) <= 0.05, wrong


@pytest.mark.parametrize(("setting", "manager"), [("left", 0), ("right", 1)])
def test_the_setting_decides_in_stereo(setting: Any, manager: int) -> None:
    found = assign_roles(
        talk((0, "Автосалон, добрый день"), (1, "Меня интересует Веста")),
        direction="incoming",
        manager_channel=setting,
        stereo=True,
    )
    assert (found.manager, found.rule, found.confidence) == (manager, "channel_setting", 1.0)


@pytest.mark.parametrize(("channel", "manager"), [("left", 0), ("right", 1)])
def test_what_the_exchange_knows_goes_before_words(channel: Any, manager: int) -> None:
    said = talk((0, "Автосалон, добрый день, чем могу помочь?"), (1, "Меня интересует Веста"))
    found = assign_roles(said, direction="incoming", exchange_channel=channel, stereo=True)
    assert (found.manager, found.rule) == (manager, "exchange")
    mono = assign_roles(said, direction="incoming", exchange_channel=channel)
    assert (mono.manager, mono.rule) == (0, "introduction")
    setting: Any = "left" if channel == "right" else "right"
    both = assign_roles(said, direction="incoming", manager_channel=setting, exchange_channel=channel, stereo=True)
    assert (both.manager, both.rule) == (1 - manager, "channel_setting")


def test_the_setting_says_nothing_about_mono() -> None:
    said = talk((0, "Автосалон, добрый день, чем могу помочь?"), (1, "Меня интересует Веста"))
    assert assign_roles(said, direction="incoming", manager_channel="right").manager == 0


def test_the_managers_name_introduces_him() -> None:
    said = talk((0, "Здравствуйте, меня зовут Анна Смирнова"), (1, "Очень приятно, меня зовут Пётр"))
    found = assign_roles(said, direction="outgoing", names=["Анна Смирнова"])
    assert (found.manager, found.rule) == (0, "introduction")


def test_an_introduction_goes_before_what_else_is_said() -> None:
    others = (0, "Могу записать вас на среду, приезжайте, ждём вас.")
    found = assign_roles(talk((1, "Автосалон Восток, Ирина, добрый день!"), others), direction="incoming")
    assert (found.manager, found.rule) == (1, "introduction")
    assert assign_roles(talk((1, "Добрый день!"), others), direction="incoming").manager == 0


@pytest.mark.parametrize(("direction", "manager"), [("incoming", 0), ("outgoing", 1)])
def test_direction_decides_where_words_do_not(direction: Direction, manager: int) -> None:
    found = assign_roles(talk((0, "Так."), (1, "Вот.")), direction=direction)
    assert (found.manager, found.rule) == (manager, "direction")


def test_who_begins_at_the_same_moment_hardly_tells() -> None:
    said = [SpeakerSegment(start, 2000, who, "Алё-о", 0.9, "ru", ()) for who, start in ((1, 100), (0, 250))]
    found = assign_roles(said, direction="incoming")
    assert (found.manager, found.rule) == (1, "first_speaker")
    assert 0.5 < found.confidence < 0.6


def test_weak_cues_make_the_direction_surer_or_less_sure() -> None:
    plain = assign_roles(talk((0, "Так."), (1, "Вот.")), direction="incoming")
    agreeing = assign_roles(talk((0, "Так."), (1, "Мне нужна машина.")), direction="incoming")
    doubtful = assign_roles(talk((0, "Мне нужна машина."), (1, "Так.")), direction="incoming")
    assert {found.rule for found in (plain, agreeing, doubtful)} == {"direction"}
    assert doubtful.confidence < plain.confidence < agreeing.confidence


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0)])
def test_what_a_person_put_right_outlives_new_segments(numbers: tuple[int, int]) -> None:
    """The person's transcript: the client says the first second, the manager the third."""
    client, manager = numbers
    said = talk((client, "Автосалон, чем могу помочь?"), (client, "Да"), (manager, "Меня интересует Веста"))
    found = as_corrected(said, {"A": [[0, 1500]], "B": [[2000, 3000]]})  # type: ignore[dict-item]
    assert found is not None
    assert (found.manager, found.rule, found.confidence) == (manager, "correction", 1.0)


def test_a_correction_of_one_voice() -> None:
    said = talk((0, "Перезвоните мне"))
    for side, manager in (("A", 1), ("B", 0)):
        found = as_corrected(said, {side: [(0, 900)]})
        assert found is not None
        assert found.manager == manager
    assert as_corrected(said, {"A": [(5000, 6000)], "B": []}) is None
    assert as_corrected(talk((0, "Раз"), (1, "Два")), {"A": [(0, 2000)]}) is None


def test_a_lone_voice_is_a_clients_unless_it_speaks_as_a_manager() -> None:
    assert assign_roles(talk((0, "Перезвоните мне")), direction="incoming").manager == 1
    assert assign_roles(talk((0, "Здравствуйте, это Олег из автосалона")), direction="outgoing").manager == 0
    assert assign_roles([], direction="incoming").rule == "single_voice"


@pytest.mark.parametrize(
    ("texts", "both"),
    [
        (["Автосалон, добрый день, чем могу помочь? Меня интересует Веста."], True),
        (["Hi, I would like to book an oil change.", "Could you tell me your number? I can book you in."], True),
        (["Здравствуйте, это Анна из автосалона.", "Перезвоните мне, пожалуйста."], False),
        (["Меня интересует Веста. Сколько стоит?"], False),
        ([], False),
    ],
)
def test_words_tell_whether_both_sides_speak(texts: list[str], both: bool) -> None:
    assert both_sides_speak(texts) == both
