"""Personal data out of a transcript before it is sent away, and back into the answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal, get_args

from appliance.engines.language import Conversation
from appliance.engines.language.masking.addresses import addresses
from appliance.engines.language.masking.names import names
from appliance.engines.language.masking.numbers import dictated, numbers
from appliance.engines.language.masking.people import NOBODY, People
from appliance.engines.language.masking.written import written

Kind = Literal["NAME", "PHONE", "EMAIL", "CARD", "VIN", "PLATE", "PASSPORT", "ADDRESS"]

Span = tuple[int, int, str]
"""Beginning, end and kind of a piece of personal data."""

TRANSLATED = {
    "имя": "NAME",
    "телефон": "PHONE",
    "почта": "EMAIL",
    "карта": "CARD",
    "госномер": "PLATE",
    "паспорт": "PASSPORT",
    "адрес": "ADDRESS",
}
"""What models that write Russian make of our kinds."""

_WORD = rf"{'|'.join(get_args(Kind))}|{'|'.join(TRANSLATED)}"

PLACEHOLDER = re.compile(
    # Without brackets only with the underscore: "card 2" may be what was said.
    rf"(?:\[\s*({_WORD})[\s_-]*(\d+)\s*\]|\[?(?<!\w)({_WORD})_(\d+)\]?)(?:-?[а-яёәғқңөұүһі]{{1,4}}(?!\w))?",
    re.IGNORECASE,
)
"""One of ours, also as models write it: in another case, with a space, translated, or with a Russian ending."""

BRACKETED = re.compile(rf"\[\s*(?:[^\W\d]+[\s_-]*\d+|{_WORD})\s*\]", re.IGNORECASE)
"""What reads as a placeholder, ours or not."""


def found_in(text: str, language: str, before: str = "", people: People = NOBODY) -> list[Span]:
    """Personal data in one utterance, in order and without overlaps; `before` is what was said just before it.

    people: whose names are known.
    """
    # Earlier finders win: a plate is more than the numbers in it.
    spans: list[Span] = []
    found = (finder(text, language, before) for finder in (written, addresses, numbers))
    for span in chain(*found, names(text, people)):
        if not _overlaps(span, spans):
            spans.append(span)
    return sorted(spans)


def _overlaps(span: Span, others: list[Span]) -> bool:
    return any(span[0] < other[1] and other[0] < span[1] for other in others)


class MaskedConversation:
    """See Masked. The same words get the same placeholder all through a call, others another one.

    Every form of a name has a placeholder of its own, so that what is put back is exactly what was said.
    """

    def __init__(self, conversation: Conversation, people: Sequence[str] = ()) -> None:
        """people: names that are known to be the client's, the manager's and others' of the site."""
        self._people = People(people)
        self._placeholders: dict[str, str] = {}
        self._originals: dict[str, str] = {}
        self._taken = {_key(match) for u in conversation.utterances for match in PLACEHOLDER.finditer(u.text)}
        self._numbers: Counter[str] = Counter()
        self._counts: Counter[str] = Counter()
        self.conversation = self._masked(conversation)

    @property
    def counts(self) -> Mapping[str, int]:
        return dict(self._counts)

    def _masked(self, conversation: Conversation) -> Conversation:
        said = conversation.utterances
        spans = [
            found_in(u.text, conversation.language, " ".join(b.text for b in said[max(0, n - 2) : n]), self._people)
            for n, u in enumerate(said)
        ]
        named = (u.text[a:b] for u, found in zip(said, spans, strict=True) for a, b, kind in found if kind == "NAME")
        heard = People(named, heard=True)
        pieces = dictated([u.text for u in said])
        utterances = []
        for u, found, parts in zip(said, spans, pieces, strict=True):
            for more in (parts, [(a, b, "NAME") for a, b in heard.spans(u.text)]):
                found += [s for s in more if not _overlaps(s, found)]
            utterances.append(replace(u, text=self._replaced(u.text, sorted(found))))
        return replace(conversation, utterances=tuple(utterances))

    def _replaced(self, text: str, spans: list[Span]) -> str:
        made, end = [], 0
        for a, b, kind in spans:
            made += [text[end:a], self._placeholder(text[a:b], kind)]
            self._counts[kind.lower()] += 1
            end = b
        return "".join([*made, text[end:]])

    def _placeholder(self, original: str, kind: str) -> str:
        if original not in self._placeholders:
            key = ""
            while not key or key in self._taken:
                self._numbers[kind] += 1
                key = f"{kind}_{self._numbers[kind]}"
            self._placeholders[original] = f"[{key}]"
            self._originals[key] = original
        return self._placeholders[original]

    def restored(self, value: Any) -> Any:
        """See Masked."""
        if isinstance(value, str):
            return PLACEHOLDER.sub(lambda m: self._originals.get(_key(m), m[0]), value)
        if isinstance(value, list):
            return [self.restored(part) for part in value]
        if isinstance(value, dict):
            return {key: self.restored(part) for key, part in value.items()}
        return value

    def invents(self, value: Any) -> bool:
        """See Masked. What was spoken like a placeholder is none of the model's making."""
        if isinstance(value, str):
            known = self._taken | self._originals.keys()
            left = PLACEHOLDER.sub(lambda m: "" if _key(m) in known else f"[{_key(m)}]", value)
            return bool(BRACKETED.search(left))
        if isinstance(value, list | tuple):
            return any(self.invents(part) for part in value)
        return isinstance(value, dict) and any(self.invents(part) for part in value.values())


def _key(match: re.Match[str]) -> str:
    """A placeholder as we write it, without the brackets."""
    kind, number = match[1] or match[3], match[2] or match[4]
    return f"{TRANSLATED.get(kind.lower(), kind.upper())}_{int(number)}"
