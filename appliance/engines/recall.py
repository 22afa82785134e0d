"""Work in steps that can go on where it left: every step is a question and its answer, and answers can be kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Recall(Protocol):
    """Answers questions from memory, and remembers what it had to work out."""

    def __call__(self, question: Any, work: Callable[[], Any], /) -> Any:
        """The answer that was kept to this question, or else what `work` returns, which is kept; both are JSON.

        Work that is begun anew asks the same questions in the same order: what lies between them is done again, so the
        result is the same as in one go. May raise, to end the work between two steps.
        """
        ...


def afresh(_question: Any, work: Callable[[], Any]) -> Any:
    """Remembers nothing."""
    return work()
