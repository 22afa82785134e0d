"""What a negation takes back."""

from __future__ import annotations

from appliance.engines.language.builtin.lemmas import Said
from appliance.engines.language.builtin.patterns import Hit

NEGATORS = {
    "ru": frozenset({"не", "нет", "ни", "никто", "никак", "никогда", "нельзя", "без"}),
    "en": frozenset({"not", "no", "never", "nobody", "none", "without", "nothing", "neither", "hardly"}),
}
WISHES = {
    "ru": frozenset({"нужный", "надо", "хотеть", "интересовать", "планировать", "рассматривать", "требоваться"}),
    "en": frozenset({"need", "want", "interest", "interested", "look", "interesting", "looking"}),
}
REFUSALS = {"ru": frozenset({"нет", "не", "неа"}), "en": frozenset({"no", "nope", "nah"})}

REACH = 3
"""A wish and its negation stand at most so many words from what is wished."""

FAR = 8
"""A denial holds for so many words of its clause."""


def is_unwanted(said: Said, hit: Hit, language: str) -> bool:
    """Whether the sentence says that what was found is not wanted ("не нужен кредит", "каско мне не надо")."""
    before = range(max(0, hit.start - REACH), hit.start)
    after = range(hit.end, min(len(said.words), hit.end + REACH + 1))
    negators, wishes = NEGATORS[language], WISHES[language]
    for span in (before, after):
        near = [said.words[n].lemma for n in span if said.clauses[n] == said.clauses[hit.start]]
        if any(a in negators and wishes & {*near[n + 1 : n + 3]} for n, a in enumerate(near)):
            return True
    return False


def is_denied(said: Said, hit: Hit, language: str) -> bool:
    """Whether the clause denies that something happens before it names it ("никто мне не перезвонил")."""
    clause = said.clauses[hit.start]
    earlier = (said.words[n] for n in range(max(0, hit.start - FAR), hit.start) if said.clauses[n] == clause)
    return any(found.lemma in NEGATORS[language] for found in earlier)


def begins_with_refusal(said: Said, language: str) -> bool:
    """Whether the sentence begins with a no of its own ("Нет, в четверг не могу")."""
    own = len(said.clauses) == 1 or (len(said.clauses) > 1 and said.clauses[1] > said.clauses[0])
    return bool(said.words) and said.words[0].lemma in REFUSALS[language] and own
