"""Topics and intents, from the ontology in data/ontology.yaml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from appliance.engines.language.builtin.lemmas import Said, lemmas_of
from appliance.engines.language.builtin.negation import is_unwanted
from appliance.engines.language.builtin.patterns import Patterns
from appliance.engines.language.limits import TOPICS

DATA = Path(__file__).parent / "data" / "ontology.yaml"
LANGUAGES = ("ru", "en")
MOST_INTENTS = 5

MANAGER_WEIGHT = 0.6
"""What the manager brings up is less what the call is about than what the client does."""

ENOUGH = 0.6
SHARE_OF_FIRST = 0.25
"""A topic needs this score, and this share of the first topic's, to be named."""

MOST_HITS = 4
"""Sentences on one topic that count: a long quarrel about a price stays a call about the car."""

OPENING = 0.6
"""Why a client calls is said in this share of the sentences; later, but for some intents, details are settled."""

CLEAR_FEELING = 0.45
"""Scores from here on are a complaint or a praise even where no word of the ontology says so."""


@dataclass(frozen=True, slots=True)
class Ontology:
    """The data file: labels and weights of topics by name, who must say them, and the patterns by language."""

    version: str
    labels: Mapping[str, Mapping[str, str]]
    weights: Mapping[str, float]
    client_only: frozenset[str]
    topics: Mapping[str, Patterns]
    intents: Mapping[str, Patterns]
    said_by_anyone: frozenset[str]
    late: frozenset[str]
    yields: Mapping[str, frozenset[str]]


@lru_cache
def ontology() -> Ontology:
    """The ontology, read once."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))

    def filled(texts: Sequence[str], language: str) -> list[str]:
        return [text.replace("CAR", data["cars"][language]) for text in texts]

    def patterns(section: Mapping[str, Any]) -> dict[str, Patterns]:
        return {
            lang: Patterns({name: filled(entry[lang], lang) for name, entry in section.items()}, lang)
            for lang in LANGUAGES
        }

    topics, intents = data["topics"], data["intents"]
    return Ontology(
        version=str(data["version"]),
        labels={name: entry["label"] for name, entry in topics.items()},
        weights={name: float(entry.get("weight", 1)) for name, entry in topics.items()},
        client_only=frozenset(name for name, entry in topics.items() if entry.get("speaker") == "client"),
        topics=patterns(topics),
        intents=patterns(intents),
        said_by_anyone=frozenset(name for name, entry in intents.items() if entry.get("speaker") == "any"),
        late=frozenset(name for name, entry in intents.items() if entry.get("late")),
        yields={name: frozenset(entry.get("yields", ())) for name, entry in intents.items()},
    )


def topic_scores(said: Sequence[Said], language: str) -> dict[str, float]:
    """How much a conversation is about each topic; those it does not touch are left out."""
    known = ontology()
    scores, sentences = dict[str, float](), Counter[str]()
    for sentence in said:
        for name in {hit.name for hit in known.topics[language].hits(sentence.words)}:
            is_client = sentence.speaker == "A"
            if sentences[name] < MOST_HITS and (is_client or name not in known.client_only):
                sentences[name] += 1
                share = 1.0 if is_client else MANAGER_WEIGHT
                scores[name] = scores.get(name, 0.0) + known.weights[name] * share
    return scores


def topics_of(
    said: Sequence[Said], language: str, preferred: Sequence[str] = (), intents: Sequence[str] = ()
) -> tuple[str, ...]:
    """Labels of the topics, the weightiest first, at most five; the site's own topics that occur come before others."""
    spoken = {found.lemma for sentence in said for found in sentence.words} if preferred else set[str]()
    own = [topic for topic in preferred if (words := lemmas_of(topic, language)) and spoken.issuperset(words)]
    scores = topic_scores(said, language)
    for name in ("complaint", "wrong_number"):
        if name in intents:
            scores[name] = max(scores.values(), default=0.0) + 1
    least = max(ENOUGH, SHARE_OF_FIRST * max(scores.values(), default=0.0))
    ranked = sorted((name for name in scores if scores[name] >= least), key=lambda name: (-scores[name], name))
    if "wrong_number" in intents:
        ranked = ["wrong_number"]
    return tuple(dict.fromkeys([*own, *(ontology().labels[name][language] for name in ranked)]))[:TOPICS]


def intents_of(said: Sequence[Said], language: str) -> tuple[str, ...]:
    """Codes of what the client says that he wants, in the order in which he comes to it."""
    known, found = ontology(), dict[str, None]()
    for sentence in said:
        named = _named(sentence, language)
        for name in named:
            is_timely = sentence.place <= OPENING or name in known.late or not found
            if is_timely and known.yields[name].isdisjoint(named):
                found.setdefault(name)
    return tuple(found)


def _named(sentence: Said, language: str) -> list[str]:
    """What one sentence asks for, in the order of its words."""
    known = ontology()
    hits = (
        hit
        for hit in known.intents[language].hits(sentence.words)
        if (sentence.speaker == "A" or hit.name in known.said_by_anyone) and not is_unwanted(sentence, hit, language)
    )
    return list(dict.fromkeys(hit.name for hit in hits))


def with_feeling(intents: Sequence[str], score: float) -> tuple[str, ...]:
    """At most five intents; a clear sentiment makes a complaint, or praise where the client wants nothing else."""
    found = dict.fromkeys(intents)
    if "wrong_number" in found:
        return ("wrong_number",)
    if score <= -CLEAR_FEELING:
        found.setdefault("complaint")
    if score >= CLEAR_FEELING and not found:
        found.setdefault("feedback")
    return tuple(found)[:MOST_INTENTS]
