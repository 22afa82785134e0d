"""How analysts fare on labelled calls: agreement with the labels and with each other, proofs, time and cost."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from statistics import fmean, median

import numpy as np

from appliance.engines.language import Analysis, AnalysisRecord, Analyst, Used
from appliance.engines.language.builtin.lemmas import lemmas_of
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.claims import Details
from appliance.engines.language.limits import SUMMARY_WORDS
from appliance.engines.language.proofs import plain
from appliance.engines.language.script import is_in
from appliance.errors import ApplianceError, EngineError
from appliance.evaluation.agreement import (
    Agreement,
    jaccard,
    kappa,
    macro_f1,
    of_lists,
    of_sets,
    pearson,
    share,
)
from appliance.evaluation.dialogues import Dialogue, load_dialogues

FOUND = 2 / 3
"""Share of a labelled task's lemmas that one item must hold to count as that task: analysts word tasks differently."""

VALUE = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}
"""What a labelled sentiment is as a number, to be correlated with scores."""

NO_OUTCOME = "none"


@dataclass(frozen=True, slots=True)
class Judged:
    """One call as one analyst left it. `failure` is the code of the error where there is no valid analysis."""

    dialogue: Dialogue
    elapsed_s: float
    used: Used
    record: AnalysisRecord | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Answers:
    """What can be said of valid analyses without labels; shares 0-1, None where nothing was claimed or answered.

    claims: all that were made; proven: the share whose quote stands in the segment that it names.
    """

    summary_words: float
    longest_summary: int
    summaries_within_limit: float
    in_language: float
    claims: int
    proven: float | None


@dataclass(frozen=True, slots=True)
class Effort:
    """What the calls took: seconds of one; requests, tokens and US dollars of all, valid analyses or not."""

    latency_p50_s: float
    latency_p95_s: float
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


@dataclass(frozen=True, slots=True)
class GroupScore:
    """How the calls of one group went; shares are 0-1, None where none of them has the label.

    valid: the share of calls with a valid analysis; all figures but effort are of those calls. failures: by code.
    correlation: Pearson's, of the score with the label as -1, 0, 1. outcome_f1: mean F1 of all kinds of outcome.
    """

    group: str
    dialogues: int
    valid: float
    failures: dict[str, int]
    sentiment_accuracy: float | None
    sentiment_f1: float | None
    correlation: float | None
    intents: Agreement | None
    topics: Agreement | None
    outcome_accuracy: float | None
    outcome_f1: float | None
    tasks: Agreement | None
    answers: Answers | None
    effort: Effort


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one analyst did on a set."""

    name: str
    model: str
    judged: tuple[Judged, ...]

    @property
    def groups(self) -> list[GroupScore]:
        """Each group in the order in which they first appear, then all together where there are several."""
        names = list(dict.fromkeys(judged.dialogue.split for judged in self.judged))
        parted = [score(name, [j for j in self.judged if j.dialogue.split == name]) for name in names]
        return parted if len(parted) == 1 else [*parted, score("all", self.judged)]


@dataclass(frozen=True, slots=True)
class Pair:
    """How far two analysts agree on the calls that both analysed; shares 0-1, None where there are none.

    kappa: Cohen's, of the sentiment. intents: the mean share of common ones.
    """

    one: str
    other: str
    dialogues: int
    sentiment: float | None
    kappa: float | None
    correlation: float | None
    intents: float | None
    outcome: float | None


def measure(
    name: str,
    analyst: Callable[[], Analyst],
    dialogues: Sequence[Dialogue],
    *,
    parallel: int = 1,
    tell: Callable[[int], None] = lambda _: None,
) -> Run:
    """Analyse every call once, `parallel` at a time; one that fails is counted by its code.

    analyst: makes one for each call. tell: is told how many calls are done.
    """
    done = []
    with ThreadPoolExecutor(parallel) as pool:
        for judged in pool.map(lambda dialogue: _judged(analyst(), dialogue), dialogues):
            done.append(judged)
            tell(len(done))
    models = Counter(judged.record.model for judged in done if judged.record)
    return Run(name, models.most_common(1)[0][0] if models else "", tuple(done))


def evaluate(analyst: Analyst, dialogues: Sequence[Dialogue] | None = None) -> Run:
    """One analyst that may be used again and again, by default on the dialogues written for this project."""
    return measure(analyst.provider, lambda: analyst, load_dialogues() if dialogues is None else dialogues)


def _judged(analyst: Analyst, dialogue: Dialogue) -> Judged:
    began = time.monotonic()
    try:
        record = analyst.analyse(dialogue.conversation)
    except (EngineError, ApplianceError) as error:
        return Judged(dialogue, time.monotonic() - began, analyst.used, failure=error.code)
    return Judged(dialogue, time.monotonic() - began, analyst.used, record)


def score(group: str, judged: Sequence[Judged]) -> GroupScore:
    """The figures of some calls together."""
    rows = [(j.dialogue, j.record.analysis) for j in judged if j.record]
    feelings = [(d.sentiment, found.sentiment) for d, found in rows if d.sentiment]
    outcomes = [(d.outcome, outcome_of(found)) for d, found in rows if d.outcome]
    intents = [(d.intents, frozenset(found.intents)) for d, found in rows if d.intents is not None]
    topics = [(d.topics, _russian_topics(found)) for d, found in rows if d.topics is not None]
    tasks = [(_lemmas(d.tasks, d), _lemmas(found.action_items, d)) for d, found in rows if d.tasks is not None]
    return GroupScore(
        group=group,
        dialogues=len(judged),
        valid=share(j.record is not None for j in judged),
        failures=dict(Counter(j.failure for j in judged if j.failure)),
        sentiment_accuracy=share(a == b for a, b in feelings) if feelings else None,
        sentiment_f1=macro_f1(feelings),
        correlation=pearson([(VALUE[d.sentiment], f.sentiment_score) for d, f in rows if d.sentiment]),
        intents=of_sets(intents) if intents else None,
        topics=of_sets(topics) if topics else None,
        outcome_accuracy=share(a == b for a, b in outcomes) if outcomes else None,
        outcome_f1=macro_f1(outcomes),
        tasks=of_lists(tasks, _is_task) if tasks else None,
        answers=_answers(rows) if rows else None,
        effort=_effort(judged),
    )


def pairs(runs: Sequence[Run]) -> list[Pair]:
    """How far each two of the analysts agree."""
    return [_pair(one, other) for one, other in combinations(runs, 2)]


def _pair(one: Run, other: Run) -> Pair:
    both = [(a.record.analysis, b.record.analysis)
            for a, b in zip(one.judged, other.judged, strict=True) if a.record and b.record]  # fmt: skip
    feelings = [(a.sentiment, b.sentiment) for a, b in both]
    return Pair(
        one=one.name,
        other=other.name,
        dialogues=len(both),
        sentiment=share(a == b for a, b in feelings) if both else None,
        kappa=kappa(feelings),
        correlation=pearson([(a.sentiment_score, b.sentiment_score) for a, b in both]),
        intents=fmean(jaccard(frozenset(a.intents), frozenset(b.intents)) for a, b in both) if both else None,
        outcome=share(outcome_of(a) == outcome_of(b) for a, b in both) if both else None,
    )


def outcome_of(found: Analysis) -> str:
    """The kind of outcome; `none` where none was claimed, or none proven."""
    return found.details.outcome.kind if found.details.outcome else NO_OUTCOME


def _answers(rows: Sequence[tuple[Dialogue, Analysis]]) -> Answers:
    words = [len(found.summary.split()) for _, found in rows]
    proofs = [proof for dialogue, found in rows for proof in _proofs(dialogue, found.details)]
    # An analyst that reports no claims is counted by those that are there.
    made = sum(max(found.details.claims, len(_proofs(dialogue, found.details))) for dialogue, found in rows)
    return Answers(
        summary_words=median(words),
        longest_summary=max(words),
        summaries_within_limit=share(0 < count <= SUMMARY_WORDS for count in words),
        in_language=share(is_in(found.summary, dialogue.conversation.language) for dialogue, found in rows),
        claims=made,
        proven=sum(proofs) / made if made else None,
    )


def _proofs(dialogue: Dialogue, details: Details) -> list[bool]:
    """Of each claim that was kept, whether its quote stands in the very segment that it names."""
    said = {utterance.id: plain(utterance.text) for utterance in dialogue.conversation.utterances}
    single = (details.outcome, details.trade_in, details.credit, details.next_contact)
    claims = [*details.cars, *details.objections, *details.tasks, *(claim for claim in single if claim)]
    return [plain(claim.quote) in said.get(claim.segment, "") for claim in claims if claim.quote or claim.segment]


def _effort(judged: Sequence[Judged]) -> Effort:
    p50, p95 = np.percentile([j.elapsed_s for j in judged], (50, 95))
    return Effort(
        latency_p50_s=float(p50),
        latency_p95_s=float(p95),
        requests=sum(j.used.requests for j in judged),
        prompt_tokens=sum(j.used.prompt_tokens for j in judged),
        completion_tokens=sum(j.used.completion_tokens for j in judged),
        cost=sum(j.used.cost for j in judged),
    )


@lru_cache
def _russian_labels() -> dict[str, str]:
    return {label["en"]: label["ru"] for label in ontology().labels.values()}


def _russian_topics(found: Analysis) -> frozenset[str]:
    return frozenset(_russian_labels().get(topic.casefold(), topic.casefold()) for topic in found.topics)


def _lemmas(items: Iterable[str], dialogue: Dialogue) -> list[frozenset[str]]:
    return [frozenset(lemmas_of(item, dialogue.conversation.language)) for item in items]


def _is_task(wanted: frozenset[str], item: frozenset[str]) -> bool:
    return len(wanted & item) >= FOUND * len(wanted)
