"""`appliance up|down|status|demo`: the whole process tree on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

DataDir = Annotated[Path, typer.Option(envvar="DATA_DIR", help="Where everything that changes is kept")]
Port = Annotated[int, typer.Option(envvar="PORT", help="Port of the API")]

SAMPLES = Path(__file__).parent.parent.parent / "samples"


def up(data_dir: DataDir = Path("var"), port: Port = 8000) -> None:
    """Start PostgreSQL, the object store, the API and the workers; what runs already is left alone."""
    from installer import stack

    stack.up(data_dir, port, lambda step: typer.echo(f"  {step} ..."))
    typer.echo(f"The API answers on http://localhost:{port}, its documentation on http://localhost:{port}/docs")


def down(data_dir: DataDir = Path("var")) -> None:
    """Stop everything in order."""
    from installer import stack

    typer.echo("  stopping ...")
    typer.echo("Stopped." if stack.down(data_dir) else "Nothing was running.")


def status(data_dir: DataDir = Path("var")) -> None:
    """Show the processes, the weights and who analyses."""
    from installer import stack
    from installer.site import Site

    found = stack.status(data_dir)
    if not found:
        typer.echo("The appliance is not running. Start it: make demo")
        raise typer.Exit(1)
    table = Table("process", "state", "pid", "since")
    for state in found:
        table.add_row(state["name"], state["statename"], str(state["pid"]), state["description"].split("uptime ")[-1])
    console = Console()
    console.print(table)
    facts = Site(data_dir.resolve()).facts()
    weights = facts.get("WHISPER_MODEL_PATH") or "demo weights: understand the sample calls only"
    console.print(f"speech weights: {weights}", highlight=False)
    console.print(f"analysis: {facts.get('LLM_PROVIDER', 'builtin')}", highlight=False)


def demo(
    call: Annotated[Path | None, typer.Argument(help="A recording; the Russian sample where it is left out")] = None,
    data_dir: DataDir = Path("var"),
    port: Port = 8000,
) -> None:
    """Start everything, send one call through as the frontend would, and show what became of it."""
    from appliance.cli import demonstration
    from appliance.services import demo_data
    from installer import stack

    recording = call or SAMPLES / "ru-test-drive.mp3"
    if not recording.is_file():
        raise typer.BadParameter(f"there is no file {recording}")
    console = Console()
    site = stack.up(data_dir, port, lambda step: console.print(f"  {step} ..."), demo=True)
    os.environ["APPLIANCE_ENV_FILE"] = str(site.env_file)
    demo_data.create_users()
    demonstration.run(console, f"http://localhost:{port}", recording)
