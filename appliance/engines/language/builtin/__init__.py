"""The analyst without a language model: lemmas, a lexicon, a dealership ontology and a classifier of intents.

Deterministic and honest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.engines.language import Analysis, AnalysisRecord, Conversation, Speaker, Used
from appliance.engines.language.builtin.actions import action_items, intents_of_tasks, tasks_of
from appliance.engines.language.builtin.classifier import intents_by
from appliance.engines.language.builtin.details import details_of
from appliance.engines.language.builtin.lemmas import read
from appliance.engines.language.builtin.ontology import intents_of, ontology, topics_of, with_feeling
from appliance.engines.language.builtin.sentiment import score_of
from appliance.engines.language.builtin.summary import summarise
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
        said = read(conversation.utterances, language)
        score = score_of(said, language)
        sentiment = label_of(score)
        wanted = intents_of(said, language)
        tasks = tasks_of(said, language, wanted)
        plain = with_feeling([*wanted, *intents_of_tasks(tasks, wanted)], score)
        intents = intents_by(said, plain)
        found = topics_of(said, language, topics, intents)
        items = action_items(tasks, language)
        analysis = Analysis(
            sentiment=sentiment,
            sentiment_score=score,
            topics=found,
            intents=intents,
            summary=summarise(said, language, found, items, sentiment),
            action_items=items,
            language=language,
            details=details_of(said, language, plain, tasks),
        )
        return AnalysisRecord(analysis, self.provider, self.model, ontology().version)

    def manager_of(self, conversation: Conversation) -> Speaker | None:  # noqa: ARG002
        """Its rules have been asked already (engines/roles.py): nothing more can be told."""
        return None


def language_of(conversation: Conversation) -> str:
    """`ru` or `en`: what the speech engine heard, unless the script contradicts it."""
    text = " ".join(utterance.text for utterance in conversation.utterances[:SAMPLE])
    cyrillic, latin = len(CYRILLIC.findall(text)), len(LATIN.findall(text))
    heard = conversation.language if conversation.language in {"ru", "en"} else ""
    if cyrillic == latin:
        return heard or "ru"
    return "ru" if cyrillic > latin else "en"
