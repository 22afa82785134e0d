"""A site's own names, as its file and its admins give them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from appliance.engines.speech.vocabulary import Name
from appliance.errors import EngineError

MOST_NAMES = 500
LONGEST_FILE = 1_000_000
"""Bytes; five hundred names are far fewer."""


def _words(value: str) -> str:
    """Raises PydanticCustomError."""
    if not value.isprintable():
        raise PydanticCustomError("name_not_printable", "No control characters")
    if not re.search(r"[^\W\d_]", value):
        raise PydanticCustomError("name_without_letter", "A name holds a letter")
    if len(value.split()) > 4:
        raise PydanticCustomError("name_too_many_words", "At most four words")
    return " ".join(value.split())


Words = Annotated[str, Field(min_length=2, max_length=60), AfterValidator(_words)]


class SiteName(BaseModel):
    """A name: how it is written, and ways in which recognition gets it wrong."""

    model_config = ConfigDict(extra="forbid")

    text: Words = Field(description="As it is to be written: a dealership, a make, a model; at most four words")
    heard: list[Words] = Field(
        default_factory=list, max_length=20, description="What was written instead; always put right, in every case"
    )


SiteNames = Annotated[list[SiteName], Field(max_length=MOST_NAMES)]


def as_names(given: Iterable[SiteName]) -> list[Name]:
    """What recognition expects."""
    return [Name(name.text, tuple(name.heard)) for name in given]


def read(file: Path) -> list[SiteName]:
    """The names in a YAML file: a list of names, or of {text, heard}. Raises EngineError: vocabulary_unreadable."""
    try:
        if file.stat().st_size > LONGEST_FILE:
            raise _unreadable(f"{file} is too long for a vocabulary")
        data = yaml.safe_load(file.read_text(encoding="utf-8")) or []
        listed = (
            [{"text": name} if isinstance(name, str) else name for name in data] if isinstance(data, list) else data
        )
        return TypeAdapter(SiteNames).validate_python(listed)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, TypeError, ValidationError) as error:
        # Never the text: it may hold people's names.
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise _unreadable(f"{file} is no vocabulary: {reason}") from None


def _unreadable(message: str) -> EngineError:
    """Calls wait: the operator's slip is not theirs."""
    return EngineError("vocabulary_unreadable", message, retryable=True, wait_s=0)
