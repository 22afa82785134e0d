"""What clients want, told by single sentences in many wordings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.engines.language import Conversation, Utterance
from appliance.engines.language.builtin import BuiltinAnalyst
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
