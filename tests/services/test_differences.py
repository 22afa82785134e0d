"""How two analyses differ, by numbers that are reckoned by hand."""

from __future__ import annotations

from typing import Any

from appliance.models import AnalysisVersion
from appliance.services import differences


def made(**changes: Any) -> AnalysisVersion:
    common = {"sentiment": "neutral", "sentiment_score": 0.0, "topics": ["кредит", "цена"], "intents": []}
    return AnalysisVersion(
        **{**common, "summary": "раз два три четыре", "action_items": [], "outcome": None, **changes}
    )


def test_a_call_is_changed_where_a_person_would_see_it() -> None:
    old = made()
    assert differences.of_call(old, made(sentiment_score=0.05, topics=["Цена", "кредит"], summary="раз два три")) == []
    new = made(sentiment="positive", sentiment_score=0.4, topics=["цена"], summary="раз", outcome="sold")
    assert differences.of_call(old, new) == ["sentiment", "sentiment_score", "topics", "outcome", "summary_words"]


def test_a_table_of_all_calls() -> None:
    pairs = [
        (made(), made()),
        (made(sentiment_score=0.4), made(sentiment="positive", sentiment_score=0.8, topics=["цена", "гарантия"])),
        (made(), made(action_items=["Перезвонить"], summary="раз два", topics=[])),
    ]
    table = {row.field: row for row in differences.of_calls(pairs)}
    assert (table["sentiment"].compared, table["sentiment"].changed, table["sentiment"].agreement) == (3, 1, 0.667)
    assert (table["topics"].changed, table["topics"].agreement) == (2, round((1 + 1 / 3 + 0) / 3, 3))
    assert (table["topics"].old_mean, table["topics"].new_mean) == (2, round((2 + 2 + 0) / 3, 3))
    assert (table["sentiment_score"].changed, table["sentiment_score"].agreement) == (1, None)
    assert (table["sentiment_score"].old_mean, table["sentiment_score"].new_mean) == (0.133, 0.267)
    assert (table["action_items"].changed, table["action_items"].agreement) == (1, 0.667)
    assert (table["summary_words"].changed, table["summary_words"].new_mean) == (1, 3.333)
    assert (table["intents"].changed, table["intents"].agreement) == (0, 1)


def test_with_nothing_to_compare_there_is_nothing_to_say() -> None:
    row = differences.of_calls([])[0]
    assert (row.compared, row.changed, row.agreement, row.old_mean) == (0, 0, None, None)
