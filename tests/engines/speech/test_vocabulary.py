"""Names nearly heard are put right, and nothing else is."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
import yaml

from appliance.engines.speech import Correction, SpokenSegment, Transcription, Word
from appliance.engines.speech.corrections import corrected
from appliance.engines.speech.vocabulary import Name, Vocabulary, forms_of, makes_and_models, of_names
from appliance.evaluation.dialogues import SHIPPED as LABELLED
from tests.conftest import ROOT, SAMPLES


def heard(text: str, language: str = "ru") -> Transcription:
    """A second for each word."""
    words = tuple(Word(word, n * 1000, n * 1000 + 900, 0.5) for n, word in enumerate(text.split()))
    segment = SpokenSegment(0, len(words) * 1000, text, 0.5, language, words)
    return Transcription(language, 1.0, (segment,))


def put_right(text: str, language: str = "ru", vocabulary: Vocabulary | None = None) -> str:
    found = corrected(heard(text, language), vocabulary or makes_and_models())
    (segment,) = found.segments
    assert " ".join(word.text for word in segment.words) == segment.text
    return segment.text


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Хочу посмотреть хавал джульен, новый.", "Хочу посмотреть хавал Джулион, новый."),
        ("а хавал жульен есть?", "а Хавал Джулион есть?"),
        ("приехал на хавал джульене", "приехал на хавал Джулионе"),
        ("Есть «Джилли Манжаро»?", "Есть «Джили Монжаро»?"),
        ("мне чери тига нужна", "мне Чери Тигго нужна"),
        ("Мы жили в Самаре, а жили монжаро не видели", "Мы жили в Самаре, а Джили Монжаро не видели"),
        ("сколько стоит фольксвален", "сколько стоит Фольксваген"),
        ("у меня митсубисси аутлендор", "у меня Мицубиси Аутлендер"),
        ("лада весто", "лада Веста"),
    ],
)
def test_names_nearly_heard_are_put_right(said: str, written: str) -> None:
    assert put_right(said) == written


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("do you have the hyundai tuscon", "do you have the hyundai Tucson"),
        ("a new volkswagon please", "a new Volkswagen please"),
    ],
)
def test_names_in_latin_letters_too(said: str, written: str) -> None:
    assert put_right(said, "en") == written


def test_what_was_heard_is_kept_with_its_time() -> None:
    found = corrected(heard("это чери тига, да"), makes_and_models())
    assert found.corrections == (Correction(1000, 2900, "чери тига,", "Чери Тигго,"),)
    assert [(word.text, word.start_ms, word.end_ms) for word in found.segments[0].words][1:3] == [
        ("Чери", 1000, 1900),
        ("Тигго,", 2000, 2900),
    ]


def test_several_words_for_one_share_its_time() -> None:
    vocabulary = of_names([Name("Авто Град", ("автоград",))])
    found = corrected(heard("салон автоград"), vocabulary)
    assert [(w.text, w.start_ms, w.end_ms) for w in found.segments[0].words] == [
        ("салон", 0, 900),
        ("Авто", 1000, 1450),
        ("Град", 1450, 1900),
    ]


def test_english_plurals_stay() -> None:
    assert put_right("two Hondas and the Volkswagen's wheel", "en") == "two Hondas and the Volkswagen's wheel"


def ordinary() -> list[tuple[str, str]]:
    """Every sentence of the labelled calls, the samples and the phrases that the demo weights learnt.

    But for the calls in which people call cars as they please: "Солярик", "Каптур".
    """
    labelled = yaml.safe_load(LABELLED.read_text(encoding="utf-8"))["dialogues"]
    plain = [dialogue for dialogue in labelled if dialogue["split"] != "heldout3"]
    samples = yaml.safe_load((SAMPLES / "dialogues.yaml").read_text(encoding="utf-8")).values()
    spoken = [(turn["text"], dialogue["language"]) for dialogue in plain for turn in dialogue["turns"]]
    spoken += [(text, dialogue["language"]) for dialogue in samples for _, text in dialogue["lines"]]
    return spoken


def test_ordinary_speech_stays_as_it_is() -> None:
    sentences = ordinary()
    assert len(sentences) > 700
    changed = {
        text: written
        for text, language in sentences
        if (written := put_right(text, language)) != " ".join(text.split())
    }
    assert changed == {}


@pytest.mark.parametrize(
    "text",
    [
        "На Джулионе и Солярисе, в Весту, Хавалом, Хендэ, Хёндай, у Хавейла, от Мицубиши",
        "Мы жили в Чебоксарах, ели жульен, а Тигран и Юлиан Каримов ждали",
        "атласный поло рапидно партнёрка компасы, дорого, хавать, хантеры, джипы, бэха, тигр",
        "Саид Гаджиев, Рафаил Хабиров, Зульфия Мингазова, Арман Досжанов, Гульнара Исмагилова",
        "Экзид, Экзида, Джетту, Тойоту, Камри, на Камрях, Крету, Кретой, Фольксвагене",
    ],
)
def test_inflected_names_and_other_peoples_names_stay(text: str) -> None:
    assert put_right(text) == text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Крузак двухсотый, на крузаке, у Тойоты крузака, с прадиком, и прадик, и Прадо", "ru"),
        ("Солярик, на солярике, Хендай солярик, солярка, лил соляру, Солярис", "ru"),
        ("бэха, на бэхе, БМВ бэху, бумер, бимера, мерин, гелик, Мерседес гелик, на ешке", "ru"),
        ("Ниссан кашак, на кашаке, кашкаец, тиана, Ниссан Тиана, Ниссан Тиида, икстрейл", "ru"),
        ("Мицубиси паджерик, лансерок, на паджере, аутлик; субара, Субару форик, субарик", "ru"),
        ("киашка, Киа сорентик, рийка, Киа спортаж, на сидике, Киа цератка", "ru"),
        ("хендайка, Хендай сантафе, кретка, на кретке, туссик, элантрик, сонатка", "ru"),
        ("Шевроле крузик, каптивка, лачетти, авеоха, шнива, Форд мондик, фокусик, фиестка", "ru"),
        ("Фольксваген пассатик, туарик, джетка, полик, тигуанчик, тайрон, шкодка, октавка, рапидка", "ru"),
        ("Рено логанчик, дастерок, на дастике, сандерик, Каптур, каптурчик, меганка, арканка", "ru"),
        ("Лада весточка, приорка, ларгусик, грантец, нивка, калинка, газелька, соболёк", "ru"),
        ("хавалик, Хавал джолик, Чери тигоша, джилька, Джили монжарик, кулрейка, эксидик, омодка, зикрик", "ru"),
        ("поршик, каенка, лексусик, финик, рейндж, ягуарчик, чирок, каддик, теслик, вольвочка", "ru"),
        ("a Beamer, two Beemers, his Bimmer's wheel, the Chevy, Chevrolet Blazer, Chevies", "en"),
        ("my Merc, a Caddy, the Vette, a Stang, Ford Maverick, Jeep Renegade, the Jag, a Landie", "en"),
        ("Toyota Corona, Toyota Sienna, Nissan Maxima, Nissan Altima, Honda Accordy, a Subie", "en"),
        ("Hyundai Accent, Hyundai Kona, Kia Forte, Volkswagen Arteon, Porsche Cayman, a Veedub", "en"),
    ],
)
def test_what_people_call_cars_is_no_other_model(text: str, language: str) -> None:
    assert put_right(text, language) == text


def test_every_listed_nickname_stays_in_every_case_beside_every_make() -> None:
    listed = yaml.safe_load((ROOT / "appliance/engines/speech/nicknames.yaml").read_text(encoding="utf-8"))
    makes = {"ru": ("Лада", "Хендай", "Тойота", "Шевроле"), "en": ("Hyundai", "Toyota", "Chevrolet")}
    for language, beside in makes.items():
        names = [word for row in listed[language] for word in row]
        assert len(names) >= 90
        for name in names:
            text = " ".join(f"{make} {form}" for make, form in product(beside, forms_of(name)))
            assert put_right(text, language) == text


def test_a_nickname_guards_no_mishearing() -> None:
    assert put_right("на солярисе и на солярес, хавал джулиен, кашкаи") == (
        "на солярисе и на Солярис, хавал Джулион, Кашкай"
    )
    site = of_names([Name("Ленд Крузер", ("крузак",))]).joined(makes_and_models())
    assert put_right("продаю крузак", vocabulary=site) == "продаю Ленд Крузер"


def test_people_are_not_called_by_likeness_alone() -> None:
    """A client's surname that is like a manager's stays the client's."""
    people = of_names([Name("Анна Керимова")], alone=False)
    assert put_right("соедините с Керимавой", vocabulary=people) == "соедините с Керимавой"
    assert put_right("это Анна Керимава", vocabulary=people) == "это Анна Керимова"


def test_a_language_without_a_dictionary_is_left_alone_but_for_listed_mishearings() -> None:
    assert put_right("сәлем фольксвален", "kk") == "сәлем фольксвален"
    assert put_right("сәлем чери тига", "kk") == "сәлем Чери Тигго"


def test_the_data_names_what_is_sold() -> None:
    vocabulary = makes_and_models()
    data = yaml.safe_load((ROOT / Path("appliance/engines/speech/vocabulary.yaml")).read_text(encoding="utf-8"))
    assert sum(len(make.get("models", {})) for make in data["makes"]) >= 60
    assert {"хавал", "джулион", "монжаро", "эксид", "омода", "джейку", "changan", "jolion"} <= vocabulary.right


def test_hot_words_keep_to_a_language_and_to_what_whisper_takes_in() -> None:
    vocabulary = of_names([Name("Автосалон Восток")]).joined(makes_and_models())
    russian, english = vocabulary.hot_words("ru"), vocabulary.hot_words("en")
    assert russian[:3] == ("Автосалон Восток", "Лада", "Веста")
    assert english[:2] == ("Lada", "Vesta")
    assert 350 < max(len(", ".join(russian)), len(", ".join(english))) <= 400
    assert vocabulary.hot_words("kk") == russian
    assert not of_names([]).hot_words("ru")
