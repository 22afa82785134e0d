"""Agreement of labellings, against figures worked out by hand."""

from __future__ import annotations

import pytest

from appliance.evaluation.agreement import (
    Agreement,
    jaccard,
    kappa,
    macro_f1,
    matched,
    of_lists,
    of_sets,
    pearson,
)


def test_sets_are_counted_together() -> None:
    """3 of 4 given are wanted, 3 of 6 wanted are given."""
    pairs = [(frozenset("abcd"), frozenset("abx")), (frozenset("ef"), frozenset("e"))]
    found = of_sets(pairs)
    assert (found.precision, found.recall) == (0.75, 0.5)
    assert found.f1 == pytest.approx(0.6)
    assert of_sets([(frozenset(), frozenset())]) == Agreement(0.0, 0.0, 0.0)


def same(one: str, other: str) -> bool:
    return bool(set(one) & set(other))


def test_a_thing_stands_for_one_other_at_most() -> None:
    assert matched(["ab"], ["a", "b"], same) == 1
    assert matched(["a", "b"], ["ab"], same) == 1
    assert matched([], ["a"], same) == 0


def test_as_many_pairs_as_possible_are_made() -> None:
    """Who takes the first that fits gives "ab" to "a" and leaves nothing for the other."""
    assert matched(["ab", "a"], ["a", "b"], same) == 2


def test_lists_have_precision_and_recall() -> None:
    found = of_lists([(["a", "b"], ["a", "x", "y"]), (["c"], [])], same)
    assert (found.precision, found.recall) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_macro_f1_weighs_every_class_the_same() -> None:
    """n: 2 of 3 given are right, 2 of 2 wanted: 0.8; p: none given: 0."""
    assert macro_f1([("n", "n"), ("n", "n"), ("p", "n")]) == pytest.approx(0.4)
    assert macro_f1([]) is None


def test_kappa_is_agreement_beyond_chance() -> None:
    """Cohen's own kind of table: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5."""
    pairs = [("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([("y", "y")]) is None
    assert kappa([]) is None


def test_correlation_needs_something_that_varies() -> None:
    assert pearson([(-1, -0.5), (0, 0), (1, 0.5)]) == pytest.approx(1)
    assert pearson([(-1, 0.5), (1, -0.5)]) == pytest.approx(-1)
    assert pearson([(0, 0.1), (0, 0.2)]) is None
    assert pearson([(1, 1)]) is None


def test_common_labels() -> None:
    assert jaccard(frozenset("ab"), frozenset("bc")) == pytest.approx(1 / 3)
    assert jaccard(frozenset(), frozenset()) == 1
