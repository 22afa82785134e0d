"""Labelled calls as text, to measure analysts on: those written for this project, or a site's own in the same form.

A file holds `dialogues`, each with:

    id         a name that no other has
    language   ISO 639-1
    split      what the call is counted under in tables (`tune`, `heldout`; `all` where left out)
    direction  incoming (where left out) or outgoing
    turns      [{speaker, text}], speaker A (client) or B (manager)
    labels     {sentiment, intents, topics, action_items, outcome}; what is left out is not measured

Topics are Russian labels; an action item is the words that the analyst's item must hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from appliance.engines.language import Conversation, Sentiment, Speaker, Utterance
from appliance.engines.language.claims import OutcomeKind
from appliance.errors import EngineError

SHIPPED = Path(__file__).parent / "data" / "dialogues.yaml"

TURN_MS = 4000


@dataclass(frozen=True, slots=True)
class Dialogue:
    """A call as text and its labels; None where it has none of a kind."""

    id: str
    split: str
    conversation: Conversation
    sentiment: Sentiment | None = None
    intents: frozenset[str] | None = None
    topics: frozenset[str] | None = None
    tasks: tuple[str, ...] | None = None
    outcome: OutcomeKind | None = None


class _Turn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    speaker: Speaker
    text: str


class _Labels(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sentiment: Sentiment | None = None
    intents: list[str] | None = None
    topics: list[str] | None = None
    action_items: list[str] | None = None
    outcome: OutcomeKind | None = None


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1)
    language: str = Field(pattern="^[a-z]{2}$")
    split: str = Field("all", min_length=1)
    direction: Literal["incoming", "outgoing"] = "incoming"
    turns: list[_Turn] = Field(min_length=1)
    labels: _Labels = _Labels()


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    dialogues: list[_Entry]


def load_dialogues(path: Path = SHIPPED) -> tuple[Dialogue, ...]:
    """The labelled calls of a file, or of every *.yaml in a folder, in order. Raises EngineError."""
    files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise EngineError("set_missing", f"there are no dialogues (*.yaml) in {path}")
    found = [dialogue for file in files for dialogue in _read(file)]
    ids = [dialogue.id for dialogue in found]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise EngineError("set_unreadable", f"{path}: the id {twice[0]} is there twice")
    return tuple(found)


def _read(file: Path) -> Iterable[Dialogue]:
    try:
        loaded: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        entries = _File.model_validate(loaded).dialogues
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise EngineError("set_unreadable", f"{file} cannot be read: {type(error).__name__}") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise EngineError("set_unreadable", f"{file}: {where}: {first['msg']}") from None
    return [_dialogue(entry) for entry in entries]


def _dialogue(entry: _Entry) -> Dialogue:
    utterances = tuple(
        Utterance(str(n), turn.speaker, n * TURN_MS, (n + 1) * TURN_MS, turn.text) for n, turn in enumerate(entry.turns)
    )
    labels = entry.labels
    return Dialogue(
        id=entry.id,
        split=entry.split,
        conversation=Conversation(utterances, entry.language, entry.direction),
        sentiment=labels.sentiment,
        intents=None if labels.intents is None else frozenset(labels.intents),
        topics=None if labels.topics is None else frozenset(labels.topics),
        tasks=None if labels.action_items is None else tuple(labels.action_items),
        outcome=labels.outcome,
    )
