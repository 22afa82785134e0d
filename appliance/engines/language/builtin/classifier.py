"""Why a client calls, what about and how it ends: a linear classifier that has learnt from calls, see weights/analysis.

It weighs lemmas and what the rules find. The rules know the wordings that they were written for; the classifier has
learnt how far they are to be trusted, and has an idea of all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from appliance.engines.language.builtin.lemmas import Said
from appliance.engines.language.builtin.ontology import ranked
from appliance.engines.language.builtin.rules import Ruled
from appliance.engines.language.claims import OutcomeKind

WEIGHTS = Path(__file__).parents[4] / "weights" / "analysis" / "analysis.npz"

FIRST_TURNS = 2
"""A client's first turns tell more about why he calls than later ones."""

LAST_TURNS = 3
"""Of both: how a call ends is said at its end."""

TIMES_FOUND = 3
"""A thing that the rules find counts like a lemma that was said so often."""

LEAST_INTENT, LEAST_TOPIC = 0.3, 0.35
"""From these probabilities on they are named. All figures were settled on calls of hands left out of the training."""

NOTHING = "information"
SURER = 0.1
"""So much likelier than any other outcome has to be that nothing was agreed: it is what most calls end with."""

MOST_INTENTS = 3

FEW_WORDS, SURE = 12, 0.6
"""Where a client says fewer words there is little to weigh: what the rules find stands as it is, and where they find
nothing, the classifier has to be surer.
"""


@dataclass(frozen=True, slots=True)
class Weights:
    """codes: "intent buy_car", "topic price", "outcome lost". idf: by feature. weights: [features, codes]."""

    codes: tuple[str, ...]
    features: Mapping[str, int]
    idf: NDArray[np.float32]
    weights: NDArray[np.float32]
    intercepts: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Likely:
    """The probability of each code of a kind; none where nothing is known that was said."""

    intents: Mapping[str, float]
    topics: Mapping[str, float]
    outcomes: Mapping[str, float]


@lru_cache
def weights() -> Weights:
    """The weights, read once."""
    with np.load(WEIGHTS) as stored:
        lines = {name: bytes(stored[name]).decode().split("\n") for name in ("codes", "features")}
        numbers = [stored[name].astype(np.float32) for name in ("idf", "weights", "intercepts")]
    return Weights(tuple(lines["codes"]), {name: n for n, name in enumerate(lines["features"])}, *numbers)


def features_of(call: Ruled) -> Counter[str]:
    """Lemmas and pairs of them within a sentence, as said by anybody and by who says them, those of a client's first
    turns and of the last turns once more, and what the rules find.
    """
    turns = list(dict.fromkeys(sentence.utterance for sentence in call.said))
    first = list(dict.fromkeys(s.utterance for s in call.said if s.speaker == "A"))[:FIRST_TURNS]
    found = Counter[str]()
    for sentence in call.said:
        places = ["*", sentence.speaker]
        places += ["F"] if sentence.utterance in first else []
        places += [f"L{sentence.speaker}"] if sentence.utterance in turns[-LAST_TURNS:] else []
        found.update(f"{place}:{term}" for term in _terms(sentence) for place in places)
    found.update({f"rules:{name}": TIMES_FOUND for name in _findings(call)})
    return found


def likelihoods(call: Ruled) -> Likely:
    """What the classifier makes of a call."""
    known = weights()
    counts = {known.features[name]: n for name, n in features_of(call).items() if name in known.features}
    if not counts:
        return Likely({}, {}, {})
    rows = np.fromiter(counts, int)
    values = (1 + np.log(np.fromiter(counts.values(), np.float32))) * known.idf[rows]
    values /= np.linalg.norm(values)
    scores = values @ known.weights[rows] + known.intercepts
    shares: dict[str, dict[str, float]] = {"intent": {}, "topic": {}, "outcome": {}}
    for code, share in zip(known.codes, (1 / (1 + np.exp(-scores))).tolist(), strict=True):
        kind, name = code.split()
        shares[kind][name] = share
    return Likely(shares["intent"], shares["topic"], shares["outcome"])


def intents_by(call: Ruled, likely: Likely) -> tuple[str, ...]:
    """The intents of a call, the likeliest first; none that the client declines."""
    wanted = {code: share for code, share in likely.intents.items() if code not in call.declined}
    named = _named(call, wanted, call.intents, LEAST_INTENT)
    return ("wrong_number",) if named[:1] == ("wrong_number",) else named[:MOST_INTENTS]


def topics_by(call: Ruled, likely: Likely, intents: Sequence[str]) -> tuple[str, ...]:
    """The topics of a call by their names in the ontology, the likeliest first; a complaint is one of them where it is
    an intent, and a wrong number the only one.
    """
    if "wrong_number" in intents:
        return ("wrong_number",)
    found = ranked(call.topics)
    named = _named(call, likely.topics, found, LEAST_TOPIC)
    not_learnt = [name for name in found if name not in likely.topics]
    complaint = ["complaint"] if "complaint" in intents else []
    return tuple(name for name in dict.fromkeys([*complaint, *named, *not_learnt]) if name != "wrong_number")


def outcome_by(call: Ruled, likely: Likely, intents: Sequence[str]) -> OutcomeKind:
    """How a call ended; a sale, of which there is none to learn from, where the rules find one."""
    if "wrong_number" in intents:
        return "no_conversation"
    found, is_short = call.outcome.kind, call.client_words < FEW_WORDS
    if found not in likely.outcomes or (is_short and found != NOTHING):
        return found
    scores = {kind: share - SURER * (kind == NOTHING) for kind, share in likely.outcomes.items()}
    best = max(scores, key=lambda kind: scores[kind])
    return cast("OutcomeKind", best) if scores[best] >= SURE or not is_short else found


def telling(call: Ruled, outcome: OutcomeKind) -> list[Said]:
    """The sentences that speak for an outcome, the weightiest first; for a lost sale those of the client."""
    known = weights()
    if (code := f"outcome {outcome}") not in known.codes:
        return []
    column = known.weights[:, known.codes.index(code)] * known.idf

    def weight(sentence: Said) -> float:
        places = ("*", sentence.speaker, f"L{sentence.speaker}")
        names = {f"{place}:{term}" for term in _terms(sentence) for place in places}
        return float(sum(column[known.features[name]] for name in names if name in known.features))

    spoken = [s for s in call.said if len(s.words) > 1 and (s.speaker == "A" or outcome != "lost")]
    weighed = [(weight(sentence), n) for n, sentence in enumerate(spoken)]
    return [spoken[n] for share, n in sorted(weighed, reverse=True) if share > 0]


def _named(call: Ruled, likely: Mapping[str, float], found: Sequence[str], least: float) -> tuple[str, ...]:
    words = call.client_words
    if not likely or not words or (found and words < FEW_WORDS):
        return tuple(found)
    least = least if words >= FEW_WORDS else SURE
    return tuple(sorted((name for name in likely if likely[name] >= least), key=lambda name: (-likely[name], name)))


def _terms(sentence: Said) -> list[str]:
    lemmas = [word.lemma for word in sentence.words]
    return [*lemmas, *(f"{one}_{other}" for one, other in pairwise(lemmas))]


def _findings(call: Ruled) -> Iterator[str]:
    """What the rules find, and of tasks, whether a time was named."""
    yield from (f"intent {name}" for name in call.intents)
    yield from (f"topic {name}" for name in call.topics)
    yield from (f"task {name}" for name in call.tasks)
    yield from (f"timed {name}" for name, planned in call.tasks.items() if planned.when)
    yield f"outcome {call.outcome.kind}"
