"""Two voices so alike that the encoder takes them for one, parted sentence by sentence with the help of words.

What only a manager or only a client would say is beyond doubt: it teaches how each of the two sounds, however small the
difference (a few of the encoder's dimensions, and pitch). The rest is given to whoever it sounds like, more readily to
the other one after a question. Expectation and maximisation of a hidden Markov model with two states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.engines.diarization import SpeakerTurn
from appliance.engines.diarization.attribution import SENTENCE_END
from appliance.engines.diarization.clustering import windows_of
from appliance.engines.diarization.embedding import VoiceEncoder
from appliance.engines.diarization.pitch import median_pitch
from appliance.engines.diarization.turns import in_order_of_appearance
from appliance.engines.recall import Recall, afresh
from appliance.engines.roles import lead_of
from appliance.engines.speech import SAMPLE_RATE, Sound, SpokenSegment
from appliance.engines.voice_activity import Region

DIMENSIONS = 3
"""Principal components of the sentences' vectors that are looked at: of a few sentences, more are noise."""

VOICE_DEVIATION, PITCH_DEVIATION = 0.08, 0.04
"""How much the sentences of one person differ at least: a component, and the logarithm of pitch."""

AFTER_QUESTION, AFTER_STATEMENT = 0.7, 0.5
"""How likely the next sentence is the other one's."""

ROUNDS = 25

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One person's words; times in milliseconds. `lead` are the log-odds, from the words, that a manager says them."""

    start_ms: int
    end_ms: int
    lead: float
    asks: bool


def sentences_of(segments: Sequence[SpokenSegment]) -> list[Sentence]:
    """The sentences of a transcript in order of time, cut within segments where words have times."""
    found = []
    for segment in segments:
        begun: list[str] = []
        start_ms = segment.start_ms
        for number, word in enumerate(segment.words):
            begun.append(word.text)
            last = number + 1 == len(segment.words)
            if last or word.text.endswith(SENTENCE_END):
                end_ms = segment.end_ms if last else word.end_ms
                found.append(_sentence(start_ms, end_ms, " ".join(begun)))
                begun, start_ms = [], end_ms
        if not segment.words:
            found.append(_sentence(segment.start_ms, segment.end_ms, segment.text))
    return found


def _sentence(start_ms: int, end_ms: int, text: str) -> Sentence:
    return Sentence(start_ms, max(start_ms, end_ms), lead_of(text), text.rstrip().endswith("?"))


def parted(
    samples: Sound, segments: Sequence[SpokenSegment], encoder: VoiceEncoder, recall: Recall = afresh
) -> list[SpeakerTurn]:
    """Turns of the client and the manager of a call whose words show that both speak; numbered as they appear."""
    sentences = sentences_of(segments)
    if len(sentences) < 2:
        return [SpeakerTurn(s.start_ms, s.end_ms, 0) for s in sentences]
    manager = probabilities(_sounds(samples, sentences, encoder, recall), sentences)
    turns, reached = [], 0
    for sentence, probability in zip(sentences, manager, strict=True):
        turn = SpeakerTurn(max(sentence.start_ms, reached), max(sentence.end_ms, reached), int(probability > 0.5))
        turns.append(turn)
        reached = turn.end_ms
    return in_order_of_appearance(turns)


def _sounds(samples: Sound, sentences: Sequence[Sentence], encoder: VoiceEncoder, recall: Recall) -> Array:
    """How each sentence sounds, [sentences, DIMENSIONS + 1]: components of its voice, and pitch."""
    regions = [Region(s.start_ms, max(s.end_ms, s.start_ms + 1)) for s in sentences]
    windows = [windows_of([region]) for region in regions]
    vectors = encoder.embed(samples, [window for of_one in windows for window in of_one], recall=recall)
    borders = np.cumsum([0, *(len(of_one) for of_one in windows)])
    means = np.stack([vectors[first:last].mean(axis=0) for first, last in pairwise(borders)]).astype(np.float64)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    left, sizes, _ = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    per_ms = SAMPLE_RATE // 1000
    pitch = np.array([median_pitch(samples[r.start_ms * per_ms : r.end_ms * per_ms]) for r in regions])
    usual = np.nanmean(pitch) if not np.isnan(pitch).all() else 0.0
    return np.column_stack([(left * sizes)[:, :DIMENSIONS], np.where(np.isnan(pitch), usual, pitch)])


def probabilities(sounds: Array, sentences: Sequence[Sentence]) -> Array:
    """How likely the manager says each sentence: the best of what words, pitch and voice each suggest to begin with."""
    leads = np.array([s.lead for s in sentences])
    changes = np.array([AFTER_QUESTION if s.asks else AFTER_STATEMENT for s in sentences[:-1]])
    starts = [1 / (1 + np.exp(-leads))]
    for column in (sounds[:, 0], sounds[:, -1]):
        high = np.where(column > np.median(column), 0.9, 0.1)
        starts += [high, 1 - high]
    found = [_settled(sounds, leads, changes, start) for start in starts]
    return max(found, key=lambda outcome: outcome[0])[1]


def _settled(sounds: Array, leads: Array, changes: Array, manager: Array) -> tuple[float, Array]:
    """Log-likelihood, and probabilities of the manager after the rounds from those given."""
    floor = np.array([*[VOICE_DEVIATION] * (sounds.shape[1] - 1), PITCH_DEVIATION])
    likelihood = -np.inf
    for _ in range(ROUNDS):
        weights = np.column_stack([1 - manager, manager]) + 0.02  # nobody is ever without a sentence
        means = weights.T @ sounds / weights.sum(axis=0)[:, None]
        apart = (sounds[:, None] - means) ** 2
        variance = (weights[:, :, None] * apart).sum(axis=(0, 1)) / weights.sum() + floor**2
        scores = -0.5 * (apart / variance).sum(axis=2) - 0.5 * np.log(variance).sum()
        # Cues are rough log-odds and not independent: half of them counts, as for roles.
        scores += np.column_stack([-leads, leads]) / 4
        likelihood, settled = _smoothed(scores, changes)
        if np.abs(settled - manager).max() < 1e-3:
            return likelihood, settled
        manager = settled
    return likelihood, manager


def _smoothed(scores: Array, changes: Array) -> tuple[float, Array]:
    """Log-likelihood and the probability of the second state at each step (forward-backward)."""
    moves = np.log(np.stack([np.stack([1 - changes, changes], 1), np.stack([changes, 1 - changes], 1)], 1))
    forward, backward = scores + np.log(0.5), np.zeros_like(scores)
    for n in range(1, len(scores)):
        forward[n] = scores[n] + np.logaddexp.reduce(forward[n - 1][:, None] + moves[n - 1], axis=0)
    for n in range(len(scores) - 2, -1, -1):
        backward[n] = np.logaddexp.reduce(moves[n] + scores[n + 1] + backward[n + 1], axis=1)
    both = forward + backward
    return float(np.logaddexp.reduce(forward[-1])), np.exp(both[:, 1] - np.logaddexp.reduce(both, axis=1))
