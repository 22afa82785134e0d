"""Tables of measures on the terminal: their headings in Russian, as `appliance.evaluation` has them in English."""

from __future__ import annotations

from installer.language import spoken

RUSSIAN = {
    "Totals": "Итоги",
    "Labels": "Разметка",
    "Answers": "Ответы",
    "Effort": "Затраты",
    "Agreement of profiles with each other": "Согласие профилей между собой",
    "group": "группа",
    "engine and weights": "движок и веса",
    "engine": "движок",
    "set": "набор",
    "kind": "вид",
    "files": "файлов",
    "calls": "звонков",
    "failed": "сбоев",
    "failures": "сбои",
    "words": "слов",
    "WER": "ошибки в словах",
    "CER": "ошибки в буквах",
    "DER": "ошибки в голосах",
    "DER, collar": "то же с допуском",
    "roles": "роли",
    "language": "язык",
    "language right": "язык верен",
    "real-time factor": "доля реального времени",
    "labelled": "размечено",
    "recall": "найдено",
    "masked": "скрыто",
    "precision": "точность",
    "profile": "профиль",
    "sentiment": "тональность",
    "intents": "намерения",
    "outcome": "итог разговора",
    "sentiment F1": "тональность, F1",
    "intents F1 (P/R)": "намерения, F1 (P/R)",
    "topics F1 (P/R)": "темы, F1 (P/R)",
    "outcome F1": "итог, F1",
    "action items F1 (P/R)": "задачи, F1 (P/R)",
    "valid": "годных",
    "summary, words": "слов в пересказе",
    "in limit": "в пределах",
    "in the call's language": "на языке звонка",
    "claims": "утверждений",
    "proven": "доказано",
    "p50, s": "p50, с",
    "p95, s": "p95, с",
    "requests": "запросов",
    "tokens sent": "токенов послано",
    "tokens received": "токенов получено",
    "USD": "USD",
    "USD per 1000 calls": "USD за 1000 звонков",
    "one": "один",
    "other": "другой",
    "kappa": "каппа",
    "correlation": "корреляция",
    "intents in common": "общих намерений",
}


def heading(english: str) -> str:
    """A heading in the operator's language."""
    return RUSSIAN.get(english, english) if spoken() == "ru" else english
