"""The prompt set: a data file with a version that every result carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

ANALYSIS = Path(__file__).parent.parent / "prompts" / "analysis.yaml"


@dataclass(frozen=True, slots=True)
class Prompts:
    """Texts with places to fill in, and the lists that they speak of: topics by language, the same in each.

    `injections` are regular expressions.
    """

    version: str
    system: str
    user: str
    part: str
    repair: str
    join: str
    sides: str
    topics: Mapping[str, tuple[str, ...]]
    intents: tuple[str, ...]
    injections: tuple[str, ...]

    def topics_in(self, language: str) -> tuple[str, ...]:
        """The shipped topics in a call's language; in Russian where there are none in it."""
        return self.topics.get(language, self.topics["ru"])


@lru_cache
def prompts() -> Prompts:
    """The prompt set, read once."""
    loaded: dict[str, Any] = yaml.safe_load(ANALYSIS.read_text(encoding="utf-8"))
    topics = {language: tuple(listed) for language, listed in loaded.pop("topics").items()}
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in loaded.items()}
    return Prompts(topics=topics, **fields)
