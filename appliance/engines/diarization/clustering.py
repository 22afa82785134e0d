"""The diarizer that needs no card: voice activity, d-vectors of short windows, clustering, smoothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from appliance.engines.diarization import CLUSTERING, SpeakerTurn
from appliance.engines.diarization.embedding import WINDOW_MS, VoiceEncoder
from appliance.engines.diarization.handover import OTHER_VOICE, by_sides
from appliance.engines.diarization.turns import bridged, in_order_of_appearance
from appliance.engines.recall import Recall, afresh
from appliance.engines.speech import Sound
from appliance.engines.voice_activity import Region, speech_regions

STEP_MS = 300
SHORTEST_MS = 120
"""A "yes" too short to be recognised still tells whose turn it is."""

MOST_WINDOWS = 1500
"""Linkage takes the square of this in memory; of longer calls a regular sample is clustered, the rest assigned."""

FEWEST_WINDOWS = 4
"""With fewer there are no two merges to compare: one voice."""

FRAME_MS = 50
SWITCH_COST = 1.0
"""What a change of speaker must gain in log-odds over the frames that follow: keeps single frames from flipping.
Twice as much costs short replies: confusion on the calls below rises from 1.3 to 2.0 %."""

SHARPNESS = 40.0
"""Cosine similarity to log-odds: a difference of 0.1 between the centroids is worth 4 a second."""

TWO_VOICES_EVIDENCE = 0.275
"""Evidence (see `evidence_of_two`) from which on there are two voices.

Set on 190 recordings: real calls, meetings and monologues, and calls put together from ten LibriSpeech readers in
telephone quality. From 12 s of speech on, 1 % of the calls with two voices fall below it and 9 % of the monologues
reach it. The side on which to err: a second voice that is missed spoils the whole transcript, one voice in two only a
monologue. On 60 calls and 60 monologues of 15-30 s of other readers, 3 % and 22 %. Two women on one telephone line, the
hardest real case, reach 0.31-0.36, depending on where the windows fall.
"""

USUAL_SIMILARITY = 0.9
"""About what the two halves of one voice reach; 0.94 in a long recording, 0.85 in a short one."""


class ClusteringDiarizer:
    """Tells two voices apart (or finds that there is only one)."""

    name = CLUSTERING

    def __init__(self, encoder: VoiceEncoder) -> None:
        self._encoder = encoder

    def diarize(
        self,
        samples: Sound,
        *,
        speakers: int = 2,
        on_progress: Callable[[float], None] = lambda _: None,
        recall: Recall = afresh,
    ) -> list[SpeakerTurn]:
        """See Diarizer."""
        regions = speech_regions(samples, SHORTEST_MS, recall=recall)
        windows = windows_of(regions)
        if not windows:
            return []
        vectors = self._encoder.embed(samples, windows, recall=recall, on_progress=on_progress)
        third = with_third(vectors) if speakers == 2 else None
        if third is not None and (three := by_sides(_told(regions, windows, vectors @ third.T))):
            return bridged(three)
        centroids = voices(windows, vectors, speakers)
        if len(centroids) < 2:
            return bridged([SpeakerTurn(region.start_ms, region.end_ms, 0) for region in regions])
        return bridged(_told(regions, windows, vectors @ centroids.T))

    def close(self) -> None:
        """See Diarizer."""


def windows_of(regions: Sequence[Region]) -> list[Region]:
    """Overlapping windows over the regions; a region shorter than a window is one, as it is."""
    windows = []
    for region in regions:
        last = max(region.start_ms, region.end_ms - WINDOW_MS)
        starts = [*range(region.start_ms, last, STEP_MS), last]
        windows += [Region(start, min(start + WINDOW_MS, region.end_ms)) for start in starts]
    return windows


def _told(regions: Sequence[Region], windows: Sequence[Region], similarity: NDArray[np.float32]) -> list[SpeakerTurn]:
    return in_order_of_appearance(turns_of(regions, windows, similarity))


def voices(windows: Sequence[Region], vectors: NDArray[np.float32], speakers: int) -> NDArray[np.float32]:
    """The centroid of each voice: `speakers` of them, or one where the vectors do not fall apart.

    Ward's linkage: average linkage splits off single odd windows instead of the second voice.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    every = -(-len(vectors) // MOST_WINDOWS)
    sample = vectors[::every]
    whole = centroids_of(sample, np.zeros(len(sample), np.int64))
    if len(sample) < FEWEST_WINDOWS or speakers < 2:
        return whole
    tree, calm = linkage(sample, "ward"), linkage(with_neighbours(windows, vectors)[::every], "ward")
    two = refined(vectors, centroids_of(sample, fcluster(tree, 2, "maxclust")))
    if evidence_of_two(tree, calm, float(two[0] @ two[1])) < TWO_VOICES_EVIDENCE:
        return whole
    return two if speakers == 2 else refined(vectors, centroids_of(sample, fcluster(tree, speakers, "maxclust")))


def with_third(vectors: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """The centroids of three voices, where every two of them are as far apart as two people are."""
    from scipy.cluster.hierarchy import fcluster, linkage

    sample = vectors[:: -(-len(vectors) // MOST_WINDOWS)]
    if len(sample) < FEWEST_WINDOWS:
        return None
    three = refined(vectors, centroids_of(sample, fcluster(linkage(sample, "ward"), 3, "maxclust")))
    alike = (three @ three.T)[np.triu_indices(len(three), 1)]
    return three if len(three) == 3 and alike.max() < OTHER_VOICE else None


def evidence_of_two(tree: NDArray[np.float64], calm: NDArray[np.float64], similarity: float) -> float:
    """How much more the last merge costs than the one before it (log), and how far apart the two centroids are.

    The cost hangs on single windows, so it is the mean of two trees: of the windows, and of their local means. Either
    sign alone errs more: on short recordings similarity is low without a second voice, two alike voices merge cheaply.
    """
    jumps = [float(np.log(t[-1, 2] / max(t[-2, 2], 1e-9))) for t in (tree, calm)]
    return float(np.mean(jumps)) + USUAL_SIMILARITY - similarity


def with_neighbours(windows: Sequence[Region], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each vector averaged with those of the overlapping windows next to it, which count for 0.7."""
    starts = np.array([window.start_ms for window in windows])
    overlap = (np.diff(starts) <= STEP_MS)[:, None] * np.float32(0.7)
    mean = vectors.copy()
    mean[1:] += overlap * vectors[:-1]
    mean[:-1] += overlap * vectors[1:]
    return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)


def centroids_of(vectors: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """The mean direction of each label's vectors."""
    sums = np.stack([vectors[labels == label].sum(axis=0) for label in np.unique(labels)])
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)


def refined(vectors: NDArray[np.float32], centroids: NDArray[np.float32], rounds: int = 10) -> NDArray[np.float32]:
    """Spherical k-means from the clusters: linkage never moves a vector that it joined too early."""
    for _ in range(rounds):
        labels = (vectors @ centroids.T).argmax(axis=1)
        if len(np.unique(labels)) < len(centroids):
            break
        centroids = centroids_of(vectors, labels)
    return centroids


def turns_of(
    regions: Sequence[Region], windows: Sequence[Region], similarity: NDArray[np.float32]
) -> list[SpeakerTurn]:
    """Smoothed turns within the regions, from each window's similarity to each voice."""
    frames = max(region.end_ms for region in regions) // FRAME_MS + 1
    score = np.zeros((frames, similarity.shape[1]))
    weight = np.zeros((frames, 1))
    for window, row in zip(windows, similarity, strict=True):
        inside = slice(window.start_ms // FRAME_MS, max(window.end_ms // FRAME_MS, window.start_ms // FRAME_MS + 1))
        count = len(range(*inside.indices(frames)))
        bell = np.hanning(count + 2)[1:-1, None]  # the middle of a window says most about its middle
        score[inside] += bell * row
        weight[inside] += bell
    score = np.divide(score, weight, out=np.zeros_like(score), where=weight > 0)
    turns = []
    path = best_path(SHARPNESS * FRAME_MS / 1000 * score)
    for region in regions:
        first, last = region.start_ms // FRAME_MS, max(region.end_ms // FRAME_MS, region.start_ms // FRAME_MS + 1)
        edges = [first, *(n for n in range(first + 1, last) if path[n] != path[n - 1]), last]
        for start, end in pairwise(edges):
            begin_ms = region.start_ms if start == first else start * FRAME_MS
            turns.append(SpeakerTurn(begin_ms, region.end_ms if end == last else end * FRAME_MS, int(path[start])))
    return turns


def best_path(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """The most likely speaker of each frame where every change costs SWITCH_COST (Viterbi)."""
    frames, voices = score.shape
    best = np.zeros((frames, voices))
    came_from = np.zeros((frames, voices), np.int64)
    best[0] = score[0]
    for n in range(1, frames):
        change = best[n - 1].max() - SWITCH_COST
        stays = best[n - 1] >= change
        came_from[n] = np.where(stays, np.arange(voices), best[n - 1].argmax())
        best[n] = np.where(stays, best[n - 1], change) + score[n]
    path = np.zeros(frames, np.int64)
    path[-1] = best[-1].argmax()
    for n in range(frames - 1, 0, -1):
        path[n - 1] = came_from[n, path[n]]
    return path
