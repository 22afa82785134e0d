"""What is to be done after the call: what the manager promises and the client asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from appliance.engines.language.builtin.lemmas import Said
from appliance.engines.language.builtin.ontology import ontology

MOST = 10

DAY = {
    "ru": r"послезавтра|завтра|сегодня|(?:во?|на) (?:понедельник|вторник|среду|четверг|пятницу|субботу|воскресенье)"
    r"|на выходных|(?:на|в) (?:следующей|этой) неделе|через (?:час|неделю|пару дней|полчаса)",
    "en": r"the day after tomorrow|tomorrow|today|tonight|next week|this week|in an hour"
    r"|(?:on |this |next )?(?:monday|tuesday|wednesday|thursday|friday|saturday|sunday)",
}
TIME = {
    "ru": r"в (?:[а-яё]+|\d{1,2}(?::\d\d)?) (?:утра|вечера|дня|час(?:а|ов)?)(?: (?:утра|вечера|дня))?"
    r"|в полдень|после обеда|до обеда|утром|вечером|днём|днем",
    "en": r"at (?:noon|[a-z]+ o'clock|[a-z0-9:]+(?: (?:am|pm))?)|in the (?:morning|afternoon|evening)",
}


def when_of(text: str, language: str) -> str:
    """The day and the time that a sentence names last, as it says them: people settle on it."""
    found = (re.findall(rf"\b(?:{kind[language]})\b", text, re.IGNORECASE) for kind in (DAY, TIME))
    return " ".join(named[-1].lower() for named in found if named)


def action_items(said: Sequence[Said], language: str) -> tuple[str, ...]:
    """Tasks in the infinitive, each once. The last time that was named for a task holds: people settle on it."""
    tasks: dict[str, str] = {}
    for sentence in said:
        who = "client" if sentence.speaker == "A" else "manager"
        for name, action in ontology().actions.items():
            if any(p.ends(sentence.lemmas) for p in action[who][language]) and not _is_refused(sentence):
                tasks[name] = when_of(sentence.text, language) or tasks.get(name, "")
    if len(tasks) > 1 and {"test_drive", "service_visit"} & tasks.keys():
        tasks.pop("visit", None)  # the same visit, said twice
    made = [ontology().actions[name]["task"][language].format(when=when).strip() for name, when in tasks.items()]
    return tuple(made[:MOST])


def _is_refused(sentence: Said) -> bool:
    """A sentence that begins with a refusal promises nothing ("no, I will not come")."""
    return sentence.lemmas[:1] in {("нет",), ("no",)}
