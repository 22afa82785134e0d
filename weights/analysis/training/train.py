"""Train the classifier of intents, topics and outcomes on labelled calls and write ../analysis.npz.

    .venv/bin/python weights/analysis/training/train.py

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
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.builtin.rules import by_rules
from appliance.evaluation.analysis import Run, evaluate
from appliance.evaluation.dialogues import Dialogue, load_dialogues

HERE = Path(__file__).parent
INVERSE_REGULARIZATION = 10
FEWEST = 2
"""Calls that a feature must occur in, and calls that a code must be said of."""

Model = tuple[TfidfVectorizer, dict[str, LogisticRegression]]


def main() -> None:
    tuned = [call for call in load_dialogues() if call.split == "tune"]
    hands = {file.stem: load_dialogues(file) for file in sorted(HERE.glob("*.yaml"))}
    features = {call.id: features_of(call) for call in (*tuned, *(call for calls in hands.values() for call in calls))}
    judged = []
    for left_out, calls in hands.items():
        others = [call for hand, theirs in hands.items() if hand != left_out for call in theirs]
        store(fit([*tuned, *others], features))
        run = evaluate(BuiltinAnalyst(), calls)
        judged += run.judged
        tell(left_out, run)
    tell("all", Run("builtin", "builtin", tuple(judged)))
    store(fit([*tuned, *(call for calls in hands.values() for call in calls)], features))
    print(f"{classifier.WEIGHTS}: {len(classifier.weights().features)} features")


def features_of(call: Dialogue) -> list[str]:
    return [*classifier.features_of(by_rules(call.conversation.utterances, language_of(call.conversation))).elements()]


def codes_of(call: Dialogue) -> set[str]:
    names = {label["ru"]: name for name, label in ontology().labels.items()}
    intents, topics = call.intents or (), call.topics or ()
    return {
        *(f"intent {code}" for code in intents),
        *(f"topic {names[label]}" for label in topics),
        f"outcome {call.outcome}",
    }


def fit(calls: Sequence[Dialogue], features: dict[str, list[str]]) -> Model:
    vectorizer = TfidfVectorizer(analyzer=lambda call: features[call.id], sublinear_tf=True, min_df=FEWEST)
    rows = vectorizer.fit_transform(calls)
    codes = [codes_of(call) for call in calls]
    models = {}
    for code in sorted(set().union(*codes)):
        said_of = [code in those for those in codes]
        if sum(said_of) >= FEWEST:
            model = LogisticRegression(
                C=INVERSE_REGULARIZATION, class_weight="balanced", max_iter=300, solver="liblinear", random_state=0
            )
            models[code] = model.fit(rows, said_of)
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


def tell(name: str, run: Run) -> None:
    found = run.groups[-1]
    print(
        f"{name}: intents {found.intents.f1:.3f} ({found.intents.precision:.2f}/{found.intents.recall:.2f}), "
        f"topics {found.topics.f1:.3f} ({found.topics.precision:.2f}/{found.topics.recall:.2f}), "
        f"outcome {found.outcome_accuracy:.3f} (mean F1 {found.outcome_f1:.2f}), {found.dialogues} calls",
        flush=True,
    )


if __name__ == "__main__":
    main()
