"""Personal data leaves masked and comes back word for word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.engines.language import Conversation, Utterance
from appliance.engines.language.endpoint import Endpoint
from appliance.engines.language.masking import MaskedConversation, found_in
from appliance.engines.language.masking.people import People, reads_as_a_person
from appliance.engines.language.openai_compatible import OpenAiCompatibleAnalyst
from appliance.engines.language.profiles import Profile
from appliance.engines.language.transport import Sending
from appliance.evaluation import masking
from tests.engines.language.test_openai_compatible import Book, long_call
from tests.llm.scripted import Scripted, answer_to, is_join, serving, transcript_of, well

SECRETS = ("Сидоров", "Иван", "916", "девятьсот шестнадцать", "4510", "ivan", "Ленина", "А123ВС")

SAID = (
    ("B", "Автосалон, Анна, здравствуйте."),
    (
        "A",
        "Меня зовут Иван Петрович Сидоров, мой телефон восемь девятьсот шестнадцать сто двадцать три сорок пять шесть.",
    ),
    ("A", "Паспорт 4510 123456, почта ivan@mail.ru, живу на улице Ленина, дом 5, госномер А123ВС77."),
    ("B", "Иван Петрович, записал вас на тест-драйв Лады Весты в субботу."),
    ("A", "Ещё номер жены, запишите: восемь девятьсот"),
    ("B", "да"),
    ("A", "двадцать шесть"),
    ("A", "сорок сорок один"),
)


def conversation(*said: tuple[str, str]) -> Conversation:
    made = tuple(Utterance(str(n), w, n * 4000, n * 4000 + 3000, t) for n, (w, t) in enumerate(said))  # type: ignore[arg-type]
    return Conversation(made, "ru", "incoming")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as script:
        yield script


def analyst(server: Scripted, **changes: Any) -> OpenAiCompatibleAnalyst:
    cloud = Profile(name="openai", residency="cloud", base_url=server.url, model="m", timeout_s=10, **changes)
    return OpenAiCompatibleAnalyst(Endpoint(cloud), mask=MaskedConversation, sending=Sending(Book()))


def test_what_is_masked_comes_back_word_for_word() -> None:
    given = conversation(*SAID)
    masked = MaskedConversation(given)
    sent = json.dumps([u.text for u in masked.conversation.utterances], ensure_ascii=False)
    assert not [secret for secret in SECRETS if secret in sent]
    assert "сорок сорок один" not in sent, "numbers dictated in pieces are masked too"
    assert "тест-драйв Лады Весты в субботу" in sent
    assert [masked.restored(u.text) for u in masked.conversation.utterances] == [u.text for u in given.utterances]
    assert masked.counts["name"] >= 3
    assert masked.counts["email"] == masked.counts["passport"] == masked.counts["plate"] == 1


def test_the_answer_is_proven_by_the_original(server: Scripted) -> None:
    """The model sees placeholders, quotes them, and the claim is checked against what was said."""
    seen: list[str] = []

    def quoting(handler: Any, body: dict[str, Any]) -> None:
        line = transcript_of(body)[3]
        seen.append(json.dumps(body, ensure_ascii=False))
        name = line[2].split(",")[0]
        proof = {"segment": "3", "quote": line[2]}
        task = {"text": f"Позвонить: {name}", "who": "manager", "due": None, **proof}
        answer = answer_to(body, tasks=[task], summary=f"Клиент {name} записан на тест-драйв.")
        handler.complete(json.dumps(answer, ensure_ascii=False))

    server.otherwise = quoting
    record = analyst(server).analyse(conversation(*SAID))
    assert not [secret for secret in SECRETS if secret in seen[0]]
    assert record.analysis.summary == "Клиент Иван Петрович записан на тест-драйв."
    assert record.analysis.action_items == ("Позвонить: Иван Петрович",)
    assert record.analysis.details.tasks[0].quote == SAID[3][1]
    assert record.masked["name"] >= 3


@pytest.mark.parametrize("name", ["[NAME_1]", "[NAME_1]у", "NAME_1у", "[name_1]", "[NAME 1]", "[ИМЯ_1]а"])
def test_a_name_leaves_masked_however_a_summary_writes_it(server: Scripted, name: str) -> None:
    """The parts' summaries are sent once more, to be joined into one; people read the name that was said."""

    def declining(handler: Any, body: dict[str, Any]) -> None:
        changes = {} if is_join(body) else {"tasks": []}
        summary = f"Менеджер обещал {name} перезвонить по номеру [PHONE_1]."
        handler.complete(json.dumps(answer_to(body, summary=summary, **changes), ensure_ascii=False))

    server.otherwise = declining
    said = [("A", "Меня зовут Сергей Сидоров, телефон 8 916 123-45-67."), *long_call(20), ("B", "Спасибо, Сергей.")]
    record = analyst(server, context_tokens=8192).analyse(conversation(*said))
    joins = [body for body in server.requests if is_join(body)]
    assert len(joins) == 1
    assert name in joins[0]["messages"][0]["content"]
    sent = json.dumps(server.requests, ensure_ascii=False)
    assert not [secret for secret in ("Сидоров", "Сергей", "916") if secret in sent]
    assert record.analysis.summary == "Менеджер обещал Сергей Сидоров перезвонить по номеру 8 916 123-45-67."


@pytest.mark.parametrize("invented", ["[NAME_77]", "[PHONE_99]", "NAME_77у", "[КЛИЕНТ_1]", "[ИМЯ]", "[MANAGER 2]"])
def test_a_placeholder_that_stands_for_nothing_is_sent_back(server: Scripted, invented: str) -> None:
    server.steps = [well(summary=f"Клиент {invented} придёт в субботу.")]
    record = analyst(server).analyse(conversation(*SAID))
    assert record.requests == 2
    assert "placeholder" in server.requests[1]["messages"][-1]["content"]
    assert invented not in record.analysis.summary


def test_a_placeholder_that_was_spoken_is_not_taken_for_ours() -> None:
    given = conversation(("A", "Меня зовут Пётр. Тут написано [NAME_1]."))
    masked = MaskedConversation(given)
    assert masked.restored(masked.conversation.utterances[0].text) == given.utterances[0].text
    assert not masked.invents(masked.conversation.utterances[0].text)


@pytest.mark.parametrize(
    "said",
    [
        "Машина стоит один миллион двести пятьдесят тысяч рублей.",
        "Пробег 85 000 километров, 2019 года, двигатель 1.6.",
        "Запишите меня на субботу в двенадцать часов на Ладу Весту.",
        "На улице холодно, приеду на Шкоде Октавии.",
    ],
)
def test_what_is_nobodys_data_stays(said: str) -> None:
    assert found_in(said, "ru") == []


KNOWN = (
    "Нурлан Бекжанов",
    "Елена Ковальчук",
    "Роман Король",
    "Иван Новый",
    "Отдел продаж",
    "Sarah Kowalski",
    "James Price",
)


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("у бекжанова сейчас клиент, а с бекжановым я говорил", ["бекжанова", "бекжановым"]),
        ("спросите у ковальчук или у елены", ["ковальчук", "елены"]),
        ("БЕКЖАНОВУ передайте", ["БЕКЖАНОВУ"]),
        ("меня зовут роман король", ["роман король"]),
        ("мне нужен иван новый", ["иван новый"]),
        ("tell kowalski that sarah called", ["kowalski", "sarah"]),
        ("james price promised me mats", ["james price"]),
        ("Price, are you there?", ["Price"]),
    ],
)
def test_names_that_are_known_are_found_in_every_form_and_case(said: str, hidden: list[str]) -> None:
    assert [said[a:b] for a, b, _ in found_in(said, "ru", people=People(KNOWN))] == hidden


@pytest.mark.parametrize(
    "said",
    [
        "меня интересует новый кроссовер, король дороги",
        "соедините с отделом продаж",
        "Отдел продаж слушает",
        "what is the price of the hybrid",
        "Price of the hybrid, please",
        "я читал роман в очереди",
    ],
)
def test_known_names_that_are_other_words_stay_where_they_are_those(said: str) -> None:
    assert found_in(said, "ru", people=People(KNOWN)) == []


def test_a_part_of_a_name_that_is_known_keeps_nothing_of_the_rest_open() -> None:
    said = "ask O'Brien Smith about it"
    assert [said[a:b] for a, b, _ in found_in(said, "en", people=People(["Pat O'Brien"]))] == ["O'Brien Smith"]


def test_known_names_are_put_back_as_they_were_said() -> None:
    given = conversation(("A", "передайте бекжанову что я приеду"), ("B", "Бекжанов слушает"))
    masked = MaskedConversation(given, ["Бекжанов Нурлан"])
    assert [u.text for u in masked.conversation.utterances] == [
        "передайте [NAME_1] что я приеду",
        "[NAME_2] слушает",
    ]
    assert [masked.restored(u.text) for u in masked.conversation.utterances] == [u.text for u in given.utterances]


def test_a_name_that_was_heard_is_hidden_at_the_beginning_of_a_sentence_too() -> None:
    """Though it is another word as well, which stays where it has no capital."""
    given = conversation(("A", "My name is Frost."), ("B", "Frost is on the list, and there is frost outside."))
    assert [u.text for u in MaskedConversation(given).conversation.utterances] == [
        "My name is [NAME_1].",
        "[NAME_1] is on the list, and there is frost outside.",
    ]


@pytest.mark.parametrize(
    ("said", "hidden"),
    [
        ("меня зовут фархат", ["фархат"]),
        ("это саркисян насчёт хавала", ["саркисян"]),
        ("передайте васильевой что я приеду", ["васильевой"]),
        ("my name is john smith and i call about the lease", ["john smith"]),
        ("ask for mark please", ["mark"]),
        ("this is jessica from service", ["jessica"]),
    ],
)
def test_what_introduces_a_name_does_so_in_lower_case_too(said: str, hidden: list[str]) -> None:
    assert [said[a:b] for a, b, _ in found_in(said, "ru" if said[0] > "z" else "en")] == hidden


@pytest.mark.parametrize(
    "said",
    [
        "это машина две тысячи двадцатого года",
        "у вас есть свою мазду посмотреть, или по мазде скидки",
        "меня зовут на работу раньше",
        "i am calling about the silver accord",
        "this is regarding my oil change",
        "i will come by in may",
        "what is the max discount",
    ],
)
def test_what_looks_like_an_introduction_hides_nothing(said: str) -> None:
    assert found_in(said, "ru" if said[0] > "z" else "en") == []


def test_a_vocabulary_holds_people_and_dealerships() -> None:
    assert reads_as_a_person("Гульнара Хабибуллина")
    assert reads_as_a_person("Jessica Doe")
    assert not any(map(reads_as_a_person, ("Автоцентр на Ленинском", "Haval Jolion", "Лада", "Trade Center")))


def test_the_labelled_sentences_are_masked() -> None:
    """The figures of docs/evaluation.md, with some room: a change of rules that loses much is seen here."""
    sentences = masking.load_sentences()
    assert len(sentences) >= 200
    scores = {score.split: score for score in masking.evaluate(sentences) if score.kind == "all"}
    assert scores["tune"].recall > 0.97
    assert scores["heldout"].recall > 0.93
    assert min(score.precision for score in scores.values()) > 0.95


def test_names_in_lower_case_are_masked() -> None:
    """The same of names that recognition wrote without capitals, in both languages."""
    sentences = masking.load_sentences(masking.LOWER_CASE)
    languages = [sentence.language for sentence in sentences]
    assert len(sentences) >= 60
    assert min(languages.count("ru"), languages.count("en")) >= 20
    assert sum(sentence.split == "heldout" for sentence in sentences) >= len(sentences) // 3
    scores = {score.split: score for score in masking.evaluate(sentences) if score.kind == "all"}
    assert scores["tune"].recall > 0.97
    assert scores["heldout"].recall > 0.9
    assert min(score.precision for score in scores.values()) > 0.85
