"""Publish: the call is complete; everybody who may see it is told, and its scratch files go."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from appliance.models import Call
from appliance.pipeline.stage import Queue, StageContext
from appliance.store import pipelines


class Publish:
    """Output: empty. The event and the call's state are written together with it."""

    name = "publish"
    queue: Queue = "analysis"

    def run(self, context: StageContext) -> dict[str, Any]:
        context.equipment.forget(context.call_id)
        return {}

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:  # noqa: ARG002 - nothing in it
        session.execute(update(Call).where(Call.id == context.call_id).values(status="completed"))
        pipelines.tell_processed(session, context.call_id)
