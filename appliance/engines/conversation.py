"""Figures of a conversation from its transcript: who talks how much, how fast, and over whom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Side = Literal["A", "B"]

SIDES: tuple[Side, Side] = ("A", "B")

BREATH_MS = 2000
"""A pause up to this long does not end a monologue: people breathe, and look things up."""

INTERRUPTION_MS = 300
"""People overlap by less than this at nearly every change of turns (Heldner & Edlund 2010): no interruption."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What one side says without a break; times in milliseconds from the start of the recording."""

    start_ms: int
    end_ms: int
    speaker: Side
    text: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Times in milliseconds, shares 0-1, by side where a mapping. A is the client, B the manager.

    talk_share is of all talk and sums up to 1. words_per_minute is of a side's own talk; None where it says nothing.
    interruptions: how often a side begins while the other speaks and goes on when the other has stopped; None where
    they cannot be heard, which is in recordings with one channel.
    """

    talk_ms: dict[Side, int]
    talk_share: dict[Side, float]
    silence_ms: int
    silence_share: float
    longest_monologue_ms: dict[Side, int]
    interruptions: dict[Side, int] | None
    words_per_minute: dict[Side, float | None]
    first_manager_word_ms: int | None


def figures(spoken: Iterable[Spoken], duration_ms: int, *, channels_apart: bool) -> Figures:
    """The figures of a transcript in any order; duration_ms is the recording's.

    channels_apart: each side has a channel of its own, so that both are heard when they speak at once.
    """
    said = sorted(spoken, key=lambda segment: segment.start_ms)
    by_side = {side: [s for s in said if s.speaker == side] for side in SIDES}
    talk = {side: _covered_ms(by_side[side]) for side in SIDES}
    silence_ms = max(0, duration_ms - _covered_ms(said))
    words = {side: sum(len(s.text.split()) for s in by_side[side]) for side in SIDES}
    return Figures(
        talk_ms=talk,
        talk_share={side: round(talk[side] / (sum(talk.values()) or 1), 3) for side in SIDES},
        silence_ms=silence_ms,
        silence_share=round(silence_ms / duration_ms, 3) if duration_ms else 0.0,
        longest_monologue_ms={side: _longest_monologue_ms(by_side[side], by_side[_other(side)]) for side in SIDES},
        interruptions={side: _interruptions(by_side[side], by_side[_other(side)]) for side in SIDES}
        if channels_apart
        else None,
        words_per_minute={side: round(60_000 * words[side] / talk[side], 1) if talk[side] else None for side in SIDES},
        first_manager_word_ms=by_side["B"][0].start_ms if by_side["B"] else None,
    )


def _other(side: Side) -> Side:
    return "A" if side == "B" else "B"


def _covered_ms(said: Sequence[Spoken]) -> int:
    """How long somebody speaks, overlaps counted once. In order of time."""
    total, reached = 0, 0
    for segment in said:
        total += max(0, segment.end_ms - max(segment.start_ms, reached))
        reached = max(reached, segment.end_ms)
    return total


def _longest_monologue_ms(own: Sequence[Spoken], others: Sequence[Spoken]) -> int:
    """From the first to the last word of the longest stretch without a pause and without a word of the other side.

    What the other side says while this one goes on speaking ("угу") does not end it.
    """
    longest = began = 0
    ended: int | None = None
    for segment in own:
        if ended is None or segment.start_ms - ended > BREATH_MS or _answered(others, ended, segment.start_ms):
            began = ended = segment.start_ms
        ended = max(ended, segment.end_ms)
        longest = max(longest, ended - began)
    return longest


def _answered(others: Sequence[Spoken], ended_ms: int, goes_on_ms: int) -> bool:
    """Did the other side begin between two segments of one side, or speak on beyond the end of the first?"""
    return any(ended_ms <= other.start_ms < goes_on_ms or other.start_ms < ended_ms < other.end_ms for other in others)


def _interruptions(own: Sequence[Spoken], others: Sequence[Spoken]) -> int:
    return sum(
        any(
            other.start_ms < segment.start_ms
            and other.end_ms - segment.start_ms >= INTERRUPTION_MS
            and segment.end_ms > other.end_ms
            for other in others
        )
        for segment in own
    )
