"""Language analysis: a transcript to sentiment, topics, intents, a summary and what is to be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from appliance.engines.language.claims import Details

Speaker = Literal["A", "B"]
"""A is the client, B is the manager."""

Sentiment = Literal["positive", "negative", "neutral"]


@dataclass(frozen=True, slots=True)
class Utterance:
    """One segment of a transcript, as an analyst reads it. Times in milliseconds."""

    id: str
    speaker: Speaker
    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A transcript and what is known about its call. `language` is the ISO 639-1 code that the speech engine heard."""

    utterances: tuple[Utterance, ...]
    language: str
    direction: Literal["incoming", "outgoing"]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result for one call, within the limits of the frontend's contract.

    sentiment_score: -1..1, its sign agrees with `sentiment`. topics: at most 5. summary: at most 120 words.
    """

    sentiment: Sentiment
    sentiment_score: float
    topics: tuple[str, ...]
    intents: tuple[str, ...]
    summary: str
    action_items: tuple[str, ...]
    language: str
    details: Details = field(default_factory=Details)


@dataclass(frozen=True, slots=True)
class Used:
    """What one call took of its analyst, whether a valid analysis came of it or not.

    requests: those that were answered. cost: US dollars; the most that a request can cost where nobody said its tokens.
    """

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class AnalysisRecord:
    """An analysis and how it came about. `prompt_version` is the version of the ontology for `builtin`.

    tokens, cost, requests: see Used. masked: what was replaced before sending, by kind.
    """

    analysis: Analysis
    provider: str
    model: str
    prompt_version: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    requests: int = 0
    masked: dict[str, int] = field(default_factory=dict)


class Analyst(Protocol):
    """Analyses one conversation."""

    provider: str
    model: str

    @property
    def used(self) -> Used:
        """What the last `analyse` or `manager_of` has taken, also where it raised."""
        ...

    def analyse(self, conversation: Conversation, *, topics: Sequence[str] = ()) -> AnalysisRecord:
        """Analyse; `topics` are the site's own topics, preferred over others. Raises EngineError."""
        ...

    def manager_of(self, conversation: Conversation) -> Speaker | None:
        """Who of A and B is the manager, whatever is assumed; None where that cannot be told. Raises EngineError."""
        ...
