"""The pipeline's stages over a file, with no database, queue or object store."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from appliance.engines import audio
from appliance.pipeline.decode import shape_of
from appliance.pipeline.equipment import Equipment
from appliance.pipeline.stage import Stage, StageContext


@contextmanager
def processed(
    file: Path,
    stages: Sequence[Stage],
    equipment: Equipment,
    *,
    direction: Literal["incoming", "outgoing"] = "incoming",
    manager_name: str = "",
    tell: Callable[[str], None] = lambda _: None,
) -> Iterator[StageContext]:
    """A recording after the stages given, each with its output in the context; its samples are there within the block.

    tell: called with the name of each step that begins. Raises EngineError, StageError.
    """
    outputs: dict[str, dict[str, Any]] = {}
    context = StageContext(uuid4(), direction, "", manager_name, outputs, equipment, lambda _: None)
    scratch = equipment.scratch(context.call_id)
    try:
        tell("decode")
        decoded = scratch / "samples.s16"
        outputs["decode"] = shape_of(decoded, audio.decode(file, decoded))
        for stage in stages:
            tell(stage.name)
            outputs[stage.name] = stage.run(context)
        yield context
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
