"""Which speaker is the client and which the manager."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml

from appliance.engines.diarization.attribution import SpeakerSegment

DATA = Path(__file__).parent / "data" / "roles.yaml"

CERTAIN_CUES = 1.5
"""Difference of the sides' cues, in rough log-odds, from which on the cues decide."""

INTRODUCTION_SEGMENTS = 4
"""People introduce themselves in the first things that they say, not later."""


BOTH_SIDES = 3.0
"""Cues for each side, in rough log-odds, from which on one voice cannot have said it all."""

AT_ONCE_MS = 300
"""People who begin within this time of each other both meant to speak first."""

ANSWERS_FIRST = 0.75
"""How likely it is that whoever was called speaks first, as people do who pick up a telephone."""

HAIR = 0.55

Channel = Literal["left", "right"]

Rule = Literal[
    "correction",
    "channel_setting",
    "exchange",
    "introduction",
    "role_cues",
    "direction",
    "first_speaker",
    "single_voice",
    "language_model",
]
"""What decided. correction: what a person put right before the call was processed anew. exchange: the telephone
exchange knows the manager's channel. direction: who was called answers first; first_speaker: the same where both began
nearly at once. language_model: it was asked (in the analysis) because the rules were not sure enough."""

UNSURE = 0.8
"""Confidence below which a language model, where one analyses the call, is asked who the manager is."""

SURE_OF_MODEL = 0.9
"""Confidence in its answer, which is proven by a quote of the manager's."""

SENTENCE = re.compile(r"(?<=[.!?…])\s+")


@dataclass(frozen=True, slots=True)
class Roles:
    """The speaker number that is the manager, the rule that decided, and how sure it is (0.5-1)."""

    manager: int
    rule: Rule
    confidence: float


@dataclass(frozen=True, slots=True)
class _Cues:
    introduction: tuple[re.Pattern[str], ...]
    manager: tuple[tuple[float, re.Pattern[str]], ...]
    client: tuple[tuple[float, re.Pattern[str]], ...]


@lru_cache
def _cues() -> _Cues:
    data = yaml.safe_load(DATA.read_text(encoding="utf-8"))

    def weighted(name: str) -> tuple[tuple[float, re.Pattern[str]], ...]:
        return tuple((float(weight), re.compile(p)) for weight, patterns in data[name].items() for p in patterns)

    return _Cues(tuple(re.compile(p) for p in data["introduction"]), weighted("manager"), weighted("client"))


def assign_roles(
    segments: Sequence[SpeakerSegment],
    *,
    direction: Literal["incoming", "outgoing"],
    manager_channel: Literal["left", "right", "auto"] = "auto",
    exchange_channel: Channel | None = None,
    stereo: bool = False,
    names: Sequence[str] = (),
) -> Roles:
    """Decide who the manager is.

    In this order: the site's channel setting, the channel that the telephone exchange names for this call, who
    introduces himself as the dealership (or with a manager's name), what only one of the two would say, the direction
    of the call, who speaks first. names: the manager's.
    """
    if stereo and manager_channel != "auto":
        return Roles(0 if manager_channel == "left" else 1, "channel_setting", 1.0)
    if stereo and exchange_channel is not None:
        return Roles(0 if exchange_channel == "left" else 1, "exchange", 0.99)
    speakers = sorted({segment.speaker for segment in segments})
    lead = {speaker: _manager_score(segments, speaker) for speaker in speakers}
    if len(speakers) < 2:
        only = speakers[0] if speakers else 0
        # Nobody to compare with: a lone voice that says nothing of a manager is a client's, on an answering machine.
        is_manager = lead.get(only, 0.0) > 0 or _introduces(segments, only, names)
        return Roles(only if is_manager else 1 - min(only, 1), "single_voice", 0.6)
    introduced = [speaker for speaker in speakers if _introduces(segments, speaker, names)]
    if len(introduced) == 1:
        return Roles(introduced[0], "introduction", 0.97)
    first, second = speakers[:2]
    difference = lead[first] - lead[second]
    if abs(difference) >= CERTAIN_CUES:
        return Roles(first if difference > 0 else second, "role_cues", _probability(abs(difference)))
    return _who_answered(segments, (first, second), direction, difference)


def _who_answered(
    segments: Sequence[SpeakerSegment],
    speakers: tuple[int, int],
    direction: Literal["incoming", "outgoing"],
    difference: float,
) -> Roles:
    """Who was called speaks first. Cues too weak to decide alone make that surer, or less sure."""
    first, second = speakers
    opener = segments[0].speaker
    other = second if opener == first else first
    manager = opener if direction == "incoming" else other
    began = {who: min(s.start_ms for s in segments if s.speaker == who) for who in speakers}
    hair = abs(began[first] - began[second]) < AT_ONCE_MS
    prior = HAIR if hair else ANSWERS_FIRST
    cues = difference if manager == first else -difference
    return Roles(manager, "first_speaker" if hair else "direction", _probability(2 * _logit(prior) + cues))


def as_corrected(segments: Sequence[SpeakerSegment], said: Mapping[str, Sequence[tuple[int, int]]]) -> Roles | None:
    """The roles that a person gave the call before it was processed anew; None where they say nothing about it.

    said: when A and B spoke in the transcript that the person put right, in milliseconds.
    """
    lead = dict.fromkeys({segment.speaker for segment in segments}, 0)
    for segment in segments:
        for side, spans in said.items():
            overlap = sum(max(0, min(end, segment.end_ms) - max(start, segment.start_ms)) for start, end in spans)
            lead[segment.speaker] += overlap if side == "B" else -overlap
    if len(set(lead.values())) < min(2, len(lead)) or not any(lead.values()):
        return None
    most = max(lead, key=lambda speaker: lead[speaker])
    return Roles(1 - most if len(lead) == 1 and lead[most] < 0 else most, "correction", 1.0)


def both_sides_speak(texts: Sequence[str]) -> bool:
    """Whether words alone say that a client and a manager speak: sentences of each that only he would say.

    For two voices so alike that they are taken for one.
    """
    manager = client = 0.0
    for sentence in (s for text in texts for s in SENTENCE.split(text)):
        lead = lead_of(sentence)
        manager, client = manager + max(0.0, lead), client + max(0.0, -lead)
    return min(manager, client) >= BOTH_SIDES


def lead_of(sentence: str) -> float:
    """Log-odds, from the cues in a sentence, that a manager says it."""
    said = sentence.lower().replace("ё", "е")
    introduces = any(pattern.search(said) for pattern in _cues().introduction)
    return _lead(said) + (BOTH_SIDES if introduces else 0.0)


def _said_by(segments: Sequence[SpeakerSegment], speaker: int) -> list[str]:
    return [s.text.lower().replace("ё", "е") for s in segments if s.speaker == speaker]


def _introduces(segments: Sequence[SpeakerSegment], speaker: int, names: Sequence[str]) -> bool:
    said = " ".join(_said_by(segments, speaker)[:INTRODUCTION_SEGMENTS])
    if any(pattern.search(said) for pattern in _cues().introduction):
        return True
    own = [name.lower().replace("ё", "е") for name in names if " " in name.strip()]
    return any(re.search(rf"(меня зовут|это|my name is|this is) {re.escape(name)}\b", said) for name in own)


def _manager_score(segments: Sequence[SpeakerSegment], speaker: int) -> float:
    """Log-odds that a speaker is the manager, from the cues in what he says. Each cue counts once."""
    return _lead(" ".join(_said_by(segments, speaker)))


def _lead(said: str) -> float:
    found = sum(weight for weight, pattern in _cues().manager if pattern.search(said))
    return found - sum(weight for weight, pattern in _cues().client if pattern.search(said))


def _probability(difference: float) -> float:
    return round(min(0.99, 1 / (1 + math.exp(-difference / 2))), 2)


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
