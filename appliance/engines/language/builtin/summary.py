"""Summary: the sentences that carry the call, put in a frame. At most 120 words, whole sentences."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.engines.language.builtin.lemmas import Said
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.builtin.sentiment import sentence_weight
from appliance.engines.language.limits import shorten

NOTHING = {"ru": "В записи нет распознанной речи.", "en": "No speech was recognised in the recording."}
FRAME = {
    "ru": {"topics": "Темы разговора: {}.", "A": "Клиент: {}", "B": "Менеджер: {}", "tasks": "Дальнейшие шаги: {}."},
    "en": {"topics": "Topics: {}.", "A": "Client: {}", "B": "Manager: {}", "tasks": "Next steps: {}."},
}
CLIENT_SENTENCES, MANAGER_SENTENCES, TASKS = 3, 2, 4
LONGEST_SENTENCE = 30
"""Words; a longer sentence is a transcript without punctuation and would fill the summary alone."""


def summarise(said: Sequence[Said], language: str, topics: Sequence[str], tasks: Sequence[str]) -> str:
    """Topics, what the client said, what the manager answered, what comes next."""
    if not any(sentence.lemmas for sentence in said):
        return NOTHING[language]
    frame, parts = FRAME[language], []
    if topics:
        parts.append(frame["topics"].format(", ".join(topics)))
    for speaker, most in (("A", CLIENT_SENTENCES), ("B", MANAGER_SENTENCES)):
        chosen = _weightiest([s for s in said if s.speaker == speaker], language, most)
        if chosen:
            parts.append(frame[speaker].format(" ".join(_quoted(sentence) for sentence in chosen)))
    if tasks:
        lowered = [task[0].lower() + task[1:] for task in tasks[:TASKS]]
        parts.append(frame["tasks"].format("; ".join(lowered)))
    return shorten(" ".join(parts))


def _weightiest(said: Sequence[Said], language: str, most: int) -> list[Said]:
    """The sentences that say most, in the order in which they were said; the first ones where none says anything."""
    weights = [(_weight(sentence, language), -n) for n, sentence in enumerate(said)]
    ranked = sorted(range(len(said)), key=lambda n: weights[n], reverse=True)[:most]
    kept = [n for n in ranked if weights[n][0] > 0] or ranked[:1]
    return [said[n] for n in sorted(kept)]


def _weight(sentence: Said, language: str) -> float:
    known = ontology()
    side = "client" if sentence.speaker == "A" else "manager"
    groups = [
        *(entry[language] for entry in known.topics.values()),
        *(entry[language] for entry in known.intents.values()),
        *(entry[side][language] for entry in known.actions.values()),
    ]
    hits = sum(any(p.ends(sentence.lemmas) for p in group) for group in groups)
    return hits + 0.3 * abs(sentence_weight(sentence.lemmas, language))


def _quoted(sentence: Said) -> str:
    words = sentence.text.split()
    text = " ".join(words[:LONGEST_SENTENCE]) + ("…" if len(words) > LONGEST_SENTENCE else "")
    return text if text.endswith((".", "!", "?", "…")) else text + "."
