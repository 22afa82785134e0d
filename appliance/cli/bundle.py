"""`appliance bundle`: the archive that a machine is installed from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The archive that a machine is installed from.")


@app.callback()
def _group() -> None:
    """Keeps `verify` a command of its own while it is the only one."""


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The unpacked bundle")],
    key: Annotated[Path | None, typer.Option(help="The vendor's public key, got by another way")] = None,
) -> None:
    """Check every file of a bundle and its signature; the fingerprint is to be compared with the vendor's."""
    from installer.bundle import seal

    typer.echo(f"Every file is sound, signed by {seal.verify(folder, key)}")
