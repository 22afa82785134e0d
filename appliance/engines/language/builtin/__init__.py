"""The analyst without a language model: lemmas, a lexicon, a dealership ontology. Deterministic and honest."""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.engines.language import Analysis, AnalysisRecord, Conversation
from appliance.engines.language.builtin.actions import action_items
from appliance.engines.language.builtin.lemmas import read
from appliance.engines.language.builtin.ontology import intents_of, ontology, topics_of
from appliance.engines.language.builtin.sentiment import score_of
from appliance.engines.language.builtin.summary import summarise
from appliance.engines.language.limits import label_of

CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
LATIN = re.compile(r"[a-z]", re.IGNORECASE)


class BuiltinAnalyst:
    """See Analyst. Safe to use from many threads."""

    provider = "builtin"
    model = "builtin"

    def analyse(self, conversation: Conversation, *, topics: Sequence[str] = ()) -> AnalysisRecord:
        """Analyse a conversation in Russian or English; others are treated as the one whose script they share."""
        language = language_of(conversation)
        said = read(conversation.utterances, language)
        score = score_of(said, language)
        found = topics_of(said, language, topics)
        tasks = action_items(said, language)
        analysis = Analysis(
            sentiment=label_of(score),
            sentiment_score=score,
            topics=found,
            intents=intents_of(said, language),
            summary=summarise(said, language, found, tasks),
            action_items=tasks,
            language=language,
        )
        return AnalysisRecord(analysis, self.provider, self.model, ontology().version)


def language_of(conversation: Conversation) -> str:
    """`ru` or `en`: by script, which is surer than the ear of a speech engine."""
    text = " ".join(utterance.text for utterance in conversation.utterances[:200])
    cyrillic, latin = len(CYRILLIC.findall(text)), len(LATIN.findall(text))
    if cyrillic == latin == 0:
        return "en" if conversation.language == "en" else "ru"
    return "ru" if cyrillic >= latin else "en"
