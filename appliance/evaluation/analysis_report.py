"""The report of analysts on labelled calls: profiles side by side, by group and by call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.evaluation.agreement import Agreement
from appliance.evaluation.analysis import GroupScore, Judged, Pair, Run, outcome_of
from appliance.evaluation.report import Bars, Grid, Report, share
from appliance.pipeline.analyse import RECORD

LABELS = (
    "Labels: sentiment right, and the mean F1 of its three classes (a call is mostly neutral, so accuracy flatters); "
    "correlation of the score with the label as -1, 0, 1; micro-F1 of intents and topics; outcome right and the mean "
    "F1 of its kinds; action items matched one to one with the labelled ones, precision and recall. "
    "Precision and recall stand in brackets. Calls without a valid analysis count in their column and as effort alone."
)
ANSWERS = (
    "Answers: valid by the schema after at most one repair; words of the summary; claims whose words stand in the "
    "segment that they name, of all that were made."
)
EFFORT = "Effort: seconds from the question to the end of one call; tokens and US dollars of all, valid or not."

Column = tuple[str, Callable[[GroupScore], str]]


def number(value: float | None) -> str:
    """A figure that is no share; a dash where it is not known."""
    return "-" if value is None else f"{value:.2f}"


def agreement(value: Agreement | None) -> str:
    """F1 with precision and recall."""
    return "-" if value is None else f"{value.f1:.2f} ({value.precision:.2f}/{value.recall:.2f})"


def failures(score: GroupScore) -> str:
    """How many calls failed, by code."""
    return ", ".join(f"{code} {count}" for code, count in score.failures.items()) or "-"


def summaries(score: GroupScore) -> str:
    """How long they are: the median and the longest."""
    found = score.answers
    return f"{found.summary_words:g}, at most {found.longest_summary}" if found else "-"


LABEL_COLUMNS: tuple[Column, ...] = (
    ("calls", lambda s: str(s.dialogues)),
    ("sentiment", lambda s: share(s.sentiment_accuracy)),
    ("sentiment F1", lambda s: number(s.sentiment_f1)),
    ("correlation", lambda s: number(s.correlation)),
    ("intents F1 (P/R)", lambda s: agreement(s.intents)),
    ("topics F1 (P/R)", lambda s: agreement(s.topics)),
    ("outcome", lambda s: share(s.outcome_accuracy)),
    ("outcome F1", lambda s: number(s.outcome_f1)),
    ("action items F1 (P/R)", lambda s: agreement(s.tasks)),
)

ANSWER_COLUMNS: tuple[Column, ...] = (
    ("valid", lambda s: share(s.valid)),
    ("failures", failures),
    ("summary, words", summaries),
    ("in limit", lambda s: share(s.answers.summaries_within_limit if s.answers else None)),
    ("in the call's language", lambda s: share(s.answers.in_language if s.answers else None)),
    ("claims", lambda s: str(s.answers.claims) if s.answers else "-"),
    ("proven", lambda s: share(s.answers.proven if s.answers else None)),
)

EFFORT_COLUMNS: tuple[Column, ...] = (
    ("p50, s", lambda s: f"{s.effort.latency_p50_s:.2f}"),
    ("p95, s", lambda s: f"{s.effort.latency_p95_s:.2f}"),
    ("requests", lambda s: str(s.effort.requests)),
    ("tokens sent", lambda s: str(s.effort.prompt_tokens)),
    ("tokens received", lambda s: str(s.effort.completion_tokens)),
    ("USD", lambda s: f"{s.effort.cost:.4f}"),
    ("USD per 1000 calls", lambda s: f"{1000 * s.effort.cost / s.dialogues:.2f}"),
)

QUALITY: tuple[tuple[str, Callable[[GroupScore], float | None]], ...] = (
    ("Valid analyses", lambda s: s.valid),
    ("Sentiment right", lambda s: s.sentiment_accuracy),
    ("Intents, micro-F1", lambda s: s.intents.f1 if s.intents else None),
    ("Topics, micro-F1", lambda s: s.topics.f1 if s.topics else None),
    ("Outcome right", lambda s: s.outcome_accuracy),
    ("Action items, F1", lambda s: s.tasks.f1 if s.tasks else None),
    ("Claims proven", lambda s: s.answers.proven if s.answers else None),
)


def report(runs: Sequence[Run], pairs: Sequence[Pair], name: str) -> Report:
    """Everything about a set analysed by one or several profiles."""
    summary = [
        _grid("Labels", runs, LABEL_COLUMNS),
        _grid("Answers", runs, ANSWER_COLUMNS),
        _grid("Effort", runs, EFFORT_COLUMNS),
    ]
    return Report(
        title=f"Analysis: {name}",
        notes=(LABELS, ANSWERS, EFFORT),
        summary=[*summary, _agreement(pairs)] if pairs else summary,
        plots=[*_quality(runs), _latency(runs)],
        details=[_calls(runs)],
        figures={"runs": [_figures(run) for run in runs], "pairs": list(pairs)},
    )


def _grid(title: str, runs: Sequence[Run], columns: Sequence[Column]) -> Grid:
    """A line for each group and profile, profiles of a group next to each other."""
    headings = ("group", "profile", *(heading for heading, _ in columns))
    groups = zip(*(run.groups for run in runs), strict=True)
    rows = [
        [score.group, _called(run), *(cell(score) for _, cell in columns)]
        for scores in groups
        for run, score in zip(runs, scores, strict=True)
    ]
    return Grid(title, headings, rows)


def _called(run: Run) -> str:
    return f"{run.name} ({run.model})" if run.model and run.name != "builtin" else run.name


def _agreement(pairs: Sequence[Pair]) -> Grid:
    headings = ("one", "other", "calls", "sentiment", "kappa", "correlation", "intents in common", "outcome")
    rows = [
        [pair.one, pair.other, str(pair.dialogues), share(pair.sentiment), number(pair.kappa),
         number(pair.correlation), share(pair.intents), share(pair.outcome)]
        for pair in pairs
    ]  # fmt: skip
    return Grid("Agreement of profiles with each other", headings, rows)


def _quality(runs: Sequence[Run]) -> list[Bars]:
    """A plot for each group: measures as labels, profiles as bars."""
    plots = []
    for scores in zip(*(run.groups for run in runs), strict=True):
        known = [(label, value) for label, value in QUALITY if any(value(score) is not None for score in scores)]
        series = [(_called(run), [value(score) for _, value in known]) for run, score in zip(runs, scores, strict=True)]
        plots.append(Bars(f"Quality: {scores[0].group}", [label for label, _ in known], series))
    return plots


def _latency(runs: Sequence[Run]) -> Bars:
    last = [run.groups[-1].effort for run in runs]
    series = [("p50", [effort.latency_p50_s for effort in last]), ("p95", [effort.latency_p95_s for effort in last])]
    return Bars("Seconds of one call", [_called(run) for run in runs], series, "{:.2f} s".format)


def _calls(runs: Sequence[Run]) -> Grid:
    """A line for each call: the labels and what each profile says."""
    headings = ["call", "group", "label", *(run.name for run in runs)]
    rows = []
    for judged in zip(*(run.judged for run in runs), strict=True):
        dialogue = judged[0].dialogue
        wanted = (dialogue.sentiment, sorted(dialogue.intents or ()), dialogue.outcome)
        rows.append([dialogue.id, dialogue.split, _line(*wanted), *(_said(one) for one in judged)])
    return Grid("Calls", headings, rows)


def _line(sentiment: str | None, intents: Sequence[str], outcome: str | None) -> str:
    return "; ".join((sentiment or "-", ", ".join(intents) or "-", outcome or "-"))


def _said(judged: Judged) -> str:
    if judged.record is None:
        return f"failed: {judged.failure}"
    found = judged.record.analysis
    return _line(found.sentiment, sorted(found.intents), outcome_of(found))


def _figures(run: Run) -> dict[str, object]:
    calls = [
        {
            "id": judged.dialogue.id,
            "split": judged.dialogue.split,
            "elapsed_s": judged.elapsed_s,
            "failure": judged.failure,
            "record": RECORD.dump_python(judged.record, mode="json") if judged.record else None,
        }
        for judged in run.judged
    ]
    return {"profile": run.name, "model": run.model, "groups": run.groups, "calls": calls}
