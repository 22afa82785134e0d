"""Decode: the recording to 16 kHz samples, and whether its channels are two parties."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from appliance.engines import audio, sandbox
from appliance.engines.speech import SAMPLE_RATE
from appliance.errors import EngineError
from appliance.pipeline.stage import Queue, StageContext
from appliance.store import objects

DISK_FULL_S = 30.0
"""A call that finds the disk full waits so long."""


def decoded_file(context: StageContext) -> Path:
    """The decoded samples in the scratch folder; made again where another worker or a cleaning took them away."""
    target = context.equipment.scratch(context.call_id) / "samples.s16"
    if not target.exists():
        recording = target.with_name("recording")
        objects.download(context.audio_key, recording)
        decode(context, recording, target)
        recording.unlink()
    return target


def decode(context: StageContext, recording: Path, target: Path) -> int:
    """Decode in a child with limits; returns the number of channels. A little more than was let in is let through."""
    free = shutil.disk_usage(target.parent).free
    if free < context.equipment.settings.disk_reserve_mb * 2**20:
        raise EngineError("disk_full", "too little space to decode", retryable=True, wait_s=DISK_FULL_S)
    longest_s = 60.0 * context.equipment.settings.upload_max_minutes + 10
    return sandbox.decode(recording, target, context.on_progress, longest_s)


def shape_of(decoded: Path, stored: int) -> dict[str, Any]:
    """What the later stages must know of a decoded file with `stored` channels."""
    single = stored == 1 or audio.is_dual_mono(decoded)
    return {
        "of": stored,
        "channels": 1 if single else 2,
        "channel": audio.louder_channel(decoded) if single and stored == 2 else 0,
        "duration_ms": decoded.stat().st_size * 1000 // (2 * stored * SAMPLE_RATE),
    }


class Decode:
    """Output: `channels` to listen to (1 or 2), `channel` that a single one is taken from, `of`, `duration_ms`."""

    name = "decode"
    queue: Queue = "speech"

    def run(self, context: StageContext) -> dict[str, Any]:
        folder = context.equipment.scratch(context.call_id)
        recording, target = folder / "recording", folder / "samples.s16"
        objects.download(context.audio_key, recording)
        stored = decode(context, recording, target)
        recording.unlink()
        return shape_of(target, stored)

    def record(self, session: Session, context: StageContext, output: dict[str, Any]) -> None:
        """Nothing: the call's duration is what the upload found."""
