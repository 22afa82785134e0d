"""JSON shapes of analyses: the guide's fields, and additively what a dealership wants to know of a call."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from appliance.api.shapes import Moment, Shape
from appliance.models import AiAnalysis, AnalysisVersion
from appliance.models.analyses import Judged, OutcomeKind, ProcessingStatus, Sentiment, VersionReason

Side = Literal["client", "manager"]


class ClaimOut(Shape):
    """Something that an analysis claims, with the segment and the words that prove it."""

    segment_id: UUID | None = Field(None, description="The segment of the transcript that proves it")
    start_ms: int | None = Field(None, ge=0, description="Where that segment begins")
    quote: str | None = Field(None, description="The words that prove it")


class OutcomeOut(ClaimOut):
    kind: OutcomeKind = Field(description="no_conversation: a wrong number or a mailbox; information: nothing agreed")
    when: str | None = Field(None, description="Day and time as they were said")
    reason: str | None = Field(None, description="Why a sale was lost")


class CarOut(ClaimOut):
    name: str
    relation: Literal["wanted", "owned"]


class TradeInOut(ClaimOut):
    car: str | None = None


class CreditOut(ClaimOut):
    terms: str | None = None


class ObjectionOut(ClaimOut):
    text: str


class NextContactOut(ClaimOut):
    by: Side
    when: str | None = None


class TaskOut(ClaimOut):
    text: str
    who: Side | None = None
    due: str | None = Field(None, description="As it was said")


class AnalysisBrief(Shape):
    """An analysis within the list of calls."""

    sentiment: Sentiment
    sentiment_score: float = Field(ge=-1, le=1)
    topics: list[str] = Field(max_length=5)
    summary: str
    action_items: list[str]
    intents: list[str]
    language: str
    processing_status: ProcessingStatus
    outcome: OutcomeOut | None = Field(None, description="How the call ended; absent where the analyst cannot tell")

    @staticmethod
    def fields_of(analysis: Judged, status: ProcessingStatus) -> dict[str, Any]:
        return {
            "sentiment": analysis.sentiment,
            "sentiment_score": analysis.sentiment_score,
            "topics": analysis.topics,
            "summary": analysis.summary,
            "action_items": analysis.action_items,
            "intents": analysis.intents,
            "language": analysis.language,
            "processing_status": status,
            "outcome": analysis.details.get("outcome"),
        }

    @classmethod
    def brief(cls, analysis: AiAnalysis) -> AnalysisBrief:
        return AnalysisBrief(**cls.fields_of(analysis, analysis.processing_status))


class AnalysisOut(AnalysisBrief):
    id: UUID
    call_id: UUID
    created_at: Moment
    updated_at: Moment
    provider: str | None = Field(None, description="Profile that analysed the call; builtin is no language model")
    model: str | None = None
    prompt_version: str | None = None
    cars: list[CarOut] = Field(default_factory=list, description="Cars that were spoken of")
    trade_in: TradeInOut | None = Field(None, description="The client wants to give a car in payment")
    credit: CreditOut | None = Field(None, description="Credit or leasing was spoken of")
    objections: list[ObjectionOut] = Field(default_factory=list, description="What keeps the client from agreeing")
    next_contact: NextContactOut | None = Field(None, description="Who gets in touch next, and when")
    tasks: list[TaskOut] = Field(default_factory=list, description="The action items with who, by when and proof")
    claims: int = Field(0, ge=0, description="Claims that the analyst made")
    dropped_claims: int = Field(0, ge=0, description="Claims left out because their quote is not in the transcript")
    warnings: list[Literal["instructions_in_speech"]] = Field(
        default_factory=list, description="instructions_in_speech: somebody spoke to the language model; look yourself"
    )

    @classmethod
    def all_fields(
        cls, made: Judged, identity: UUID, call_id: UUID, status: ProcessingStatus, moments: tuple[datetime, datetime]
    ) -> dict[str, Any]:
        return {
            "id": identity,
            "call_id": call_id,
            "created_at": moments[0],
            "updated_at": moments[1],
            "provider": made.provider,
            "model": made.model,
            "prompt_version": made.prompt_version,
            **made.details,
            **cls.fields_of(made, status),
        }

    @classmethod
    def of(cls, made: AiAnalysis) -> AnalysisOut:
        moments = (made.created_at, made.updated_at)
        return cls(**cls.all_fields(made, made.id, made.call_id, made.processing_status, moments))


class AnalysisVersionOut(AnalysisOut):
    """One of the analyses that were made of a call."""

    number: int = Field(ge=1, description="Counts from 1")
    reason: VersionReason | None = Field(
        None,
        description="Why it was made. received: the call came; reprocessed: from its recording anew; stood_in: without "
        "a model while the provider was down; provider_back: by the provider after that; reanalysed: by an admin's "
        "order; speakers_swapped: client and manager were exchanged",
    )
    is_current: bool
    prompt_tokens: int
    completion_tokens: int
    cost: float = Field(description="US dollars")
    elapsed_ms: int

    @classmethod
    def version_of(cls, made: AnalysisVersion, *, current: int) -> AnalysisVersionOut:
        return cls(
            **cls.all_fields(made, made.id, made.call_id, "completed", (made.created_at, made.created_at)),
            number=made.number,
            reason=made.reason,
            is_current=made.number == current,
            prompt_tokens=made.prompt_tokens,
            completion_tokens=made.completion_tokens,
            cost=made.cost,
            elapsed_ms=made.elapsed_ms,
        )


class AnalysisVersions(Shape):
    versions: list[AnalysisVersionOut]
