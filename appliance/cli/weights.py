"""`appliance weights`: the files with parameters that engines need."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Weights: list, fetch, verify.")
