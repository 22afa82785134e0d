"""How much personal data the masker finds in labelled sentences, and how much it masks that is nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.table import Table

from appliance.engines.language.masking import Span, found_in
from appliance.engines.language.masking.people import People

DATA = Path(__file__).parent / "data" / "masking.txt"
LOWER_CASE = DATA.with_name("masking_lower_case.txt")
"""Names without capitals, some of which are known beforehand."""

KNOWN = " | "
"""Names that are known stand before it, one from the other by a semicolon."""

MARK = re.compile(r"\{([^|{}]+)\|([A-Z]+)\}")

HELD_OUT_EVERY = 3

Split = Literal["tune", "heldout"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence without its marks, and where personal data stands in it; `people` are known beforehand."""

    split: Split
    text: str
    language: str
    spans: tuple[Span, ...]
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MaskingScore:
    """Of one split and kind. `hidden`: labelled pieces of which every word is masked, whatever as; `right`: masked
    pieces that touch a labelled one, of `masked` in all. The kind of a masked piece is what the masker took it for.
    """

    split: Split
    kind: str
    labelled: int
    hidden: int
    masked: int
    right: int

    @property
    def recall(self) -> float:
        return self.hidden / self.labelled if self.labelled else 0.0

    @property
    def precision(self) -> float:
        return self.right / self.masked if self.masked else 0.0


def load_sentences(path: Path = DATA) -> tuple[Sentence, ...]:
    """The labelled sentences, in the order of the file; every third is held out."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return tuple(
        _sentence(line, "heldout" if n % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else "tune")
        for n, line in enumerate(lines)
    )


def _sentence(line: str, split: Split) -> Sentence:
    known, bar, line = line.rpartition(KNOWN)
    people = tuple(name.strip() for name in known.split(";")) if bar else ()
    text, spans, end = "", [], 0
    for match in MARK.finditer(line):
        text += line[end : match.start()]
        spans.append((len(text), len(text) + len(match[1]), match[2]))
        text, end = text + match[1], match.end()
    text += line[end:]
    language = "ru" if re.search("[а-яё]", text, re.IGNORECASE) else "en"
    return Sentence(split, text, language, tuple(spans), people)


def _found(sentence: Sentence) -> list[Span]:
    return found_in(sentence.text, sentence.language, people=People(sentence.people))


def missed(sentence: Sentence) -> list[str]:
    """Labelled pieces of which a word is left."""
    found = _found(sentence)
    return [sentence.text[a:b] for a, b, _ in sentence.spans if not _is_covered(sentence.text, a, b, found)]


def wrong(sentence: Sentence) -> list[str]:
    """Masked pieces that touch no labelled one."""
    return [
        sentence.text[a:b]
        for a, b, _ in _found(sentence)
        if not any(a < end and start < b for start, end, _ in sentence.spans)
    ]


def _is_covered(text: str, start: int, end: int, found: Sequence[Span]) -> bool:
    words = [(start + m.start(), start + m.end()) for m in re.finditer(r"\w+", text[start:end])]
    return all(any(a <= first and last <= b for a, b, _ in found) for first, last in words)


def evaluate(sentences: Iterable[Sentence] | None = None) -> list[MaskingScore]:
    """Scores by split and kind, and of all kinds together."""
    rows: dict[tuple[Split, str], list[int]] = {}
    for sentence in load_sentences() if sentences is None else sentences:
        found = _found(sentence)
        for a, b, kind in sentence.spans:
            covered = _is_covered(sentence.text, a, b, found)
            _add(rows, sentence.split, kind, (1, int(covered), 0, 0))
        for a, b, kind in found:
            touches = any(a < end and start < b for start, end, _ in sentence.spans)
            _add(rows, sentence.split, kind, (0, 0, 1, int(touches)))
    return [MaskingScore(split, kind, *counts) for (split, kind), counts in sorted(rows.items())]


def _add(rows: dict[tuple[Split, str], list[int]], split: Split, kind: str, counts: Sequence[int]) -> None:
    for key in ((split, kind), (split, "all")):
        row = rows.setdefault(key, [0, 0, 0, 0])
        row[:] = [have + more for have, more in zip(row, counts, strict=True)]


def table(scores: Sequence[MaskingScore], title: str) -> Table:
    """The scores for a terminal."""
    made = Table("set", "kind", "labelled", "recall", "masked", "precision", title=title)
    for s in scores:
        counts = (str(s.labelled), f"{s.recall:.1%}", str(s.masked), f"{s.precision:.1%}")
        made.add_row(s.split, s.kind, *counts)
    return made
