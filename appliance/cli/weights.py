"""`appliance weights`: the files with parameters that speech engines need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from appliance.cli.language import ours

app = typer.Typer(no_args_is_help=True, help="Speech weights / Веса распознавания.")

ModelsDir = Annotated[Path, typer.Option(envvar="MODELS_DIR", help="Where weights lie / Папка весов")]
DEFAULT = Path("/var/lib/call-analytics/models")


@app.command("list")
def list_weights(models_dir: ModelsDir = DEFAULT) -> None:
    """Show the catalogue, and what of it is installed / Показать каталог и что установлено."""
    from appliance.engines.speech import catalogue

    there = catalogue.installed(models_dir)
    heads = (
        ("имя", "есть", "диск", "память", "языков", "лицензия", "откуда"),
        ("name", "installed", "disk", "memory", "languages", "licence", "from"),
    )
    table = Table(*ours(heads))
    for name, entry in catalogue.catalogue().items():
        mark = ours(("да", "yes")) if name in there else ""
        table.add_row(name, mark, entry.disk, entry.memory, str(entry.languages), entry.licence, entry.repository)
    console = Console()
    console.print(table)
    said = (
        "Без них работают встроенные демо-веса: они понимают только звонки-образцы.",
        "Without any of them the embedded demo weights serve: they understand the sample calls only.",
    )
    console.print(ours(said))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="As `weights list` has it / Как в weights list")],
    models_dir: ModelsDir = DEFAULT,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="A folder carried in, instead of the hub / Принесённая папка вместо хаба"),
    ] = None,
    hub: Annotated[
        str, typer.Option(envvar="HF_ENDPOINT", help="The hub, or a mirror of it / Хаб или его зеркало")
    ] = "",
) -> None:
    """Install weights, downloaded or copied, checked / Установить веса из сети или папки, с проверкой."""
    from appliance.engines.speech import catalogue

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as progress:
        bars: dict[str, TaskID] = {}

        def report(file: str, have: int, total: int) -> None:
            if file not in bars:
                bars[file] = progress.add_task(file, total=total or None)
            progress.update(bars[file], completed=have, total=total or None)

        if source is not None:
            path = catalogue.add(name, source, models_dir, report)
        else:
            path = catalogue.fetch(name, models_dir, hub or catalogue.DEFAULT_HUB, report)
    said = f"Установлено. Настройка: WHISPER_MODEL_PATH={path}", f"Installed. Use it with: WHISPER_MODEL_PATH={path}"
    typer.echo(ours(said))


@app.command()
def verify(
    name: Annotated[
        str | None, typer.Argument(help="Weights; all installed ones where left out / Веса; иначе все установленные")
    ] = None,
    models_dir: ModelsDir = DEFAULT,
) -> None:
    """Check installed weights, and load those in use / Проверить веса и загрузить те, что в работе."""
    from appliance.engines.speech import catalogue
    from appliance.engines.speech.weights import inspect, prove

    for each in [name] if name else sorted(catalogue.installed(models_dir)):
        path = catalogue.verify(each, models_dir)
        typer.echo(ours((f"{each}: {path} в порядке", f"{each}: {path} is sound")))
    if in_use := os.environ.get("WHISPER_MODEL_PATH"):
        prove(inspect(Path(in_use)), "auto")
        typer.echo(ours((f"в работе: {in_use} загружается", f"in use: {in_use} loads")))
