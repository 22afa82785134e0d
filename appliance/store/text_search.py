"""Full-text search over transcripts: Russian and English morphology, phrases, minus words, prefixes, ё as е."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, func, literal, or_
from sqlalchemy.dialects.postgresql import REGCONFIG

from appliance.models import Segment

CONFIGURATIONS = ("russian", "english", "simple")
"""A segment's vector is made by the configuration of its language; a query does not say in which it is."""

PREFIX = re.compile(r"(?<![\w\"*-])(\w{2,})\*")
LONGEST = 300


def _folded(query: str) -> str:
    return query[:LONGEST].replace("\x00", " ").translate(str.maketrans("ёЁ", "еЕ"))


def containing(part: str) -> str:
    """The ILIKE pattern of everything that has `part` in it."""
    return "%" + re.sub(r"([%_\\])", r"\\\1", " ".join(part.split())) + "%"


def queries(query: str) -> list[ColumnElement[Any]]:
    """The query as PostgreSQL understands it, once for each configuration; words that end with * match as prefixes."""
    folded = _folded(query)
    prefixes = PREFIX.findall(folded)
    plain = PREFIX.sub(" ", folded)
    found: list[ColumnElement[Any]] = []
    for name in CONFIGURATIONS:
        parts: list[ColumnElement[Any]] = []
        if plain.strip():
            parts.append(func.websearch_to_tsquery(cast(literal(name), REGCONFIG), plain))
        parts += [func.to_tsquery(cast(literal("simple"), REGCONFIG), f"{prefix.lower()}:*") for prefix in prefixes]
        combined = parts[0] if parts else func.to_tsquery(cast(literal("simple"), REGCONFIG), cast(literal(""), Text))
        for part in parts[1:]:
            combined = combined.op("&&")(part)
        found.append(combined)
    return found


def matches(query: str) -> ColumnElement[bool]:
    """The condition that a segment matches a query, by the rules of the segment's language."""
    russian, english, simple = (Segment.search.op("@@")(each) for each in queries(query))
    return or_(
        and_(Segment.language == "ru", russian),
        and_(Segment.language == "en", english),
        and_(Segment.language != "ru", Segment.language != "en", simple),
    )
