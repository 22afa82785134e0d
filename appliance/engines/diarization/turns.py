"""Turns as every diarizer tells them: voices numbered as they are first heard."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.engines.diarization import SpeakerTurn


def in_order_of_appearance(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """The same turns with voices numbered as they are first heard; neighbours of one voice that touch are joined."""
    numbers: dict[int, int] = {}
    ordered: list[SpeakerTurn] = []
    for turn in turns:
        speaker = numbers.setdefault(turn.speaker, len(numbers))
        if ordered and ordered[-1].speaker == speaker and ordered[-1].end_ms >= turn.start_ms:
            ordered[-1] = SpeakerTurn(ordered[-1].start_ms, turn.end_ms, speaker)
        else:
            ordered.append(SpeakerTurn(turn.start_ms, turn.end_ms, speaker))
    return ordered
