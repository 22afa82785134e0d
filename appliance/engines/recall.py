"""Work in steps that can go on where it left: every step is a question and its answer, and answers can be kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from appliance import __version__


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


def in_files(folder: Path, recall: Recall, between: Callable[[], None] = lambda: None) -> Recall:
    """Keeps answers in files of a folder, and with `recall` no more than that they were given.

    For what must not outlive the folder and no database is to hold. An answer that was given, but is not there (it was
    on another machine, or is cut off because the power failed), is worked out again; then `between` is called, which
    may raise as `recall` may.
    """

    def ask(question: Any, work: Callable[[], Any]) -> Any:
        file = folder / f"{hashlib.sha256(json.dumps([__version__, question]).encode()).hexdigest()}.json"

        def write() -> None:
            part = file.with_suffix(".part")
            part.write_text(json.dumps(work()))
            part.replace(file)

        recall(question, write)
        try:
            return json.loads(file.read_text())
        except (FileNotFoundError, ValueError):
            write()
            between()
            return json.loads(file.read_text())

    return ask
