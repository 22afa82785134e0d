"""`appliance up|down|demo`: the whole process tree on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from appliance.cli import show

DataDir = Annotated[Path, typer.Option(envvar="DATA_DIR", help="Where everything that changes is kept")]
Port = Annotated[int, typer.Option(envvar="PORT", help="Port of the API")]

SAMPLES = Path(__file__).parent.parent.parent / "samples"


def up(data_dir: DataDir = Path("var"), port: Port = 8000) -> None:
    """Start PostgreSQL, the object store, the API and the workers; what runs already is left alone."""
    from installer import stack

    site = stack.up(data_dir, port, show.step)
    typer.echo(f"The API answers on {site.url()}, its documentation on {site.url()}/docs")


def service(data_dir: DataDir = Path("var")) -> None:
    """Run the whole tree in the foreground, as systemd starts it: readiness, watchdog, clean stop."""
    from installer import aside
    from installer import service as tree
    from installer.site import Site

    site = Site(data_dir.resolve())
    aside.put_back(site, show.step)  # the port is in the settings
    tree.run(data_dir, int(site.facts().get("PORT", "8000")), show.step)


def down(data_dir: DataDir = Path("var")) -> None:
    """Stop everything in order."""
    from installer import stack

    typer.echo("  stopping ...")
    typer.echo("Stopped." if stack.down(data_dir) else "Nothing was running.")


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
