"""Topics and intents, from the ontology in data/ontology.yaml."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from appliance.engines.language.builtin.actions import frames
from appliance.engines.language.builtin.lemmas import Said, lemmas_of
from appliance.engines.language.builtin.negation import is_unwanted
from appliance.engines.language.builtin.patterns import Patterns
from appliance.engines.language.builtin.times import when_of
from appliance.engines.language.limits import TOPICS

DATA = Path(__file__).parent / "data" / "ontology.yaml"
LANGUAGES = ("ru", "en")
MOST_INTENTS = 5

EARLY = 3
"""Sentences of a client whom nobody answers that still tell why he calls."""

WORDS = 3
"""What a client says first, in so many words at least, is why he calls, greetings left out. Later, but for some
intents, details are settled."""

MANAGER_WEIGHT = 0.6
"""What the manager brings up is less what the call is about than what the client does."""

ENOUGH = 0.6
SHARE_OF_FIRST = 0.25
"""A topic needs this score, and this share of the first topic's, to be named."""

MOST_HITS = 4
"""Sentences on one topic that count: a long quarrel about a price stays a call about the car."""

WORKSHOP = "service_booking"
"""What a workshop is called with."""

NO_VISIT = frozenset(
    {
        *("repair_status", "delivery_status", "cancel", "feedback", "wrong_number", "callback_request"),
        *("documents", "parts", "insurance", "reschedule"),
    }
)
"""Of calls to a workshop with one of these, days that the manager names are not offered for a visit."""

DETAILS = frozenset({"price_request", "availability", "documents"})
"""Asked along with something else: alone they do not tell why somebody calls a department."""

ASIDES = DETAILS | {"warranty", "insurance", "accessories", "tyres", "parts", "credit"}
"""Spoken of in the course of many calls about something else: no reason to call unless it is said first."""

CANCELLED = frozenset({"test_drive", "service_booking"})
"""Appointments: whoever cancels one names it and does not want it."""

CLEAR_FEELING = 0.45
"""Scores from here on are a complaint or a praise even where no word of the ontology says so."""


@dataclass(frozen=True, slots=True)
class Ontology:
    """The data file: labels and weights of topics by name, who must say them, and the patterns by language.

    after: by context and language. about: the intent that a department is called with. companions: pairs of intents of
    one call. prevailing: intents that stay where others do not go with them.
    """

    version: str
    labels: Mapping[str, Mapping[str, str]]
    weights: Mapping[str, float]
    client_only: frozenset[str]
    topics: Mapping[str, Patterns]
    intents: Mapping[str, Patterns]
    said_by_anyone: frozenset[str]
    late: frozenset[str]
    yields: Mapping[str, frozenset[str]]
    not_after: Mapping[str, frozenset[str]]
    plainly: Mapping[str, Patterns]
    contexts: Mapping[str, Patterns]
    after: Mapping[tuple[str, str], Patterns]
    departments: Mapping[str, Patterns]
    about: Mapping[str, str]
    companions: frozenset[frozenset[str]]
    prevailing: frozenset[str]


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

    def part(section: Mapping[str, Any], key: str) -> dict[str, Any]:
        return {name: entry[key] for name, entry in section.items() if key in entry}

    topics, intents, contexts = data["topics"], data["intents"], data["contexts"]
    in_context = part(intents, "after")
    after = {
        (context, lang): Patterns(
            {name: filled(entry[context][lang], lang) for name, entry in in_context.items() if context in entry}, lang
        )
        for context in contexts
        for lang in LANGUAGES
    }
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
        not_after={name: frozenset(entry.get("not_after", ())) for name, entry in intents.items()},
        plainly=patterns(part(intents, "plainly")),
        contexts=patterns(contexts),
        after=after,
        departments=patterns(data["departments"]),
        about=part(data["departments"], "intent"),
        companions=frozenset(
            frozenset((name, other)) for name, others in data["companions"].items() for other in others
        ),
        prevailing=frozenset(data["prevailing"]),
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


def ranked(scores: Mapping[str, float]) -> tuple[str, ...]:
    """The topics that a conversation is about by its scores, the weightiest first."""
    least = max(ENOUGH, SHARE_OF_FIRST * max(scores.values(), default=0.0))
    return tuple(sorted((name for name in scores if scores[name] >= least), key=lambda name: (-scores[name], name)))


def labelled(
    topics: Sequence[str], said: Sequence[Said], language: str, preferred: Sequence[str] = ()
) -> tuple[str, ...]:
    """Labels of topics, at most five; the site's own topics that occur come before others."""
    spoken = {found.lemma for sentence in said for found in sentence.words} if preferred else set[str]()
    own = [topic for topic in preferred if (words := lemmas_of(topic, language)) and spoken.issuperset(words)]
    return tuple(dict.fromkeys([*own, *(ontology().labels[name][language] for name in topics)]))[:TOPICS]


def intents_of(said: Sequence[Said], language: str) -> tuple[str, ...]:
    """Codes of what the client says that he wants, in the order in which he comes to it."""
    known, found, contexts, exact = ontology(), dict[str, None](), set[str](), set[str]()
    for sentence, is_first in zip(said, _first_said(said), strict=True):
        contexts |= {hit.name for hit in known.contexts[language].hits(sentence.words)}
        named = _named(sentence, known.intents[language], language)
        plainly = _named(sentence, known.plainly[language], language)
        for context in sorted(contexts):
            plainly += _named(sentence, known.after[context, language], language)
        exact |= {*plainly}
        for name in (*named, *plainly):
            is_timely = is_first or name in known.late or name in plainly or not (found or name in ASIDES)
            is_own = known.yields[name].isdisjoint(named) and known.not_after[name].isdisjoint(found)
            if is_timely and (name in plainly or is_own):
                found.setdefault(name)
    for name in _of_department(said, language, found):
        found.setdefault(name)
    found = _that_go_together(found, known.prevailing | exact)
    if "cancel" in found:
        found = {name: None for name in found if name not in CANCELLED}
    return tuple(found)


def declined(said: Sequence[Said], language: str) -> frozenset[str]:
    """Codes of what the client names only to say that he does not want it."""
    known, wanted, unwanted = ontology(), set[str](), set[str]()
    for sentence in said:
        if sentence.speaker == "A":
            for hit in known.intents[language].hits(sentence.words):
                (unwanted if is_unwanted(sentence, hit, language) else wanted).add(hit.name)
    return frozenset(unwanted - wanted)


def _first_said(said: Sequence[Said]) -> list[bool]:
    """Of each sentence, whether it belongs to the first thing that the client says, or comes soon without an answer."""
    first, opening, asked, is_answered = [], "", 0, False
    for sentence in said:
        is_answered = is_answered or (bool(opening) and sentence.speaker == "B")
        asked += sentence.speaker == "A"
        if not opening and sentence.speaker == "A" and len(sentence.words) >= WORDS:
            opening = sentence.utterance
        first.append(not is_answered and (not opening or sentence.utterance == opening or asked <= EARLY))
    return first


def _that_go_together(found: Mapping[str, None], prevailing: Collection[str]) -> dict[str, None]:
    """Without those that no caller wants along with one that prevails, or that was found before."""
    companions, kept = ontology().companions, set[str]()
    for name in sorted(found, key=lambda name: name not in prevailing):
        if all(frozenset((name, other)) in companions for other in kept):
            kept.add(name)
    return {name: None for name in found if name in kept}


def _of_department(said: Sequence[Said], language: str, found: Collection[str]) -> list[str]:
    """What is wanted of who took the call, where nothing else was; of a workshop, a visit too where it names a day."""
    known = ontology()
    client = next((n for n, sentence in enumerate(said) if sentence.speaker == "A"), len(said))
    names = [hit.name for sentence in said[:client] for hit in known.departments[language].hits(sentence.words)]
    if not names or not any(sentence.words for sentence in said[client:]):
        return []
    intent = known.about[names[0]]
    if intent != WORKSHOP:
        return [intent] if DETAILS.issuperset(found) else []
    timed = [s for s in said[client:] if s.speaker == "B" and when_of(s.text, language)]
    if not found:  # opening hours are times too
        timed = [s for s in timed if s.text.endswith("?") or frames().offers[language].hits(s.words)]
    return [intent] if timed and NO_VISIT.isdisjoint(found) else []


def _named(sentence: Said, patterns: Patterns, language: str) -> list[str]:
    """What one sentence asks for, in the order of its words."""
    known = ontology()
    hits = (
        hit
        for hit in patterns.hits(sentence.words)
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
