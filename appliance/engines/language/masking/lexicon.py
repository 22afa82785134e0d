"""What the masker knows besides grammar."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "words.yaml"


@lru_cache
def words(name: str) -> frozenset[str]:
    """A list of the data file: cars, not_names, english_names and the like, units."""
    return frozenset(_data()[name].split())


@lru_cache
def _data() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return loaded


def number_words() -> dict[str, str]:
    """Words of numbers to the digits that stand for them."""
    made = {"double": "", "triple": ""}
    for row in _data()["numbers"]:
        made |= {each: str(row["from"] + n * row["step"]) for n, each in enumerate(row["words"].split())}
    return made
