"""Where a telephone number left traces, and queries that take them away."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import phonenumbers
from sqlalchemy import Text, cast, delete, func, literal_column, or_, select, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from appliance.models import (
    AiAnalysis,
    AnalysisVersion,
    AuditEntry,
    Call,
    Event,
    Export,
    LlmRequest,
    ReanalysisTask,
    Segment,
)
from appliance.models.base import Base

ACTION = "number_erased"
"""The audit trail's entry, the one thing that stays."""

BETWEEN = r"[^0-9[:alpha:]]{0,3}"
"""What may stand between two digits of a number: blanks, brackets, dashes, dots."""

TRUNKS = {7: "[78]"}
"""What people say before the national number besides the country's code."""


def pattern(number: str) -> str:
    """A regular expression of PostgreSQL for an E.164 number as it may stand in a text, with or without its code."""
    parsed = phonenumbers.parse(number)
    code = TRUNKS.get(parsed.country_code or 0, BETWEEN.join(str(parsed.country_code)) + "|0")
    national = BETWEEN.join(re.escape(digit) for digit in phonenumbers.national_significant_number(parsed))
    return f"(?<![0-9])(?:(?:{code}){BETWEEN})?{national}(?![0-9])"


def of_number(session: Session, number: str) -> Sequence[UUID]:
    """Calls with a number (E.164)."""
    return session.scalars(select(Call.id).where(Call.phone == number).order_by(Call.date, Call.id)).all()


def mentioning(session: Session, number: str) -> Sequence[UUID]:
    """Calls of other numbers where this one stands in the transcript, the analyses, the client's name or what was
    taken out of the transcript. Reads every text that holds digits: minutes on a site of many years.
    """
    wanted = pattern(number)
    said = func.string_agg(Segment.text, aggregate_order_by(literal_column("' '"), Segment.position))
    # A number is often said in pieces, with a word of the other side between them.
    in_speech = (
        select(Segment.call_id)
        .where(Segment.text.op("~")("[0-9]"))
        .group_by(Segment.call_id, Segment.speaker)
        .having(said.op("~")(wanted))
    )
    in_analyses = [
        select(kind.call_id).where(_analysed(kind).op("~")(wanted)) for kind in (AiAnalysis, AnalysisVersion)
    ]
    previewed = select(ReanalysisTask.call_id).where(cast(ReanalysisTask.result, Text).op("~")(wanted))
    beside = or_(Call.client_name.op("~")(wanted), cast(Call.removals, Text).op("~")(wanted))
    places = [Call.id.in_(query) for query in (in_speech, *in_analyses, previewed)]
    others = Call.phone.is_distinct_from(number)
    return session.scalars(select(Call.id).where(others, or_(beside, *places)).order_by(Call.date, Call.id)).all()


def _analysed(kind: type[AiAnalysis | AnalysisVersion]) -> Any:
    lists = [func.array_to_string(column, "\n") for column in (kind.topics, kind.intents, kind.action_items)]
    return func.concat_ws("\n", kind.summary, *lists, cast(kind.details, Text))


def count(session: Session, ids: Sequence[UUID]) -> dict[str, int]:
    """How much hangs on these calls, by kind."""
    kinds: dict[str, type[Any]] = {
        "segments": Segment,
        "analyses": AiAnalysis,
        "analysis_versions": AnalysisVersion,
        "reanalysis_tasks": ReanalysisTask,
        "events": Event,
        "llm_requests": LlmRequest,
    }
    return {name: _count(session, kind, ids) for name, kind in kinds.items()}


def _count(session: Session, kind: type[Base], ids: Sequence[UUID]) -> int:
    named: Any = kind
    return session.scalar(select(func.count()).select_from(kind).where(named.call_id.in_(ids))) or 0


def unlink_requests(session: Session, ids: Sequence[UUID]) -> None:
    """Requests to language models stay in the accounts, and name the calls no more."""
    session.execute(update(LlmRequest).where(LlmRequest.call_id.in_(ids)).values(call_id=None))


def recordings(session: Session, ids: Sequence[UUID]) -> Sequence[str]:
    """Keys of the calls' recordings."""
    query = select(Call.audio_key).where(Call.id.in_(ids), Call.audio_key.is_not(None))
    return [key for key in session.scalars(query) if key]


def exports(session: Session, ids: Sequence[UUID]) -> Sequence[str]:
    """Keys of the export files that may hold one of the calls: those made since the first of them came."""
    first = select(func.min(Call.created_at)).where(Call.id.in_(ids)).scalar_subquery()
    return session.scalars(select(Export.object_key).where(Export.created_at >= first)).all()


def remove_exports(session: Session, keys: Sequence[str]) -> None:
    """Forget export files; their links are dead from the commit on."""
    session.execute(delete(Export).where(Export.object_key.in_(keys)))


def lock_exports(session: Session) -> None:
    """Between an erasure's look at the exports and its commit, none may be added."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext("call-analytics exports"))))


def newest(session: Session) -> int:
    """Id of the newest erasure's audit entry: calls that were read before it may be erased by now."""
    return session.scalar(select(func.max(AuditEntry.id)).where(AuditEntry.action == ACTION)) or 0
