"""The analyst without a language model: lemmas, a lexicon, a dealership ontology and a classifier.

Deterministic and honest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.engines.language import Analysis, AnalysisRecord, Conversation, Speaker, Used
from appliance.engines.language.builtin.actions import action_items
from appliance.engines.language.builtin.classifier import (
    Likely,
    intents_by,
    likelihoods,
    outcome_by,
    telling,
    topics_by,
)
from appliance.engines.language.builtin.details import details_of
from appliance.engines.language.builtin.ontology import labelled, ontology
from appliance.engines.language.builtin.outcome import outcome_as
from appliance.engines.language.builtin.rules import Ruled, by_rules
from appliance.engines.language.builtin.summary import summarise
from appliance.engines.language.claims import Outcome
from appliance.engines.language.limits import label_of

CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
LATIN = re.compile(r"[a-z]", re.IGNORECASE)
SAMPLE = 200
"""Utterances that show which script a call is written in."""


class BuiltinAnalyst:
    """See Analyst. Safe to use from many threads."""

    provider = "builtin"
    model = "builtin"
    used = Used()

    def analyse(self, conversation: Conversation, *, topics: Sequence[str] = ()) -> AnalysisRecord:
        """Analyse a conversation in Russian or English; others are treated as the one whose script they share."""
        language = language_of(conversation)
        call = by_rules(conversation.utterances, language)
        likely = likelihoods(call)
        sentiment = label_of(call.score)
        intents = intents_by(call, likely)
        found = labelled(topics_by(call, likely, intents), call.said, language, topics)
        items = action_items(call.tasks, language)
        analysis = Analysis(
            sentiment=sentiment,
            sentiment_score=call.score,
            topics=found,
            intents=intents,
            summary=summarise(call.said, language, found, items, sentiment),
            action_items=items,
            language=language,
            details=details_of(call.said, language, call.intents, call.tasks, _outcome(call, likely, intents)),
        )
        return AnalysisRecord(analysis, self.provider, self.model, ontology().version)

    def manager_of(self, conversation: Conversation) -> Speaker | None:  # noqa: ARG002
        """Its rules have been asked already (engines/roles.py): nothing more can be told."""
        return None


def _outcome(call: Ruled, likely: Likely, intents: Sequence[str]) -> Outcome:
    kind = outcome_by(call, likely, intents)
    if kind == call.outcome.kind:
        return call.outcome
    return outcome_as(kind, call.outcome, call.said, call.language, call.tasks, telling(call, kind))


def language_of(conversation: Conversation) -> str:
    """`ru` or `en`: what the speech engine heard, unless the script contradicts it."""
    text = " ".join(utterance.text for utterance in conversation.utterances[:SAMPLE])
    cyrillic, latin = len(CYRILLIC.findall(text)), len(LATIN.findall(text))
    heard = conversation.language if conversation.language in {"ru", "en"} else ""
    if cyrillic == latin:
        return heard or "ru"
    return "ru" if cyrillic > latin else "en"
