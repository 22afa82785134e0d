"""What the built-in analyst tells of a dealership's call, and that every claim is proven by the transcript."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from appliance.engines.language import AnalysisRecord, Conversation, Utterance
from appliance.engines.language.builtin import BuiltinAnalyst
from appliance.engines.language.claims import Claim, Details, Outcome
from appliance.engines.language.proofs import Proofs
from appliance.evaluation.analysis import evaluate
from appliance.evaluation.dialogues import load_dialogues

ANALYST = BuiltinAnalyst()


def details(call: str, language: str = "ru") -> Details:
    turns = [line.strip().split(": ", 1) for line in call.strip().splitlines()]
    utterances = tuple(Utterance(str(n), who, n * 1000, n * 1000 + 900, text) for n, (who, text) in enumerate(turns))  # type: ignore[arg-type]
    return ANALYST.analyse(Conversation(utterances, language, "incoming")).analysis.details


@pytest.mark.parametrize(
    ("call", "kind", "when"),
    [
        ("A: Можно на тест-драйв?\nB: Записала вас на тест-драйв в субботу в два.", "test_drive", "в субботу в два"),
        (
            "A: Мне масло поменять.\nB: Могу записать вас на сервис в пятницу в десять утра.",
            "service_booked",
            "в пятницу в десять утра",
        ),
        ("A: Передайте Ивану, пусть перезвонит.\nB: Он перезвонит вам завтра.", "callback", "завтра"),
        ("B: Решили насчёт Монжаро?\nA: Нет, уже взял другую, у ваших конкурентов.", "lost", None),
        ("A: Хочу купить Весту.\nB: Вот договор.\nA: Всё, подписал договор, предоплату внёс.", "sold", None),
        ("B: Автосалон, добрый день.\nA: Ой, я, кажется, номером ошибся.", "no_conversation", None),
        ("A: Сколько стоит замена масла?\nB: Две тысячи.", "information", None),
        ("B: Хотите тест-драйв завтра?\nA: Нет, спасибо, не надо.", "information", None),
    ],
)
def test_how_a_call_ended(call: str, kind: str, when: str | None) -> None:
    outcome = details(call).outcome
    assert outcome
    assert (outcome.kind, outcome.when) == (kind, when)


def test_an_outcome_that_no_rule_knows_quotes_the_sentence_that_tells_it() -> None:
    found = details(
        """B: Шиномонтаж при дилере, Вадим.
        A: Вадим, привет, снег обещают, а я ещё на летней. Втисни меня куда-нибудь на этой неделе?
        B: Четверг, восемь утра, больше ничего нет.
        A: Рано, но давай, четверг в восемь. Колёса привезу с собой, они на дисках."""
    )
    assert found.outcome
    assert (found.outcome.kind, found.outcome.segment) == ("service_booked", "3")
    assert (found.outcome.when, found.outcome.quote) == ("в четверг в восемь", "Рано, но давай, четверг в восемь.")


def test_why_a_sale_was_lost() -> None:
    outcome = details("A: Мы уже купили другую машину в другом салоне.").outcome
    assert outcome
    assert (outcome.kind, outcome.reason, outcome.segment) == ("lost", "купил в другом месте", "0")


def test_what_was_spoken_of() -> None:
    found = details(
        """B: Автосалон Тойота, слушаю.
        A: У меня Киа Рио, хочу обменять по трейд-ину на Хавал Джулион в кредит.
        B: Джулион от двух миллионов.
        A: Дороговато. Надо подумать.
        B: Хорошо.
        A: Я сам вам перезвоню."""
    )
    first = found.cars[0]
    assert (first.name, first.relation, first.segment) == ("Киа Рио", "owned", "1")
    assert "Тойота" not in [car.name for car in found.cars], "that is the dealership's name"
    assert found.trade_in
    assert (found.trade_in.car, found.trade_in.segment) == ("Киа Рио", "1")
    assert found.credit
    assert [objection.text for objection in found.objections] == ["дорого", "хочет подумать"]
    assert found.next_contact
    assert (found.next_contact.by, found.next_contact.segment) == ("client", "5")


def test_nothing_is_claimed_of_a_call_that_says_nothing() -> None:
    found = details("B: Сервис.\nA: Скажите, до скольки вы работаете?\nB: До восьми.")
    assert (found.cars, found.objections, found.tasks) == ((), (), ())
    assert found.trade_in is found.credit is found.next_contact is None
    assert found.claims == 0


def claims_of(found: Details) -> list[Claim]:
    listed = [*found.cars, *found.objections, *found.tasks]
    single = [found.trade_in, found.credit, found.next_contact, found.outcome]
    return [claim for claim in [*listed, *single] if claim and claim.quote]


def test_every_claim_stands_in_the_transcript() -> None:
    """The same check that a language model's claims have to pass, on every labelled dialogue."""
    count = 0
    for dialogue in load_dialogues():
        found = ANALYST.analyse(dialogue.conversation).analysis.details
        proofs = Proofs(dialogue.conversation.utterances)
        claims = claims_of(found)
        assert [proofs.proven(claim) for claim in claims] == claims, dialogue.id
        assert found.claims == len(claims)
        count += len(claims)
    assert count > 100


def test_the_evaluation_counts_outcomes_and_proofs() -> None:
    """An analyst that quotes what nobody said, and one outcome that is wrong: both are seen."""

    class Liar(BuiltinAnalyst):
        def analyse(self, conversation: Conversation, *, topics: Sequence[str] = ()) -> AnalysisRecord:
            record = super().analyse(conversation, topics=topics)
            outcome = Outcome(kind="sold", when=None, reason=None, segment="0", quote="этого никто не говорил")
            return replace(record, analysis=replace(record.analysis, details=Details(outcome=outcome)))

    tuned = [dialogue for dialogue in load_dialogues() if dialogue.split == "tune"]
    (honest,), (lying,) = evaluate(ANALYST, tuned).groups, evaluate(Liar(), tuned).groups
    assert honest.answers
    assert lying.answers
    assert honest.answers.proven == 1
    assert honest.answers.claims > 50
    assert honest.outcome_accuracy
    assert honest.outcome_accuracy > 0.8
    assert (lying.outcome_accuracy, lying.answers.proven, lying.answers.claims) == (0, 0, len(tuned))
