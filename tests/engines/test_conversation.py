"""Figures of a conversation, worked out by hand."""

from __future__ import annotations

import pytest

from appliance.engines.conversation import Side, Spoken, figures


def said(start_ms: int, end_ms: int, speaker: Side, words: int = 2) -> Spoken:
    return Spoken(start_ms, end_ms, speaker, "слово " * words)


CALL = [
    said(1000, 4000, "B", 10),
    said(4500, 6500, "A", 4),
    said(7000, 10_000, "B", 8),
    said(9000, 9400, "A", 1),  # "угу" while the manager goes on
    said(10_500, 15_000, "B", 12),
    said(14_500, 17_000, "A", 5),  # the client begins before the manager ends
]


def test_a_whole_call() -> None:
    found = figures(CALL, 20_000, channels_apart=True)
    assert found.talk_ms == {"A": 4900, "B": 10_500}
    assert found.talk_share == {"A": 0.318, "B": 0.682}
    assert found.silence_ms == 20_000 - 14_500
    assert found.silence_share == 0.275
    assert found.longest_monologue_ms == {"A": 2500, "B": 8000}
    assert found.interruptions == {"A": 1, "B": 0}
    assert found.words_per_minute == {"A": pytest.approx(122.4), "B": pytest.approx(171.4)}
    assert found.first_manager_word_ms == 1000


def test_the_order_of_segments_does_not_matter() -> None:
    assert figures(CALL[::-1], 20_000, channels_apart=True) == figures(CALL, 20_000, channels_apart=True)


def test_one_channel_says_nothing_about_interruptions() -> None:
    assert figures(CALL, 20_000, channels_apart=False).interruptions is None


def test_an_answer_or_a_long_pause_ends_a_monologue() -> None:
    answered = figures([said(0, 1000, "B"), said(1100, 1300, "A"), said(1400, 3000, "B")], 3000, channels_apart=True)
    assert answered.longest_monologue_ms == {"A": 200, "B": 1600}
    overtaken = figures([said(0, 1000, "B"), said(900, 1300, "A"), said(1400, 3000, "B")], 3000, channels_apart=True)
    assert overtaken.longest_monologue_ms["B"] == 1600
    breath = figures([said(0, 1000, "B"), said(2900, 4000, "B")], 4000, channels_apart=True)
    assert breath.longest_monologue_ms["B"] == 4000
    paused = figures([said(0, 1000, "B"), said(3100, 4000, "B")], 4000, channels_apart=True)
    assert paused.longest_monologue_ms["B"] == 1000


def test_changing_turns_quickly_is_no_interruption() -> None:
    quick = figures([said(0, 2000, "A"), said(1750, 3000, "B")], 3000, channels_apart=True)
    assert quick.interruptions == {"A": 0, "B": 0}


@pytest.mark.parametrize("duration_ms", [0, 5000])
def test_nobody_speaks(duration_ms: int) -> None:
    found = figures([], duration_ms, channels_apart=True)
    assert found.talk_share == {"A": 0.0, "B": 0.0}
    assert found.silence_ms == duration_ms
    assert found.words_per_minute == {"A": None, "B": None}
    assert found.first_manager_word_ms is None


def test_a_recording_shorter_than_its_transcript_has_no_negative_silence() -> None:
    assert figures([said(0, 6000, "A")], 5000, channels_apart=False).silence_ms == 0
