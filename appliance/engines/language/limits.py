"""The limits of an analysis, enforced whoever made it."""

from __future__ import annotations

import re

from appliance.engines.language import Sentiment

SUMMARY_WORDS = 120
TOPICS = 5
ITEM_WORDS = 30
NEUTRAL_BELOW = 0.1
"""Scores closer to zero than this are neutral."""

SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")


def shorten(text: str, words: int = SUMMARY_WORDS) -> str:
    """At most so many words, whole sentences; a first sentence that is too long alone is cut after its last word."""
    kept: list[str] = []
    for sentence in SENTENCE_END.split(" ".join(text.split())):
        if len(" ".join([*kept, sentence]).split()) > words:
            break
        kept.append(sentence)
    return " ".join(kept) if kept else " ".join(text.split()[:words])


def shorten_item(text: str, words: int = ITEM_WORDS) -> str:
    """One item on one line, at most so many words."""
    return shorten(text, words).rstrip(".")


def label_of(score: float) -> Sentiment:
    """The sentiment that a score stands for."""
    if score > NEUTRAL_BELOW:
        return "positive"
    return "negative" if score < -NEUTRAL_BELOW else "neutral"


def consistent_score(sentiment: Sentiment, score: float) -> float:
    """The score, within -1..1, pulled to the side that its label names where they contradict each other."""
    score = max(-1.0, min(1.0, score))
    if label_of(score) == sentiment:
        return round(score, 3)
    return {"positive": max(abs(score), 0.3), "negative": -max(abs(score), 0.3), "neutral": 0.0}[sentiment]


def distinct(items: list[str], most: int) -> tuple[str, ...]:
    """The first `most` items that are not empty and not said before in another case."""
    seen: dict[str, str] = {}
    for item in (" ".join(i.split()) for i in items):
        if item:
            seen.setdefault(item.casefold(), item)
    return tuple(seen.values())[:most]
