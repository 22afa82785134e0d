"""How far two labellings agree: sets, classes, numbers, and lists of things that are worded differently."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import StatisticsError, correlation, fmean
from typing import TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Micro-averaged agreement of sets, each share 0-1; 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float


def of_counts(right: int, given: int, wanted: int) -> Agreement:
    """`right` of the `given` ones are among those that are `wanted`."""
    precision, recall = right / max(1, given), right / max(1, wanted)
    return Agreement(precision, recall, 2 * precision * recall / (precision + recall) if right else 0.0)


def of_sets(pairs: Sequence[tuple[frozenset[str], frozenset[str]]]) -> Agreement:
    """Of (wanted, given) sets."""
    right = sum(len(wanted & given) for wanted, given in pairs)
    return of_counts(right, sum(len(given) for _, given in pairs), sum(len(wanted) for wanted, _ in pairs))


def of_lists(pairs: Sequence[tuple[Sequence[T], Sequence[T]]], same: Callable[[T, T], bool]) -> Agreement:
    """Of (wanted, given) lists: each thing stands for one of the other list at most, as many as possible (matching)."""
    right = sum(matched(wanted, given, same) for wanted, given in pairs)
    return of_counts(right, sum(len(given) for _, given in pairs), sum(len(wanted) for wanted, _ in pairs))


def matched(wanted: Sequence[T], given: Sequence[T], same: Callable[[T, T], bool]) -> int:
    """How many pairs of things that are the same can be made, none of them used twice."""
    from scipy.optimize import linear_sum_assignment

    if not wanted or not given:
        return 0
    fits = np.array([[same(one, other) for other in given] for one in wanted], dtype=int)
    rows, columns = linear_sum_assignment(-fits)
    return int(fits[rows, columns].sum())


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float | None:
    """The mean F1 of all classes among (wanted, given); None where there are no pairs."""
    classes = sorted({name for pair in pairs for name in pair})
    if not classes:
        return None
    return fmean(
        of_counts(
            sum(wanted == given == name for wanted, given in pairs),
            sum(given == name for _, given in pairs),
            sum(wanted == name for wanted, _ in pairs),
        ).f1
        for name in classes
    )


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa: agreement beyond chance; None where chance alone explains everything."""
    if not pairs:
        return None
    classes = {name for pair in pairs for name in pair}
    chance = (
        sum(sum(one == name for one, _ in pairs) * sum(other == name for _, other in pairs) for name in classes)
        / len(pairs) ** 2
    )
    return None if chance == 1 else (share(one == other for one, other in pairs) - chance) / (1 - chance)


def pearson(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Pearson's correlation; None where one side does not vary."""
    try:
        found = correlation([one for one, _ in pairs], [other for _, other in pairs])
    except StatisticsError:
        return None
    return None if math.isnan(found) else found


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Common labels of all labels; 1 where neither has any."""
    return len(one & other) / len(one | other) if one | other else 1.0


def share(outcomes: Iterable[bool]) -> float:
    """The share of what is true; 0 of nothing."""
    listed = list(outcomes)
    return sum(listed) / len(listed) if listed else 0.0
