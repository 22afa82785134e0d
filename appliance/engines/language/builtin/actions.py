"""What is to be done after the call: what the manager promises and the client asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from appliance.engines.language.builtin.lemmas import Said, words_of
from appliance.engines.language.builtin.negation import begins_with_refusal, is_denied, is_unwanted
from appliance.engines.language.builtin.patterns import Patterns
from appliance.engines.language.builtin.times import When, when_of

DATA = Path(__file__).parent / "data" / "actions.yaml"
MOST = 10
SIDES = {"A": "client", "B": "manager"}
CLAUSE = re.compile(r"[,;:.!?…—]\s+")


@dataclass(frozen=True, slots=True)
class Frames:
    """The data file: frames by name, their patterns by language and side, words that offer, refuse and settle."""

    frames: Mapping[str, Mapping[str, Any]]
    said: Mapping[tuple[str, str], Patterns]
    offers: Mapping[str, Patterns]
    refusals: Mapping[str, Patterns]
    settles: Mapping[str, Patterns]


@lru_cache
def frames() -> Frames:
    """The action frames, read once."""
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    listed, languages = data["frames"], ("ru", "en")

    def words(key: str) -> dict[str, Patterns]:
        return {language: Patterns({key: data[key][language]}, language) for language in languages}

    said = {
        (language, side): Patterns({name: entry[side][language] for name, entry in listed.items()}, language)
        for language in languages
        for side in SIDES.values()
    }
    return Frames(listed, said, words("offers"), words("refusals"), words("settles"))


@dataclass(frozen=True, slots=True)
class Planned:
    """When a task is due, and the sentence that settled it."""

    when: When
    said: Said

    def then(self, when: When, said: Said) -> Planned:
        """What holds when a later sentence names it again."""
        return Planned(self.when.then(when), said)


def tasks_of(said: Sequence[Said], language: str, intents: Sequence[str] = ()) -> dict[str, Planned]:
    """Frames of what is to be done, in the order in which they come up, and when; the last time named holds."""
    tasks, known = _found(said, language, intents), frames().frames
    if "cancel" in tasks:
        tasks = {name: planned for name, planned in tasks.items() if not known[name].get("slot")}
    return {
        name: planned
        for name, planned in tasks.items()
        if not any(other in tasks for other in known[name].get("instead", ()))
        and (planned.when or not known[name].get("timed"))
    }


def action_items(tasks: Mapping[str, Planned], language: str) -> tuple[str, ...]:
    """The tasks as sentences in the infinitive, at most ten."""
    made = (written(name, planned.when, language) for name, planned in tasks.items())
    return tuple(dict.fromkeys(made))[:MOST]


def intents_of_tasks(tasks: Iterable[str], wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """What the client wants, told by what was arranged; not where he said something that it belongs to."""
    kept = (frames().frames[name] for name in tasks)
    found = (frame.get("intent") for frame in kept if not {*frame.get("unless", ())} & {*wanted})
    return tuple(dict.fromkeys(intent for intent in found if intent))


def written(name: str, when: When, language: str) -> str:
    """One task as a sentence."""
    task: str = frames().frames[name]["task"][language]
    return task.replace("{when}", str(when)).replace("{for}", when.as_object()).strip()


def _found(said: Sequence[Said], language: str, intents: Sequence[str]) -> dict[str, Planned]:
    tasks: dict[str, Planned] = {}
    slot, offered = "", ""
    for sentence in said:
        names = [_meant(name, tasks, intents) for name in _names(sentence, language)]
        when = agreed(sentence, language)
        if offered and sentence.speaker == "A" and _declines(sentence, when, language):
            tasks.pop(offered, None)
            slot = ""
        for name in names:
            tasks[name] = tasks[name].then(when, sentence) if name in tasks else Planned(when, sentence)
        slots = [name for name in names if frames().frames[name].get("slot")]
        slot = slots[0] if slots else slot
        if slot in tasks and not names and when and frames().settles[language].hits(sentence.words):
            tasks[slot] = tasks[slot].then(when, sentence)
        offered = _offer(sentence, slots, language, offered)
    return tasks


def _meant(name: str, tasks: Mapping[str, Planned], intents: Sequence[str]) -> str:
    """The visit that a vague "I have put you down" means: the one spoken of before, or what the client calls for."""
    becomes = frames().frames[name].get("becomes", {})
    known = [frame for frame in becomes.values() if frame in tasks]
    wanted = [frame for intent, frame in becomes.items() if intent in intents]
    return next(iter(known + wanted), name)


def _names(sentence: Said, language: str) -> list[str]:
    if begins_with_refusal(sentence, language):
        return []
    hits = frames().said[language, SIDES[sentence.speaker]].hits(sentence.words)
    wanted = (h for h in hits if not is_unwanted(sentence, h, language) and not is_denied(sentence, h, language))
    return list(dict.fromkeys(hit.name for hit in wanted))


def agreed(sentence: Said, language: str) -> When:
    """The time that a sentence names and does not refuse in the same clause."""
    if begins_with_refusal(sentence, language):
        return When()
    kept = [part for part in CLAUSE.split(sentence.text) if not _refuses(part, language)]
    return when_of(", ".join(kept), language)


def _refuses(text: str, language: str) -> bool:
    return bool(frames().refusals[language].hits(words_of(text, language)[0]))


def _offer(sentence: Said, slots: Sequence[str], language: str, before: str) -> str:
    """The appointment that the manager has just offered and that waits for an answer."""
    if sentence.speaker == "A":
        return ""
    if slots and (sentence.text.endswith("?") or frames().offers[language].hits(sentence.words)):
        return slots[0]
    return "" if slots else before


def _declines(sentence: Said, when: When, language: str) -> bool:
    """Whether an answer refuses the offer itself, rather than its time."""
    named = bool(when or when_of(sentence.text, language))
    return not named and begins_with_refusal(sentence, language)
