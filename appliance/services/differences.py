"""How two analyses of the same calls differ, field by field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from appliance.models.analyses import Judged

Field = Literal["sentiment", "sentiment_score", "topics", "intents", "outcome", "action_items", "summary_words"]

SCORES_DIFFER = 0.1
"""Scores that are this near say the same."""

SUMMARIES_DIFFER = 0.25
"""Summaries differ in length from this share of the longer one on."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field over all the calls that have both analyses.

    changed: in how many it differs. agreement: 0-1, of labels the share that is the same, of lists the mean of what is
    in both among what is in either (Jaccard). means: of a score, of the length of a list, of the words of a summary.
    """

    field: Field
    compared: int
    changed: int
    agreement: float | None
    old_mean: float | None
    new_mean: float | None


def of_call(old: Judged, new: Judged) -> list[Field]:
    """The fields in which two analyses of one call differ."""
    return [name for name, kind in FIELDS.items() if kind.differ(_value(old, name), _value(new, name))]


def of_calls(pairs: Sequence[tuple[Judged, Judged]]) -> list[Difference]:
    """A row for each field."""
    return [_row(name, [(_value(old, name), _value(new, name)) for old, new in pairs]) for name in FIELDS]


@dataclass(frozen=True, slots=True)
class _Kind:
    differ: Callable[[Any, Any], bool]
    agree: Callable[[Any, Any], float] | None = None
    measure: Callable[[Any], float] | None = None


def _row(name: Field, pairs: Sequence[tuple[Any, Any]]) -> Difference:
    kind = FIELDS[name]
    return Difference(
        field=name,
        compared=len(pairs),
        changed=sum(kind.differ(old, new) for old, new in pairs),
        agreement=_mean(kind.agree(old, new) for old, new in pairs) if kind.agree else None,
        old_mean=_mean(kind.measure(old) for old, _ in pairs) if kind.measure else None,
        new_mean=_mean(kind.measure(new) for _, new in pairs) if kind.measure else None,
    )


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(fmean(found), 3) if found else None


def _value(analysis: Judged, name: Field) -> Any:
    return len(analysis.summary.split()) if name == "summary_words" else getattr(analysis, name)


def _jaccard(old: Sequence[str], new: Sequence[str]) -> float:
    one, other = ({text.casefold() for text in texts} for texts in (old, new))
    return len(one & other) / len(one | other) if one | other else 1.0


LABEL = _Kind(lambda old, new: old != new, lambda old, new: float(old == new))
LIST = _Kind(lambda old, new: _jaccard(old, new) < 1, _jaccard, len)

FIELDS: dict[Field, _Kind] = {
    "sentiment": LABEL,
    "sentiment_score": _Kind(lambda old, new: abs(old - new) >= SCORES_DIFFER, measure=float),
    "topics": LIST,
    "intents": LIST,
    "outcome": LABEL,
    "action_items": LIST,
    "summary_words": _Kind(lambda old, new: abs(old - new) > SUMMARIES_DIFFER * max(old, new), measure=float),
}
