"""The stages of a call, in order."""

from __future__ import annotations

from appliance.pipeline.analyse import Analyse
from appliance.pipeline.assign_roles import AssignRoles
from appliance.pipeline.decode import Decode
from appliance.pipeline.diarize import Diarize
from appliance.pipeline.publish import Publish
from appliance.pipeline.stage import Stage
from appliance.pipeline.transcribe import Transcribe

STAGES: tuple[Stage, ...] = (Decode(), Transcribe(), Diarize(), AssignRoles(), Analyse(), Publish())

FIRST = STAGES[0].name


def stage_named(name: str) -> Stage:
    return next(stage for stage in STAGES if stage.name == name)


def stage_after(name: str) -> Stage | None:
    """The next stage; None after the last."""
    names = [stage.name for stage in STAGES]
    following = names.index(name) + 1
    return STAGES[following] if following < len(STAGES) else None
