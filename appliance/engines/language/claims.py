"""What an analysis claims of a call beyond the frontend's contract, each with the words that prove it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

OutcomeKind = Literal[
    "appointment", "test_drive", "sold", "lost", "callback", "service_booked", "information", "no_conversation"
]
"""How a call ended. no_conversation: a wrong number, a mailbox, nobody there."""

NEEDS_NO_PROOF = frozenset({"information", "no_conversation"})
"""Outcomes that say that nothing came of the call: no sentence proves that."""


def _bounded(longest: int) -> WithJsonSchema:
    """The length stands in the schema alone: a grammar holds a local model to it, an answer is cut and not refused."""
    return WithJsonSchema({"type": "string", "maxLength": longest})


def _bounded_or_null(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "string", **schema}, {"type": "null"}]})


Id = Annotated[str, _bounded(12)]
Name = Annotated[str, _bounded(60)]
Line = Annotated[str, _bounded(160)]
MaybeName = Annotated[str | None, _bounded_or_null(maxLength=60)]
MaybeLine = Annotated[str | None, _bounded_or_null(maxLength=120)]
Side = Literal["client", "manager"]


class Claim(BaseModel):
    """`segment` is the id of the utterance that proves the claim, `quote` its words."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    segment: Id
    quote: Line


class Outcome(Claim):
    """How the call ended; `when` as it was said, `reason` why a sale was lost."""

    kind: OutcomeKind
    when: MaybeName
    reason: MaybeLine


class Car(Claim):
    """A car that was spoken of: the one that the client wants, or has."""

    name: Name
    relation: Literal["wanted", "owned"]


class TradeIn(Claim):
    """The client wants to give his car in payment."""

    car: MaybeName


class Credit(Claim):
    """Credit or leasing was spoken of; `terms` as they were said."""

    terms: MaybeLine


class Objection(Claim):
    """What keeps the client from agreeing."""

    text: Line


class NextContact(Claim):
    """Who gets in touch next, and when as it was said."""

    by: Side
    when: MaybeName


class Task(Claim):
    """What is to be done after the call; who and by when where that was said."""

    text: Line
    who: Annotated[Side | None, _bounded_or_null(enum=["client", "manager"])]
    due: MaybeName


class Details(BaseModel):
    """The dealership's part of an analysis. `dropped_claims` counts those whose quote is not in the transcript."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Outcome | None = None
    cars: tuple[Car, ...] = ()
    trade_in: TradeIn | None = None
    credit: Credit | None = None
    objections: tuple[Objection, ...] = ()
    next_contact: NextContact | None = None
    tasks: tuple[Task, ...] = ()
    claims: int = Field(0, ge=0, description="Claims that the analyst made")
    dropped_claims: int = Field(0, ge=0, description="Claims left out because their quote is not in the transcript")
    warnings: tuple[Literal["instructions_in_speech"], ...] = Field(
        (), description="instructions_in_speech: somebody spoke to the language model; look at this call yourself"
    )
