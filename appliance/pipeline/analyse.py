"""Analyse: sentiment, topics, intents, summary and what is to be done, by the analyst that is configured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from appliance import logs, metrics
from appliance.engines.diarization.handover import side_of
from appliance.engines.language import AnalysisRecord, Conversation, Utterance
from appliance.engines.language.profiles import BUILTIN, Profile
from appliance.errors import ApplianceError, EngineError
from appliance.models import Call, Pipeline, Segment
from appliance.models.analyses import VersionReason
from appliance.pipeline.diarize import SPEAKER_SEGMENTS
from appliance.pipeline.stage import Queue, StageContext
from appliance.store import analyses, db, pipelines

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


def analysed(context: StageContext, conversation: Conversation) -> tuple[Profile, AnalysisRecord, str | None]:
    """The profile that analysed, its record, and the name of the profile that was to, where the first stood in for it.

    Raises EngineError; where it says wait_s, the call waits for its provider.
    """
    equipment, topics = context.equipment, context.equipment.settings.site_topics
    try:
        chosen = equipment.providers.active()
    except ApplianceError as error:
        metrics.LLM_ERRORS.labels("none", error.code).inc()
        raise EngineError(error.code, str(error), retryable=True, wait_s=REFUSED_WAIT_S) from None
    try:
        analyst = equipment.analyst(chosen, call_id=context.call_id, pause=lambda s: pause(s, context.check))
        return chosen.profile, analyst.analyse(conversation, topics=topics), None
    except (EngineError, ApplianceError) as error:
        metrics.LLM_ERRORS.labels(chosen.profile.name, error.code).inc()
        if isinstance(error, ApplianceError):
            raise EngineError(error.code, str(error), retryable=True, wait_s=REFUSED_WAIT_S) from None
        has_analysis = STOOD_IN in context.outputs or SWAPPED in context.outputs
        if error.code not in DOWN or equipment.settings.llm_when_down != "builtin" or has_analysis:
            raise
        log.warning("builtin_stands_in", provider=chosen.profile.name, code=error.code)
        return BUILTIN, equipment.builtin.analyse(conversation, topics=topics), chosen.profile.name


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
    """Output: an AnalysisRecord, `elapsed_ms`, and `stood_in_for`: the provider that was down, where one was."""

    name = "analyse"
    queue: Queue = "analysis"

    def run(self, context: StageContext) -> dict[str, Any]:
        began = time.monotonic()
        profile, record, stood_in_for = analysed(context, conversation_of(context))
        elapsed_ms = round((time.monotonic() - began) * 1000)
        measure(profile, record, elapsed_ms)
        output = {"record": RECORD.dump_python(record, mode="json"), "elapsed_ms": elapsed_ms}
        return output | ({"stood_in_for": stood_in_for} if stood_in_for else {})

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        record = RECORD.validate_python(output["record"])
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
