"""The dealership's part of an analysis, as far as it can be known without a language model; every claim is a quote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from appliance.engines.language.builtin.actions import Planned, written
from appliance.engines.language.builtin.lemmas import Said, word
from appliance.engines.language.builtin.negation import is_denied, is_unwanted
from appliance.engines.language.builtin.ontology import DATA as ONTOLOGY
from appliance.engines.language.builtin.ontology import ontology
from appliance.engines.language.builtin.patterns import Patterns
from appliance.engines.language.claims import (
    Car,
    Credit,
    Details,
    NextContact,
    Objection,
    Outcome,
    Task,
    TradeIn,
)

DATA = Path(__file__).parent / "data" / "details.yaml"

QUOTE_CHARACTERS = 160
MOST = 5

SERVICE = frozenset({"service_booking", "repair_status", "tyres", "warranty", "parts", "insurance", "complaint"})
"""Intents of people who have a car already."""


@dataclass(frozen=True, slots=True)
class Known:
    """The data file of one language. `cars` are names by the keys of their words; labels by pattern name."""

    cars: Mapping[str, str]
    with_capital: frozenset[str]
    owned: Patterns
    sold: Patterns
    lost: Patterns
    objections: Patterns
    client_calls: Patterns
    labels: Mapping[str, str]


@lru_cache
def known(language: str) -> Known:
    """What details.yaml says for a language, read once."""
    data: dict[str, Any] = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    listed = yaml.safe_load(ONTOLOGY.read_text(encoding="utf-8"))["cars"][language].split("|")
    generic = set(data["generic_cars"][language].split("|"))

    def one(key: str) -> Patterns:
        return Patterns({key: data[key][language]}, language)

    def several(key: str) -> Patterns:
        return Patterns({name: entry[language] for name, entry in data[key].items()}, language)

    def shown(name: str) -> str:
        return name.upper() if name in data["acronyms"] else name.capitalize()

    return Known(
        cars={key: shown(name) for name in listed if name not in generic for key in (name, word(name, language).lemma)},
        with_capital=frozenset(data["common_words"][language].split("|")),
        owned=one("owned"),
        sold=one("sold"),
        lost=several("lost"),
        objections=several("objections"),
        client_calls=one("client_calls"),
        labels={
            f"{key} {name}": entry["label"][language]
            for key in ("lost", "objections")
            for name, entry in data[key].items()
        },
    )


def details_of(
    said: Sequence[Said], language: str, intents: Sequence[str], tasks: Mapping[str, Planned], outcome: Outcome
) -> Details:
    """The outcome, cars, trade-in, credit, objections, next contact and tasks; empty where nothing says so."""
    cars = tuple(_cars(said, language, intents))[:MOST]
    objections = tuple(_objections(said, language))[:MOST]
    trade_in, credit = _trade_in(said, language, intents, cars), _credit(said, language, intents)
    next_contact = _next_contact(said, language, tasks)
    single = (trade_in, credit, next_contact)
    counted = len(cars) + len(objections) + len(tasks) + sum(part is not None for part in single)
    return Details(
        outcome=outcome,
        cars=cars,
        trade_in=trade_in,
        credit=credit,
        objections=objections,
        next_contact=next_contact,
        tasks=tuple(_tasks(tasks, language)),
        claims=counted + bool(outcome.quote),
    )


def proof_of(said: Said) -> dict[str, str]:
    """Where a claim stands and the words that prove it: the sentence, cut after a word where it is too long."""
    quote = said.text
    if len(quote) > QUOTE_CHARACTERS:
        quote = quote[:QUOTE_CHARACTERS].rsplit(maxsplit=1)[0]
    return {"segment": said.utterance, "quote": quote}


def last_said(said: Sequence[Said], language: str, patterns: Patterns) -> tuple[str, Said] | None:
    """The last sentence of the client's in which a pattern occurs that nothing takes back, and the pattern's name."""
    for sentence in reversed(said):
        if sentence.speaker == "A":
            for hit in patterns.hits(sentence.words):
                if not is_denied(sentence, hit, language) and not sentence.text.endswith("?"):
                    return hit.name, sentence
    return None


def _cars(said: Sequence[Said], language: str, intents: Sequence[str]) -> Iterator[Car]:
    """Each car once: names that follow one another are one car, and a longer name says more than its part."""
    found: dict[str, Car] = {}
    for sentence in said:
        if sentence.speaker == "B" and sentence.utterance == said[0].utterance:
            continue  # "Brookside Honda, how can I help" names the dealership
        for name in _names(sentence, language):
            held = next((other for other in found if name in other.split() or other in name), None)
            if held is None or len(name) > len(held):
                before = found.pop(held) if held else None
                relation = before.relation if before else _relation(sentence, language, intents)
                found[name] = Car(name=name, relation=relation, **proof_of(sentence))
    yield from found.values()


def _names(sentence: Said, language: str) -> Iterator[str]:
    cars, run, last = known(language), list[str](), -2
    for n, spoken in enumerate(sentence.words):
        name = next((cars.cars[key] for key in (spoken.text, *sorted(spoken.keys)) if key in cars.cars), None)
        if name is None or (name.lower() in cars.with_capital and not _has_capital(sentence, spoken.text)):
            continue
        if run and n != last + 1:
            yield " ".join(run)
            run = []
        run.append(name)
        last = n
    if run:
        yield " ".join(run)


def _has_capital(sentence: Said, text: str) -> bool:
    return text.capitalize() in sentence.text or text.upper() in sentence.text


def _relation(sentence: Said, language: str, intents: Sequence[str]) -> Literal["wanted", "owned"]:
    if SERVICE & {*intents} and not {"buy_car", "test_drive"} & {*intents}:
        return "owned"
    own = sentence.speaker == "A" and known(language).owned.hits(sentence.words)
    return "owned" if own else "wanted"


def _meant(said: Sequence[Said], language: str, names: frozenset[str]) -> Said | None:
    """The first sentence of the client's that says one of these intents."""
    for sentence in said:
        if sentence.speaker == "A":
            for hit in ontology().intents[language].hits(sentence.words):
                if hit.name in names and not is_unwanted(sentence, hit, language):
                    return sentence
    return None


def _trade_in(said: Sequence[Said], language: str, intents: Sequence[str], cars: Sequence[Car]) -> TradeIn | None:
    proof = _meant(said, language, frozenset({"trade_in"})) if "trade_in" in intents else None
    if proof is None:
        return None
    return TradeIn(car=next((car.name for car in cars if car.relation == "owned"), None), **proof_of(proof))


def _credit(said: Sequence[Said], language: str, intents: Sequence[str]) -> Credit | None:
    wanted = frozenset({"credit", "leasing"}) & {*intents}
    proof = _meant(said, language, wanted) if wanted else None
    return Credit(terms=None, **proof_of(proof)) if proof else None


def _objections(said: Sequence[Said], language: str) -> Iterator[Objection]:
    told = set[str]()
    for sentence in said:
        if sentence.speaker != "A":
            continue
        for hit in known(language).objections.hits(sentence.words):
            if hit.name not in told and not is_denied(sentence, hit, language) and not sentence.text.endswith("?"):
                told.add(hit.name)
                yield Objection(text=known(language).labels[f"objections {hit.name}"], **proof_of(sentence))


def _next_contact(said: Sequence[Said], language: str, tasks: Mapping[str, Planned]) -> NextContact | None:
    if planned := tasks.get("call_back"):
        return NextContact(by="manager", when=str(planned.when) or None, **proof_of(planned.said))
    own = last_said(said, language, known(language).client_calls)
    return NextContact(by="client", when=None, **proof_of(own[1])) if own else None


def _tasks(tasks: Mapping[str, Planned], language: str) -> Iterator[Task]:
    for name, planned in tasks.items():
        text = written(name, planned.when, language)
        yield Task(text=text, who="manager", due=str(planned.when) or None, **proof_of(planned.said))
