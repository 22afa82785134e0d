"""`appliance process FILE`: what the pipeline makes of any recording, without the server."""

from __future__ import annotations

import enum
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer


class Direction(enum.StrEnum):
    incoming = "incoming"
    outgoing = "outgoing"


def process(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="wav, mp3 or m4a / Запись wav, mp3 или m4a"),
    ],
    direction: Annotated[Direction, typer.Option(help="Who called whom / Кто кому звонил")] = Direction.incoming,
    manager: Annotated[
        str, typer.Option(help="The manager's name, where it is known / Имя менеджера, если известно")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="For programs / Для программ")] = False,
) -> None:
    """Transcribe and analyse a recording here and now, nothing is kept / Разобрать запись без сервера и базы."""
    from rich.console import Console

    from appliance.cli import show
    from appliance.config import Settings, card_environment

    console = Console(stderr=True)
    chosen = Settings.offline()
    os.environ.update(card_environment(chosen.gpu_device))
    with console.status("...") as status:
        result = run(chosen, file, direction.value, manager, status.update)
    if as_json:
        typer.echo(json.dumps(result, ensure_ascii=False, indent=2))
    else:
        show.call(Console(), result)


def run(settings: Any, file: Path, direction: Any, manager: str, tell: Any) -> dict[str, Any]:
    """The stages of the pipeline over one file; the result has the shape of the API's call, as far as it applies."""
    from appliance.api.schemas import WHOSE_WEIGHTS
    from appliance.engines.conversation import Spoken, figures
    from appliance.engines.diarization.handover import detail_of
    from appliance.pipeline.analyse import Analyse, conversation_of
    from appliance.pipeline.assign_roles import AssignRoles
    from appliance.pipeline.diarize import SPEAKER_SEGMENTS, Diarize
    from appliance.pipeline.equipment import Equipment
    from appliance.pipeline.offline import processed
    from appliance.pipeline.transcribe import TRANSCRIPTIONS, Transcribe, noted
    from appliance.services.calls import examine

    with file.open("rb") as opened:
        facts = examine(opened, file, settings)
    stages = (Transcribe(), Diarize(), AssignRoles(), Analyse())
    with processed(
        file, stages, Equipment(settings, stored=False), direction=direction, manager_name=manager, tell=tell
    ) as context:
        outputs = context.outputs
    said = SPEAKER_SEGMENTS.validate_python(outputs["diarize"]["segments"])
    spoken = conversation_of(context).utterances
    made, heard = outputs["analyse"]["record"], outputs["transcribe"]
    shown: dict[str, Any] = {
        "duration": round(facts.duration_ms / 1000),
        "channels": facts.channels,
        "language": heard["language"],
        "transcript_model": heard["weights"],
        "speaker_rule": outputs["assign roles"]["rule"],
        "speaker_confidence": outputs["assign roles"]["confidence"],
        **noted(TRANSCRIPTIONS.validate_python(heard["channels"])),
        "transcript": [
            {
                "start_ms": segment.start_ms,
                "end_ms": segment.end_ms,
                "speaker": utterance.speaker,
                "speaker_detail": detail_of(segment.speaker, outputs["assign roles"]["manager"]),
                "text": segment.text,
                "language": segment.language,
                "confidence": round(segment.confidence, 3),
            }
            for segment, utterance in zip(said, spoken, strict=True)
        ],
        "conversation": asdict(
            figures(
                [Spoken(s.start_ms, s.end_ms, u.speaker, s.text) for s, u in zip(said, spoken, strict=True)],
                facts.duration_ms,
                channels_apart=outputs["diarize"]["diarizer"] == "channels",
            )
        ),
        "aiAnalysis": {**made["analysis"], "provider": made["provider"], "model": made["model"]},
    }
    if heard["weights"].startswith("demo"):
        shown["transcript_notice"] = WHOSE_WEIGHTS
    return shown
