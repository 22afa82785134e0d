"""`appliance llm`: who analyses calls."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Who analyses calls.")

Name = Annotated[str, typer.Argument(help="A profile, such as local")]


@app.command()
def show() -> None:
    """Show the profiles, which of them analyses, and which may not be used here."""
    from appliance.cli.show import language
    from appliance.services import language_models

    state = language_models.state()
    table = Table("", "profile", "residency", "endpoint", "model", "spent today, USD", "allowed")
    for shown in state.profiles:
        profile = shown.profile
        table.add_row(
            "*" if profile.name == state.active else "",
            profile.name,
            profile.residency,
            profile.base_url,
            profile.model,
            f"{shown.spent_today:.4f}" + (f" of {profile.daily_cost_cap:g}" if profile.daily_cost_cap else ""),
            shown.refusal.message(language()) if shown.refusal else "yes",
        )
    console = Console()
    console.print(table)
    console.print(
        f"DATA_RESIDENCY={state.settings.data_residency}, MASK_PII={state.settings.mask_pii}", highlight=False
    )
    for name in state.damaged:
        console.print(f"[red]{name}: cannot be read, save it anew[/red]")


@app.command()
def use(name: Name) -> None:
    """Let a profile analyse, in every worker from its next call on."""
    from appliance.services import language_models

    state = language_models.change(None, name, {})
    typer.echo(f"{state.active} analyses calls from now on.")


@app.command("test")
def try_out(
    name: Annotated[str | None, typer.Argument(help="A profile; the chosen one where left out")] = None,
) -> None:
    """Send an invented call to a profile: latency, tokens, cost and whether the answer is valid."""
    from appliance.services import language_models

    tried = language_models.try_out(None, name)
    used = tried.used
    effort = f"{tried.latency_ms} ms, {used.prompt_tokens} + {used.completion_tokens} tokens, {used.cost:.6f} USD"
    if tried.error:
        typer.echo(f"{tried.profile.name}: {tried.error.code}, {effort}: {tried.error}", err=True)
        raise typer.Exit(1)
    typer.echo(f"{tried.profile.name} ({tried.model}): valid, {effort}")
