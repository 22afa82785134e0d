"""How a call ended, and the words that prove it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from appliance.engines.language.builtin.actions import Planned, agreed
from appliance.engines.language.builtin.details import SERVICE, known, last_said, proof_of
from appliance.engines.language.builtin.lemmas import Said
from appliance.engines.language.claims import NEEDS_NO_PROOF, Outcome, OutcomeKind

SALES = frozenset({"buy_car", "test_drive", "credit", "leasing", "trade_in", "availability", "delivery_status"})

BOOKED: Mapping[str, OutcomeKind] = {
    "test_drive": "test_drive",
    "service_visit": "service_booked",
    "tyre_change": "service_booked",
    "valuation": "appointment",
    "visit": "appointment",
}
"""Appointments of actions.yaml and the outcomes that they are, what a dealership counts first before others."""

TASKS: Mapping[OutcomeKind, Sequence[str]] = {
    "test_drive": ("test_drive", "reschedule", "visit"),
    "service_booked": ("service_visit", "tyre_change", "reschedule", "visit"),
    "appointment": ("valuation", "visit", "reschedule"),
    "callback": ("call_back",),
}
"""Tasks that prove an outcome, the one that says most first."""


def outcome_by_rules(
    said: Sequence[Said], language: str, intents: Sequence[str], tasks: Mapping[str, Planned]
) -> Outcome:
    """What wordings and tasks say; `information` where they say nothing."""
    if "wrong_number" in intents or not any(sentence.words for sentence in said):
        return _nothing("no_conversation")
    if SALES & {*intents} and (proof := last_said(said, language, known(language).sold)):
        return Outcome(kind="sold", when=None, reason=None, **proof_of(proof[1]))
    if booked := _booked(intents, tasks):
        return booked
    if not SERVICE & {*intents} and (lost := _lost(said, language)):
        return lost
    return _planned("callback", tasks["call_back"]) if "call_back" in tasks else _nothing("information")


def outcome_as(
    kind: OutcomeKind,
    found: Outcome,
    said: Sequence[Said],
    language: str,
    tasks: Mapping[str, Planned],
    telling: Sequence[Said],
) -> Outcome:
    """An outcome of another kind than the rules found, with its proof and details; theirs where nothing proves it.

    found: by the rules. telling: the sentences that speak for this kind, the weightiest first.
    """
    if kind in NEEDS_NO_PROOF:
        return _nothing(kind)
    if kind == "lost" and (lost := _lost(said, language)):
        return lost
    if planned := next((tasks[name] for name in TASKS.get(kind, ()) if name in tasks), None):
        return _planned(kind, planned)
    timed = [sentence for sentence in telling if kind in TASKS and agreed(sentence, language)]
    sentence = next(iter((*timed, *telling)), None)
    if sentence is None:
        return found
    when = str(agreed(sentence, language)) if kind in TASKS else ""
    return Outcome(kind=kind, when=when or None, reason=None, **proof_of(sentence))


def _lost(said: Sequence[Said], language: str) -> Outcome | None:
    proof = last_said(said, language, known(language).lost)
    if proof is None:
        return None
    reason = known(language).labels[f"lost {proof[0]}"]
    return Outcome(kind="lost", when=None, reason=reason, **proof_of(proof[1]))


def _booked(intents: Sequence[str], tasks: Mapping[str, Planned]) -> Outcome | None:
    for name, kind in BOOKED.items():
        if (planned := tasks.get(name)) and _is_settled(planned):
            return _planned(kind, planned)
    if (planned := tasks.get("reschedule")) and _is_settled(planned):
        return _planned("test_drive" if "test_drive" in intents else "service_booked", planned)
    return None


def _nothing(kind: OutcomeKind) -> Outcome:
    return Outcome(kind=kind, when=None, reason=None, segment="", quote="")


def _planned(kind: OutcomeKind, planned: Planned) -> Outcome:
    return Outcome(kind=kind, when=str(planned.when) or None, reason=None, **proof_of(planned.said))


def _is_settled(planned: Planned) -> bool:
    """Whether a visit was agreed on, rather than only asked for."""
    return bool(planned.when) or planned.said.speaker == "B"
