"""How well an analyst agrees with the labels of invented dealership calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml
from rich.table import Table

from appliance.engines.language import Analysis, Analyst, Conversation, Sentiment, Utterance
from appliance.engines.language.builtin.lemmas import lemmas_of
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.claims import Details
from appliance.engines.language.limits import SUMMARY_WORDS
from appliance.engines.language.proofs import plain

DATA = Path(__file__).parent / "data" / "dialogues.yaml"

TURN_MS = 4000

FOUND = 2 / 3
"""Share of a labelled task's lemmas that one item must hold to count as that task: analysts word tasks differently."""

Split = Literal["tune", "heldout"]


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A call as text and its labels. Topics by their Russian labels; a task is the words that must be in an item."""

    id: str
    split: Split
    conversation: Conversation
    sentiment: Sentiment
    intents: frozenset[str]
    topics: frozenset[str]
    tasks: tuple[str, ...]
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Micro-averaged agreement of sets of labels, each share 0-1; 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class AnalysisScore:
    """How one split went; shares are 0-1. `task_recall` is the share of labelled tasks that were found.

    outcomes: the share of labelled outcomes that were met; None where none is labelled. proven: the share of claims
    whose quote stands in the segment that they name; 1 where nothing is claimed.
    """

    split: Split
    dialogues: int
    sentiment_accuracy: float
    intents: Agreement
    topics: Agreement
    task_recall: float
    summaries_within_limit: float
    outcomes: float | None
    claims: int
    proven: float


def load_dialogues(path: Path = DATA) -> tuple[Dialogue, ...]:
    """The labelled calls, in the order of the file."""
    return tuple(_dialogue(entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))["dialogues"])


def evaluate(analyst: Analyst, dialogues: Iterable[Dialogue] | None = None) -> list[AnalysisScore]:
    """Analyse every call once and score each split, in the order in which the splits first appear."""
    groups: dict[Split, list[tuple[Dialogue, Analysis]]] = {}
    for dialogue in load_dialogues() if dialogues is None else dialogues:
        found = analyst.analyse(dialogue.conversation).analysis
        groups.setdefault(dialogue.split, []).append((dialogue, found))
    return [_score(split, rows) for split, rows in groups.items()]


def table(scores: Sequence[AnalysisScore]) -> Table:
    """The scores for a terminal; precision and recall stand behind each F1."""
    made = Table(
        "split", "calls", "sentiment", "intents F1 (P/R)", "topics F1 (P/R)", "tasks found", "summary in limit"
    )
    made.add_column("outcome")
    made.add_column("claims proven")
    for score in scores:
        sets = (f"{a.f1:.2f} ({a.precision:.2f}/{a.recall:.2f})" for a in (score.intents, score.topics))
        shares = (f"{share:.0%}" for share in (score.task_recall, score.summaries_within_limit))
        ends = "-" if score.outcomes is None else f"{score.outcomes:.0%}"
        proven = f"{score.proven:.0%} of {score.claims}"
        made.add_row(score.split, str(score.dialogues), f"{score.sentiment_accuracy:.0%}", *sets, *shares, ends, proven)
    return made


def _dialogue(entry: dict[str, Any]) -> Dialogue:
    utterances = tuple(
        Utterance(str(n), turn["speaker"], n * TURN_MS, (n + 1) * TURN_MS, turn["text"])
        for n, turn in enumerate(entry["turns"])
    )
    labels = entry["labels"]
    return Dialogue(
        id=entry["id"],
        split=entry["split"],
        conversation=Conversation(utterances, entry["language"], "incoming"),
        sentiment=labels["sentiment"],
        intents=frozenset(labels["intents"]),
        topics=frozenset(labels["topics"]),
        tasks=tuple(labels["action_items"]),
        outcome=labels.get("outcome"),
    )


def _score(split: Split, rows: Sequence[tuple[Dialogue, Analysis]]) -> AnalysisScore:
    tasks = [_holds(task, found) for dialogue, found in rows for task in dialogue.tasks]
    ends = [found.details.outcome for dialogue, found in rows if dialogue.outcome]
    labelled = [dialogue.outcome for dialogue, _ in rows if dialogue.outcome]
    met = [end is not None and end.kind == label for end, label in zip(ends, labelled, strict=True)]
    proofs = [proof for dialogue, found in rows for proof in _proofs(dialogue, found.details)]
    return AnalysisScore(
        split=split,
        dialogues=len(rows),
        sentiment_accuracy=_share(found.sentiment == dialogue.sentiment for dialogue, found in rows),
        intents=_agreement(rows, lambda d: d.intents, lambda a: frozenset(a.intents)),
        topics=_agreement(rows, lambda d: d.topics, _russian_topics),
        task_recall=_share(tasks),
        summaries_within_limit=_share(0 < len(found.summary.split()) <= SUMMARY_WORDS for _, found in rows),
        outcomes=_share(met) if met else None,
        claims=len(proofs),
        proven=_share(proofs) if proofs else 1.0,
    )


def _agreement(
    rows: Sequence[tuple[Dialogue, Analysis]],
    wanted: Callable[[Dialogue], frozenset[str]],
    given: Callable[[Analysis], frozenset[str]],
) -> Agreement:
    pairs = [(wanted(dialogue), given(found)) for dialogue, found in rows]
    right = sum(len(a & b) for a, b in pairs)
    precision = right / max(1, sum(len(b) for _, b in pairs))
    recall = right / max(1, sum(len(a) for a, _ in pairs))
    return Agreement(precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0)


@lru_cache
def _russian_labels() -> dict[str, str]:
    return {label["en"]: label["ru"] for label in ontology().labels.values()}


def _russian_topics(found: Analysis) -> frozenset[str]:
    return frozenset(_russian_labels().get(topic.casefold(), topic.casefold()) for topic in found.topics)


def _holds(task: str, found: Analysis) -> bool:
    wanted = set(lemmas_of(task, found.language))
    return any(len(wanted & set(lemmas_of(item, found.language))) >= FOUND * len(wanted) for item in found.action_items)


def _proofs(dialogue: Dialogue, details: Details) -> list[bool]:
    """Of each claim, whether its quote stands in the very segment that it names."""
    said = {utterance.id: plain(utterance.text) for utterance in dialogue.conversation.utterances}
    single = (details.outcome, details.trade_in, details.credit, details.next_contact)
    claims = [*details.cars, *details.objections, *details.tasks, *(claim for claim in single if claim)]
    return [plain(claim.quote) in said.get(claim.segment, "") for claim in claims if claim.quote or claim.segment]


def _share(outcomes: Iterable[bool]) -> float:
    listed = list(outcomes)
    return sum(listed) / len(listed) if listed else 0.0
