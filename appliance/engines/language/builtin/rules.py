"""What the rules find in a call: wordings of the ontology, tasks and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from appliance.engines.language import Utterance
from appliance.engines.language.builtin.actions import Planned, intents_of_tasks, tasks_of
from appliance.engines.language.builtin.lemmas import Said, read
from appliance.engines.language.builtin.ontology import declined, intents_of, topic_scores, with_feeling
from appliance.engines.language.builtin.outcome import outcome_by_rules
from appliance.engines.language.builtin.sentiment import score_of
from appliance.engines.language.claims import Outcome


@dataclass(frozen=True, slots=True)
class Ruled:
    """A call as the rules read it.

    score: of the sentiment. intents: codes, in the order in which they come up. declined: codes of what the client does
    not want. topics: how much the call is about each. tasks: frames of what is to be done.
    """

    said: tuple[Said, ...]
    language: str
    score: float
    intents: tuple[str, ...]
    declined: frozenset[str]
    topics: Mapping[str, float]
    tasks: Mapping[str, Planned]
    outcome: Outcome

    @property
    def client_words(self) -> int:
        """How much the client says."""
        return sum(len(sentence.words) for sentence in self.said if sentence.speaker == "A")


def by_rules(utterances: Iterable[Utterance], language: str) -> Ruled:
    """Read a conversation in Russian or English."""
    said = read(utterances, language)
    score = score_of(said, language)
    wanted = intents_of(said, language)
    tasks = tasks_of(said, language, wanted)
    intents = with_feeling([*wanted, *intents_of_tasks(tasks, wanted)], score)
    return Ruled(
        said=tuple(said),
        language=language,
        score=score,
        intents=intents,
        declined=declined(said, language) - {*intents},
        topics=topic_scores(said, language),
        tasks=tasks,
        outcome=outcome_by_rules(said, language, intents, tasks),
    )
