"""Topics and intents, from the ontology in data/ontology.yaml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import yaml

from appliance.engines.language.builtin.lemmas import Said, lemma, lemmas_of
from appliance.engines.language.builtin.patterns import Pattern, pattern
from appliance.engines.language.limits import TOPICS

DATA = Path(__file__).parent / "data" / "ontology.yaml"
MOST_INTENTS = 5

SECONDARY = {"appointment": 0.4, "callback": 0.5, "price": 0.7, "availability": 0.7, "documents": 0.6}
"""Topics that go along with others say less about a call than the others do."""

CLIENT_WEIGHT = 1.5
NORMAL = {language: partial(lemma, language=language) for language in ("ru", "en")}


@dataclass(frozen=True, slots=True)
class Ontology:
    """The data file, its patterns read, by language."""

    version: str
    labels: Mapping[str, Mapping[str, str]]
    topics: Mapping[str, Mapping[str, tuple[Pattern, ...]]]
    intents: Mapping[str, Mapping[str, tuple[Pattern, ...]]]
    actions: Mapping[str, Mapping[str, Any]]


def patterns_of(texts: Sequence[str], language: str) -> tuple[Pattern, ...]:
    """Patterns read, their words lemmatised as those of texts are."""
    return tuple(pattern(text, NORMAL[language]) for text in texts)


@lru_cache
def ontology() -> Ontology:
    """The ontology, read once."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))

    def by_language(entry: Mapping[str, Any]) -> dict[str, tuple[Pattern, ...]]:
        return {language: patterns_of(entry[language], language) for language in ("ru", "en")}

    return Ontology(
        version=str(data["version"]),
        labels={name: entry["label"] for name, entry in data["topics"].items()},
        topics={name: by_language(entry) for name, entry in data["topics"].items()},
        intents={name: by_language(entry) for name, entry in data["intents"].items()},
        actions={
            name: {
                "task": entry["task"],
                **{who: by_language(entry[who]) for who in ("manager", "client")},
            }
            for name, entry in data["actions"].items()
        },
    )


def topic_scores(said: Sequence[Said], language: str) -> dict[str, float]:
    """How much a conversation is about each topic; those it does not touch are left out."""
    scores: dict[str, float] = {}
    for sentence in said:
        weight = CLIENT_WEIGHT if sentence.speaker == "A" else 1.0
        for name, found in ontology().topics.items():
            if any(p.ends(sentence.lemmas) for p in found[language]):
                scores[name] = scores.get(name, 0.0) + weight * SECONDARY.get(name, 1.0)
    return scores


def topics_of(said: Sequence[Said], language: str, preferred: Sequence[str] = ()) -> tuple[str, ...]:
    """Labels of the topics, the weightiest first, at most five; the site's own topics that occur come before others."""
    spoken = {word for sentence in said for word in sentence.lemmas}
    own = [topic for topic in preferred if (words := lemmas_of(topic, language)) and spoken.issuperset(words)]
    scores = topic_scores(said, language)
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    labels = [ontology().labels[name][language] for name in ranked]
    return tuple(dict.fromkeys([*own, *labels]))[:TOPICS]


def intents_of(said: Sequence[Said], language: str) -> tuple[str, ...]:
    """Codes of what the client wants, in the order in which he comes to it, at most five."""
    found: dict[str, int] = {}
    for n, sentence in enumerate(said):
        if sentence.speaker == "A":
            for name, patterns in ontology().intents.items():
                if name not in found and any(p.ends(sentence.lemmas) for p in patterns[language]):
                    found[name] = n
    if "wrong_number" in found:
        return ("wrong_number",)
    return tuple(sorted(found, key=lambda name: found[name]))[:MOST_INTENTS]
