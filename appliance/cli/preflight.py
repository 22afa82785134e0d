"""`appliance preflight`: is this machine fit, and what fits into it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from appliance.cli import show


class Variant(enum.StrEnum):
    cpu = "cpu"
    nvidia = "nvidia"


def preflight(
    variant: Annotated[Variant, typer.Option(help="The bundle's variant")] = Variant.cpu,
    port: Annotated[int | None, typer.Option(help="Port that the API is to have; 8000 where nothing says so")] = None,
    folder: Annotated[Path, typer.Option(help="Where the data is to lie")] = Path("/var/lib/call-analytics"),
    recorded: Annotated[Path | None, typer.Option(help="Facts of another machine, recorded with --json")] = None,
    settings: Annotated[Path | None, typer.Option(help="Settings that the installation is to be given")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; holds the machine's facts too")] = False,
) -> None:
    """Look at this machine, changing nothing: what is fit, what is not and how to mend it, and the memory plan."""
    import json

    from installer.preflight import __main__ as command
    from installer.preflight import facts, given

    try:
        known = given.read(settings) if settings else {}
        port = port or int(known.get("PORT", "8000"))
        machine = None if recorded else facts.gather((port,), folder, settings=known)
    except (OSError, ValueError, given.Unreadable) as error:
        raise typer.BadParameter(str(error), param_hint="--settings") from None
    if recorded:
        written = json.loads(recorded.read_text(encoding="utf-8"))
        machine = facts.Machine.load(json.dumps(written.get("machine", written)))
    assert machine is not None  # noqa: S101 - one of the two
    raise typer.Exit(command.tell(machine, variant.value, port, show.language(), 0, as_json=as_json))
