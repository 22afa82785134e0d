"""Analyse: sentiment, topics, intents, summary and what is to be done, by the analyst that is configured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance import logs, metrics
from appliance.engines.diarization.handover import side_of
from appliance.engines.language import AnalysisRecord, Analyst, Conversation, Speaker, Used, Utterance
from appliance.engines.language.profiles import BUILTIN, Profile
from appliance.engines.language.sides import exchanged
from appliance.engines.roles import SURE_OF_MODEL, UNSURE
from appliance.errors import ApplianceError, EngineError
from appliance.models import Call, Pipeline, Segment
from appliance.models.analyses import VersionReason
from appliance.pipeline.diarize import SPEAKER_SEGMENTS
from appliance.pipeline.stage import Queue, StageContext
from appliance.store import analyses, db, pipelines, sides

log = logs.get(__name__)

RECORD = TypeAdapter(AnalysisRecord)


def conversation_of(context: StageContext) -> Conversation:
    """The call as an analyst reads it: by the transcript as it stands, which people may have put right since."""
    if not context.equipment.stored:
        return _just_heard(context)
    with db.unit_of_work() as session:
        return stored_conversation(session, context.call_id)


def stored_conversation(session: Session, call_id: UUID) -> Conversation:
    """The conversation of a call that is in the database."""
    call = session.execute(select(Call.language, Call.type).where(Call.id == call_id)).one()
    said = session.scalars(select(Segment).where(Segment.call_id == call_id).order_by(Segment.position)).all()
    return Conversation(
        utterances=tuple(Utterance(str(s.position), s.speaker, s.start_ms, s.end_ms, s.text) for s in said),
        language=call.language or "und",
        direction=call.type,
    )


def _just_heard(context: StageContext) -> Conversation:
    manager = context.outputs["assign roles"]["manager"]
    said = SPEAKER_SEGMENTS.validate_python(context.outputs["diarize"]["segments"])
    return Conversation(
        utterances=tuple(
            Utterance(str(n), "B" if side_of(s.speaker) == manager else "A", s.start_ms, s.end_ms, s.text)
            for n, s in enumerate(said)
        ),
        language=context.outputs["transcribe"]["language"],
        direction=context.direction,
    )


DOWN = frozenset({"llm_unavailable", "llm_rate_limited", "llm_misconfigured"})
"""Failures of a provider that the built-in analyst may stand in for; otherwise, as at the cost cap, calls wait."""

STOOD_IN, SWAPPED = pipelines.STOOD_IN, pipelines.SWAPPED

REFUSED_WAIT_S = 60.0
"""A profile that may not be used is looked at again after so long: until then an administrator may have mended it."""


@dataclass(frozen=True, slots=True)
class Analysed:
    """An analysis: the profile that made it; `stood_in_for` the one that was to, where that was down.

    manager: who of A and B in the transcript the language model takes for the manager, where it was asked and knew.
    """

    profile: Profile
    record: AnalysisRecord
    stood_in_for: str | None = None
    manager: Speaker | None = None


def analysed(context: StageContext, conversation: Conversation) -> Analysed:
    """Raises EngineError; where it says wait_s, the call waits for its provider."""
    equipment, topics = context.equipment, context.equipment.settings.site_topics
    try:
        chosen = equipment.providers.active()
    except ApplianceError as error:
        metrics.LLM_ERRORS.labels("none", error.code).inc()
        raise EngineError(error.code, str(error), retryable=True, wait_s=REFUSED_WAIT_S) from None
    try:
        analyst = equipment.analyst(chosen, call_id=context.call_id, pause=lambda s: pause(s, context.check))
        manager, asked = _manager_of(context, analyst, conversation)
        settled = exchanged(conversation) if manager == "A" else conversation
        return Analysed(chosen.profile, _with(analyst.analyse(settled, topics=topics), asked), manager=manager)
    except (EngineError, ApplianceError) as error:
        metrics.LLM_ERRORS.labels(chosen.profile.name, error.code).inc()
        if isinstance(error, ApplianceError):
            raise EngineError(error.code, str(error), retryable=True, wait_s=REFUSED_WAIT_S) from None
        has_analysis = STOOD_IN in context.outputs or SWAPPED in context.outputs
        if error.code not in DOWN or equipment.settings.llm_when_down != "builtin" or has_analysis:
            raise
        log.warning("builtin_stands_in", provider=chosen.profile.name, code=error.code)
        return Analysed(BUILTIN, equipment.builtin.analyse(conversation, topics=topics), chosen.profile.name)


ANSWERED_BADLY = frozenset({"llm_refused", "llm_context_exceeded", "llm_answer_invalid", "llm_answer_oversized"})
"""Failures of the question who the manager is that are no reason to leave the call without an analysis."""


def _manager_of(context: StageContext, analyst: Analyst, conversation: Conversation) -> tuple[Speaker | None, Used]:
    """Who the manager is by the language model, where the rules were not sure, and what the question took.

    Not asked again once the call has been analysed, when people may have put it right. Raises EngineError.
    """
    roles = context.outputs.get("assign roles", {})
    was_analysed = STOOD_IN in context.outputs or SWAPPED in context.outputs
    voices = {utterance.speaker for utterance in conversation.utterances}
    if not context.equipment.stored or was_analysed or len(voices) < 2 or roles.get("confidence", 1.0) >= UNSURE:
        return None, Used()
    try:
        manager = analyst.manager_of(conversation)
    except EngineError as error:
        if error.code not in ANSWERED_BADLY:
            raise
        manager = None
    if analyst.used.requests:
        log.info("roles_asked", rule=roles.get("rule"), confidence=roles.get("confidence"), settled=manager is not None)
    return manager, analyst.used


def _with(record: AnalysisRecord, asked: Used) -> AnalysisRecord:
    """The record with what the question before it took."""
    return replace(
        record,
        prompt_tokens=record.prompt_tokens + asked.prompt_tokens,
        completion_tokens=record.completion_tokens + asked.completion_tokens,
        cost=record.cost + asked.cost,
        requests=record.requests + asked.requests,
    )


def pause(seconds: float, check: Callable[[], None]) -> None:
    """Sleep, but not on when the lease is lost or the process stops: `check` raises then."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(left, 0.5))


def measure(profile: Profile, record: AnalysisRecord, elapsed_ms: int) -> None:
    """Put an analysis that was made into the metrics and the log."""
    metrics.LLM_SECONDS.labels(profile.name).observe(elapsed_ms / 1000)
    log.info(
        "call_analysed",
        provider=record.provider,
        model=record.model,
        sentiment=record.analysis.sentiment,
        sentiment_score=record.analysis.sentiment_score,
        language=record.analysis.language,
        topics=len(record.analysis.topics),
        action_items=len(record.analysis.action_items),
        tokens=record.prompt_tokens + record.completion_tokens,
        ms=elapsed_ms,
    )


class Analyse:
    """Output: an AnalysisRecord and `elapsed_ms`; `stood_in_for`: the provider that was down, where one was; `manager`:
    who of A and B the language model took for the manager, where the rules were not sure.
    """

    name = "analyse"
    queue: Queue = "analysis"

    def run(self, context: StageContext) -> dict[str, Any]:
        began = time.monotonic()
        made = analysed(context, conversation_of(context))
        elapsed_ms = round((time.monotonic() - began) * 1000)
        measure(made.profile, made.record, elapsed_ms)
        output = {"record": RECORD.dump_python(made.record, mode="json"), "elapsed_ms": elapsed_ms}
        told = {"stood_in_for": made.stood_in_for, "manager": made.manager}
        return output | {name: value for name, value in told.items() if value}

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        record = RECORD.validate_python(output["record"])
        if manager := output.get("manager"):
            sides.settle(session, context.call_id, "language_model", SURE_OF_MODEL, turned=manager == "A")
        found = judged(record, analyses.places(session, context.call_id), output["elapsed_ms"])
        stood_in_for = output.get("stood_in_for")
        analyses.keep(session, context.call_id, found, _reason(session, context, stood_in_for), stood_in_for)


def _reason(session: Session, context: StageContext, stood_in_for: str | None) -> VersionReason:
    if stood_in_for:
        return "stood_in"
    if STOOD_IN in context.outputs:
        return "provider_back"
    if SWAPPED in context.outputs:
        return "speakers_swapped"
    run = session.scalar(select(Pipeline.run).where(Pipeline.call_id == context.call_id)) or 1
    return "reprocessed" if run > 1 else "received"


def judged(record: AnalysisRecord, places: Mapping[str, Mapping[str, Any]], elapsed_ms: int) -> dict[str, Any]:
    """A record as the columns of models.Judged; `places` are those of store.analyses."""
    analysis, details = record.analysis, record.analysis.details
    return {
        "sentiment": analysis.sentiment,
        "sentiment_score": analysis.sentiment_score,
        "topics": list(analysis.topics),
        "intents": list(analysis.intents),
        "summary": analysis.summary,
        "action_items": list(analysis.action_items),
        "language": analysis.language,
        "outcome": details.outcome.kind if details.outcome else None,
        "details": placed(details.model_dump(mode="json"), places),
        "provider": record.provider,
        "model": record.model,
        "prompt_version": record.prompt_version,
        "prompt_tokens": record.prompt_tokens,
        "completion_tokens": record.completion_tokens,
        "cost": record.cost,
        "elapsed_ms": elapsed_ms,
    }


def placed(value: Any, places: Mapping[str, Mapping[str, Any]]) -> Any:
    """Details with every claim's `segment` as `segment_id` and `start_ms`, which players and pages can jump to.

    What has no value is left out, and so is the place of an outcome that nothing has to prove.
    """
    if isinstance(value, list):
        return [placed(part, places) for part in value]
    if not isinstance(value, dict):
        return value
    made = {key: placed(part, places) for key, part in value.items() if part not in (None, "") and key != "segment"}
    return {**made, **places.get(value.get("segment", ""), {})}
