"""Analyse: sentiment, topics, intents, summary and what is to be done, by the analyst that is configured."""

from __future__ import annotations

import time
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import update
from sqlalchemy.orm import Session

from appliance import logs, metrics
from appliance.engines.language import AnalysisRecord, Conversation, Utterance
from appliance.errors import ApplianceError, EngineError
from appliance.models import AiAnalysis
from appliance.pipeline.diarize import SPEAKER_SEGMENTS
from appliance.pipeline.stage import Queue, StageContext

log = logs.get(__name__)

RECORD = TypeAdapter(AnalysisRecord)


def conversation_of(context: StageContext) -> Conversation:
    """The call as an analyst reads it."""
    manager = context.outputs["assign roles"]["manager"]
    said = SPEAKER_SEGMENTS.validate_python(context.outputs["diarize"]["segments"])
    return Conversation(
        utterances=tuple(
            Utterance(str(n), "B" if s.speaker == manager else "A", s.start_ms, s.end_ms, s.text)
            for n, s in enumerate(said)
        ),
        language=context.outputs["transcribe"]["language"],
        direction=context.direction,
    )


class Analyse:
    """Output: an AnalysisRecord and `elapsed_ms`."""

    name = "analyse"
    queue: Queue = "analysis"

    def run(self, context: StageContext) -> dict[str, Any]:
        began = time.monotonic()
        profile = context.equipment.profile
        try:
            record = context.equipment.analyst.analyse(conversation_of(context))
        except (EngineError, ApplianceError) as error:
            metrics.LLM_ERRORS.labels(profile.name, error.code).inc()
            raise
        elapsed_ms = round((time.monotonic() - began) * 1000)
        metrics.LLM_SECONDS.labels(profile.name).observe(elapsed_ms / 1000)
        metrics.LLM_TOKENS.labels(profile.name, "prompt").inc(record.prompt_tokens)
        metrics.LLM_TOKENS.labels(profile.name, "completion").inc(record.completion_tokens)
        metrics.LLM_COST.labels(profile.name).inc(profile.cost(record.prompt_tokens, record.completion_tokens))
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
        return {"record": RECORD.dump_python(record, mode="json"), "elapsed_ms": elapsed_ms}

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        made = RECORD.validate_python(output["record"])
        analysis = made.analysis
        session.execute(
            update(AiAnalysis)
            .where(AiAnalysis.call_id == context.call_id)
            .values(
                processing_status="completed",
                sentiment=analysis.sentiment,
                sentiment_score=analysis.sentiment_score,
                topics=list(analysis.topics),
                intents=list(analysis.intents),
                summary=analysis.summary,
                action_items=list(analysis.action_items),
                language=analysis.language,
                provider=made.provider,
                model=made.model,
                prompt_version=made.prompt_version,
                prompt_tokens=made.prompt_tokens,
                completion_tokens=made.completion_tokens,
                elapsed_ms=output["elapsed_ms"],
            )
        )
