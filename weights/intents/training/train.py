"""Train the classifier of intents on labelled calls and write ../intents.npz.

    .venv/bin/python weights/intents/training/train.py

Needs scikit-learn (`pip install '.[training]'`). Prints first how the analyst does on the calls of each hand that was
left out of the training; the ontology was written on the tuned part of the evaluation's dialogues, so those are only
trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from appliance.engines.language.builtin import BuiltinAnalyst, classifier, language_of
from appliance.engines.language.builtin.lemmas import read
from appliance.evaluation.agreement import of_sets
from appliance.evaluation.dialogues import Dialogue, load_dialogues

HERE = Path(__file__).parent
INVERSE_REGULARIZATION = 5
FEWEST = 2
"""Calls that a feature must occur in."""

Model = tuple[TfidfVectorizer, dict[str, LogisticRegression]]


def features(dialogue: Dialogue) -> list[str]:
    conversation = dialogue.conversation
    return [*classifier.features_of(read(conversation.utterances, language_of(conversation))).elements()]


def fit(calls: Sequence[Dialogue]) -> Model:
    vectorizer = TfidfVectorizer(analyzer=features, sublinear_tf=True, min_df=FEWEST)
    rows = vectorizer.fit_transform(calls)
    codes = sorted({code for call in calls for code in call.intents or ()})
    models = {}
    for code in codes:
        model = LogisticRegression(
            C=INVERSE_REGULARIZATION, class_weight="balanced", max_iter=300, solver="liblinear", random_state=0
        )
        models[code] = model.fit(rows, [code in (call.intents or ()) for call in calls])
    return vectorizer, models


def store(model: Model) -> None:
    vectorizer, models = model
    listed = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    np.savez_compressed(
        classifier.WEIGHTS,
        codes=np.frombuffer("\n".join(models).encode(), np.uint8),
        features=np.frombuffer("\n".join(listed).encode(), np.uint8),
        idf=vectorizer.idf_.astype(np.float16),
        weights=np.stack([model.coef_[0] for model in models.values()], 1).astype(np.float16),
        intercepts=np.array([model.intercept_[0] for model in models.values()], np.float32),
    )
    classifier.weights.cache_clear()


def main() -> None:
    tuned = [call for call in load_dialogues() if call.split == "tune"]
    hands = {file.stem: load_dialogues(file) for file in sorted(HERE.glob("*.yaml"))}
    analyst, all_pairs = BuiltinAnalyst(), []
    for left_out, calls in hands.items():
        store(fit([*tuned, *(call for hand, others in hands.items() if hand != left_out for call in others)]))
        pairs = [
            (call.intents or frozenset(), frozenset(analyst.analyse(call.conversation).analysis.intents))
            for call in calls
        ]
        all_pairs += pairs
        print(f"{left_out}: micro-F1 {of_sets(pairs).f1:.3f} on {len(calls)} calls")
    found = of_sets(all_pairs)
    print(f"all: {found.f1:.3f} (precision {found.precision:.2f}, recall {found.recall:.2f})")
    store(fit([*tuned, *(call for calls in hands.values() for call in calls)]))
    print(f"{classifier.WEIGHTS}: {len(classifier.weights().features)} features")


if __name__ == "__main__":
    main()
