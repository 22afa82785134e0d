"""`appliance weights`: the files with parameters that speech engines need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Speech weights: list, fetch, verify.")

ModelsDir = Annotated[Path, typer.Option(envvar="MODELS_DIR", help="Where weights lie")]
DEFAULT = Path("/var/lib/call-analytics/models")


@app.command("list")
def list_weights(models_dir: ModelsDir = DEFAULT) -> None:
    """Show the catalogue, and what of it is installed."""
    from appliance.engines.speech import catalogue

    there = catalogue.installed(models_dir)
    table = Table("name", "installed", "disk", "memory", "languages", "licence", "from")
    for name, entry in catalogue.catalogue().items():
        mark = "yes" if name in there else ""
        table.add_row(name, mark, entry.disk, entry.memory, str(entry.languages), entry.licence, entry.repository)
    console = Console()
    console.print(table)
    console.print("Without any of them the embedded demo weights serve: they understand the sample calls only.")


@app.command()
def fetch(
    name: str,
    models_dir: ModelsDir = DEFAULT,
    source: Annotated[Path | None, typer.Option("--from", help="A folder carried in, instead of the hub")] = None,
    hub: Annotated[str, typer.Option(envvar="HF_ENDPOINT", help="The hub, or a mirror of it")] = "",
) -> None:
    """Install weights: downloaded (and resumed where it stopped), or copied from a folder; checked either way."""
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
    typer.echo(f"Installed. Use it with: WHISPER_MODEL_PATH={path}")


@app.command()
def verify(
    name: Annotated[str | None, typer.Argument(help="Weights; all installed ones where left out")] = None,
    models_dir: ModelsDir = DEFAULT,
) -> None:
    """Compare installed weights with their checksums, and those in use by loading them in a process of their own."""
    from appliance.engines.speech import catalogue
    from appliance.engines.speech.weights import inspect, prove

    for each in [name] if name else sorted(catalogue.installed(models_dir)):
        typer.echo(f"{each}: {catalogue.verify(each, models_dir)} is sound")
    if in_use := os.environ.get("WHISPER_MODEL_PATH"):
        prove(inspect(Path(in_use)), "auto")
        typer.echo(f"in use: {in_use} loads")
