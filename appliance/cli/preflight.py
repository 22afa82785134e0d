"""`appliance preflight`: is this machine fit, and what fits into it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from installer.language import spoken


class Variant(enum.StrEnum):
    cpu = "cpu"
    nvidia = "nvidia"


def preflight(
    variant: Annotated[Variant, typer.Option(help="The bundle's variant / Вариант комплекта")] = Variant.cpu,
    port: Annotated[
        int | None, typer.Option(help="Port of the API; 8000 where nothing says so / Порт API, по умолчанию 8000")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the data is to lie / Где будут данные")] = Path(
        "/var/lib/call-analytics"
    ),
    recorded: Annotated[
        Path | None,
        typer.Option(help="Facts of another machine, recorded with --json / Сведения о другой машине из --json"),
    ] = None,
    settings: Annotated[
        Path | None, typer.Option(help="Settings that the installation is to be given / Настройки для установки")
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option(
            "--json", help="For programs; holds the machine's facts too / Для программ, со сведениями о машине"
        ),
    ] = False,
) -> None:
    """Look whether this machine is fit, changing nothing / Проверить машину перед установкой."""
    import json

    from installer.preflight import __main__ as command
    from installer.preflight import facts, given

    try:
        known = given.read(settings) if settings else {}
        port = port or int(known.get("PORT", "8000"))
        machine = None if recorded else facts.gather((port,), folder, settings=known)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(given.said(error, spoken()), param_hint="--settings") from None
    if recorded:
        written = json.loads(recorded.read_text(encoding="utf-8"))
        machine = facts.Machine.load(json.dumps(written.get("machine", written)))
    assert machine is not None  # noqa: S101 - one of the two
    raise typer.Exit(command.tell(machine, variant.value, port, spoken(), 0, as_json=as_json))
