"""Summary: the sentences that carry the call, put in a frame. At most 120 words, whole sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.engines.language import Sentiment
from appliance.engines.language.builtin.actions import SIDES, frames
from appliance.engines.language.builtin.lemmas import Said
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.builtin.sentiment import sentence_weight
from appliance.engines.language.limits import SUMMARY_WORDS, shorten

NOTHING = {"ru": "В записи нет распознанной речи.", "en": "No speech was recognised in the recording."}
FRAME = {
    "ru": {
        "topics": "Темы разговора: {}.",
        "A": "Клиент: {}",
        "B": "Менеджер: {}",
        "tasks": "Дальнейшие шаги: {}.",
        "none": "О дальнейших шагах не договорились.",
        "positive": "Клиент доволен.",
        "negative": "Клиент недоволен.",
        "neutral": "",
    },
    "en": {
        "topics": "Topics: {}.",
        "A": "Client: {}",
        "B": "Manager: {}",
        "tasks": "Next steps: {}.",
        "none": "No next steps were agreed.",
        "positive": "The client is satisfied.",
        "negative": "The client is dissatisfied.",
        "neutral": "",
    },
}
FILLERS = {
    "ru": r"здравствуйте|добрый (?:день|вечер)|доброе утро|день добрый|привет|приветствую|алло|алё|ало|ну|так|ага"
    r"|угу|эм+|э+|слушайте|смотрите|скажите|подскажите|пожалуйста|хорошо|понятно|понял|поняла|ладно|да|вот|ой|мда|хм+",
    "en": r"hello|hi|hey|good (?:morning|afternoon|evening)|well|so|yeah|yes|um+|uh+|okay|ok"
    r"|alright|sure|oh|hmm+|please",
}
NAME = r"(?:[А-ЯЁA-Z][\w-]+,\s+)?"
SENTENCES = {"A": 3, "B": 2}
TASKS = 4
LONGEST_SENTENCE = 24
"""Words; a longer sentence is a transcript without punctuation and would fill the summary alone."""

LEAST_WORDS = 3


def summarise(
    said: Sequence[Said], language: str, topics: Sequence[str], tasks: Sequence[str], sentiment: Sentiment = "neutral"
) -> str:
    """Topics, what the client said, what the manager answered, what comes next and how the client took it."""
    if not any(sentence.words for sentence in said):
        return NOTHING[language]
    frame, parts = FRAME[language], []
    if topics:
        parts.append(frame["topics"].format(", ".join(topics)))
    for speaker, most in SENTENCES.items():
        chosen = _weightiest([s for s in said if s.speaker == speaker], language, most)
        if chosen:
            parts.append(frame[speaker].format(" ".join(chosen)))
    lowered = [task[0].lower() + task[1:] for task in tasks[:TASKS]]
    ends = [frame["tasks"].format("; ".join(lowered)) if tasks else frame["none"], frame[sentiment]]
    end = " ".join(part for part in ends if part)
    return f"{shorten(' '.join(parts), SUMMARY_WORDS - len(end.split()))} {end}".strip()


def _weightiest(said: Sequence[Said], language: str, most: int) -> list[str]:
    """The sentences that say most, in the order in which they were said; the longest one where none says anything."""
    texts = [_quoted(sentence, language) for sentence in said]
    weights = [
        _weight(s, language) if len(text.split()) >= LEAST_WORDS else 0.0 for s, text in zip(said, texts, strict=True)
    ]
    if not any(texts):
        return []
    ranked = sorted(range(len(said)), key=lambda n: (-weights[n], n))
    kept = [n for n in ranked if weights[n] > 0][:most] or [max(ranked, key=lambda n: len(texts[n].split()))]
    return list(dict.fromkeys(texts[n] for n in sorted(kept)))


def _weight(sentence: Said, language: str) -> float:
    known = ontology()
    found = (known.topics, known.intents)
    hits = sum(len({hit.name for hit in patterns[language].hits(sentence.words)}) for patterns in found)
    acts = frames().said[language, SIDES[sentence.speaker]].hits(sentence.words)
    return hits + 1.5 * len({hit.name for hit in acts}) + 0.5 * abs(sentence_weight(sentence, language))


def _quoted(sentence: Said, language: str) -> str:
    """A sentence without greetings and fillers in front, its first letter large, with an end."""
    text = re.sub(rf"^(?:{NAME}(?i:{FILLERS[language]})\b[\s,.!?…—-]*)+", "", sentence.text)
    words = text.split()
    text = " ".join(words[:LONGEST_SENTENCE]) + ("…" if len(words) > LONGEST_SENTENCE else "")
    text = text[:1].upper() + text[1:]
    return text if not text or text.endswith((".", "!", "?", "…")) else text + "."
