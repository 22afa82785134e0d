"""What a client calls for, learnt from labelled calls: a linear classifier over lemmas, see weights/intents.

The ontology knows the wordings that it was written for, and what it finds is mostly right; the classifier has an idea
of all others. Together they are better than either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.engines.language.builtin.lemmas import Said

WEIGHTS = Path(__file__).parents[4] / "weights" / "intents" / "intents.npz"

FIRST_TURNS = 2
"""A client's first turns tell more about why he calls than later ones."""

OF_ONTOLOGY = 0.15
"""What it adds to the probability of an intent that the ontology has found it, too."""

LEAST = 0.35
"""Intents from here on are named. Settled with OF_ONTOLOGY on calls of hands that were left out of the training."""

MOST = 3

FEW_WORDS, SURE = 20, 0.5
"""Where a client says fewer words there is little to weigh: what the ontology finds stands as it is, and where it finds
nothing, the classifier has to be surer.
"""


@dataclass(frozen=True, slots=True)
class Weights:
    """idf: by feature. weights: [features, codes]."""

    codes: tuple[str, ...]
    features: Mapping[str, int]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]


@lru_cache
def weights() -> Weights:
    """The weights, read once."""
    with np.load(WEIGHTS) as stored:
        lines = {name: bytes(stored[name]).decode().split("\n") for name in ("codes", "features")}
        numbers = [stored[name].astype(np.float32) for name in ("idf", "weights", "intercepts")]
    return Weights(tuple(lines["codes"]), {name: n for n, name in enumerate(lines["features"])}, *numbers)


def features_of(said: Sequence[Said]) -> Counter[str]:
    """Lemmas and pairs of them within a sentence, by who says them; those of a client's first turns once more."""
    found, first = Counter[str](), list(dict.fromkeys(s.utterance for s in said if s.speaker == "A"))[:FIRST_TURNS]
    for sentence in said:
        lemmas = [word.lemma for word in sentence.words]
        terms = [*lemmas, *(f"{one}_{other}" for one, other in pairwise(lemmas))]
        for place in (sentence.speaker, *(["F"] if sentence.utterance in first else [])):
            found.update(f"{place}:{term}" for term in terms)
    return found


def likelihoods(said: Sequence[Said]) -> dict[str, float]:
    """The probability of each intent."""
    known = weights()
    counts = {known.features[name]: n for name, n in features_of(said).items() if name in known.features}
    if not counts:
        return {}
    rows = np.fromiter(counts, int)
    values = (1 + np.log(np.fromiter(counts.values(), np.float32))) * known.idf[rows]
    values /= np.linalg.norm(values)
    scores = values @ known.weights[rows] + known.intercepts
    return dict(zip(known.codes, (1 / (1 + np.exp(-scores))).tolist(), strict=True))


def intents_by(said: Sequence[Said], found: Collection[str]) -> tuple[str, ...]:
    """The intents of a call, the likeliest first. found: those that the ontology finds."""
    words = sum(len(sentence.words) for sentence in said if sentence.speaker == "A")
    likely = {} if not words or (found and words < FEW_WORDS) else likelihoods(said)
    if not likely:
        return tuple(found)
    scores = {code: share + OF_ONTOLOGY * (code in found) for code, share in likely.items()}
    least = LEAST if words >= FEW_WORDS else SURE
    named = sorted((code for code in scores if scores[code] >= least), key=lambda code: (-scores[code], code))
    return ("wrong_number",) if named[:1] == ["wrong_number"] else tuple(named[:MOST])
