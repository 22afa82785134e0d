"""Long calls: a transcript in overlapping parts, and the answers to the parts as one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from appliance.engines.language import Utterance
from appliance.engines.language.answer import Answer
from appliance.engines.language.claims import NEEDS_NO_PROOF, Outcome, Task
from appliance.engines.language.limits import SENTENCE_END, SUMMARY_WORDS, label_of, shorten
from appliance.engines.language.proofs import plain
from appliance.errors import EngineError

OVERLAP = 0.1
"""Share of a part that the next one repeats, so that a question and its answer are seen together once."""

LEAST_TOKENS = 64

LEAST_WORDS = 8
"""Fewer words of a part say nothing."""

SPACE = re.compile(r"(?<=\s)")


def split(
    utterances: Sequence[Utterance], fits: int, tokens_of: Callable[[Utterance], int]
) -> list[tuple[Utterance, ...]]:
    """Parts of at most `fits` tokens each, in order. Raises EngineError where no part could hold anything."""
    if fits < LEAST_TOKENS:
        raise EngineError("llm_context_too_small", "the model's context does not even hold the instructions")
    pieces = [piece for utterance in utterances for piece in _cut(utterance, fits, tokens_of)]
    sizes = [tokens_of(piece) for piece in pieces]
    parts: list[tuple[Utterance, ...]] = []
    start = 0
    while start < len(pieces):
        end, size = start, 0
        while end < len(pieces) and (size + sizes[end] <= fits or end == start):
            size += sizes[end]
            end += 1
        parts.append(tuple(pieces[start:end]))
        if end == len(pieces):
            break
        back, repeated = end, 0
        while back - 1 > start and repeated + sizes[back - 1] <= fits * OVERLAP:
            back -= 1
            repeated += sizes[back]
        start = back
    return parts or [()]


def _cut(utterance: Utterance, fits: int, tokens_of: Callable[[Utterance], int]) -> list[Utterance]:
    """An utterance that is too long for any part, in halves between words; they keep its id."""
    words = SPACE.split(utterance.text)
    if tokens_of(utterance) <= fits or len(words) < 2:
        return [utterance]
    middle = len(words) // 2
    halves = ("".join(words[:middle]).strip(), "".join(words[middle:]).strip())
    return [piece for half in halves for piece in _cut(replace(utterance, text=half), fits, tokens_of)]


def merge(answers: Sequence[Answer], summary: str) -> Answer:
    """One answer of the answers to the parts. Later parts weigh more for the feeling; the last result holds."""
    weights = range(1, len(answers) + 1)
    score = sum(a.sentiment_score * w for a, w in zip(answers, weights, strict=True)) / sum(weights)
    outcomes = [a.outcome for a in answers]
    return Answer(
        sentiment=label_of(score),
        sentiment_score=score,
        topics=_commonest([a.topics for a in answers]),
        intents=_commonest([a.intents for a in answers]),
        summary=summary,
        tasks=_tasks(answers),
        language=Counter(a.language for a in answers).most_common(1)[0][0],
        outcome=_last_result(outcomes),
        cars=list({(car.name.casefold(), car.relation): car for a in answers for car in a.cars}.values()),
        trade_in=next((a.trade_in for a in reversed(answers) if a.trade_in), None),
        credit=next((a.credit for a in reversed(answers) if a.credit), None),
        objections=list({plain(o.text): o for a in answers for o in a.objections}.values()),
        next_contact=next((a.next_contact for a in reversed(answers) if a.next_contact), None),
    )


def in_brief(summaries: Sequence[str]) -> str:
    """The beginning of each part's summary, as much as all have room for; of very many parts evenly chosen ones, the
    first and the last among them.
    """
    most, last = SUMMARY_WORDS // LEAST_WORDS, len(summaries) - 1
    chosen = [summaries[n * last // (most - 1)] for n in range(most)] if last >= most else summaries
    brief = []
    for summary in chosen:
        sentence = SENTENCE_END.split(" ".join(summary.split()))[0]
        kept = shorten(sentence, SUMMARY_WORDS // len(chosen))
        brief.append(kept if kept == sentence else kept.rstrip(" ,;:-") + "…")
    return " ".join(brief)


def _commonest(lists: Sequence[Sequence[str]]) -> list[str]:
    return [item for item, _ in Counter(item for listed in lists for item in dict.fromkeys(listed)).most_common()]


def _tasks(answers: Sequence[Answer]) -> list[Task]:
    """Each task once: the overlap is seen twice, and the same words of the same line prove the same task."""
    return list({(task.segment, plain(task.quote)): task for a in answers for task in a.tasks}.values())


def _last_result(outcomes: Sequence[Outcome]) -> Outcome:
    return next((outcome for outcome in reversed(outcomes) if outcome.kind not in NEEDS_NO_PROOF), outcomes[-1])
